"""Volumes deformed by a mesh: the mesh, the flow that moves it, its elastic energy, and the deformed density."""

from cryobench.reconstruction.deformation.flow import FlowNetwork as FlowNetwork
from cryobench.reconstruction.deformation.mesh import Mesh as Mesh
from cryobench.reconstruction.deformation.mesh import as_pairs as as_pairs
from cryobench.reconstruction.deformation.mesh import make_mesh as make_mesh
from cryobench.reconstruction.deformation.modes import soft_modes as soft_modes
from cryobench.reconstruction.deformation.rigidity import deformation_gradients as deformation_gradients
from cryobench.reconstruction.deformation.rigidity import rigidity_energy as rigidity_energy
from cryobench.reconstruction.deformation.volume import move_density as move_density
from cryobench.reconstruction.deformation.volume import spread_density as spread_density
