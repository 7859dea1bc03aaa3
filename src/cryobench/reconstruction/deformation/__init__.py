"""Volumes deformed by a mesh: the mesh, the flow that moves it, its elastic energy, and the deformed density."""

from cryobench.reconstruction.deformation.flow import FlowNetwork
from cryobench.reconstruction.deformation.mesh import Mesh, as_pairs, make_mesh
from cryobench.reconstruction.deformation.modes import soft_modes
from cryobench.reconstruction.deformation.rigidity import deformation_gradients, rigidity_energy
from cryobench.reconstruction.deformation.volume import move_density, spread_density

__all__ = [
    "FlowNetwork",
    "Mesh",
    "as_pairs",
    "deformation_gradients",
    "make_mesh",
    "move_density",
    "rigidity_energy",
    "soft_modes",
    "spread_density",
]
