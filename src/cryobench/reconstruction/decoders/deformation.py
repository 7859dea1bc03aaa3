"""Deformations: one map whose density is moved by a mesh, as a network gives for a latent.

Model: the map's values at its voxels (``map``) and their binding to the mesh (``voxels``, ``barycentric``,
``starts``, ``elements``), the vertices at rest in Å (``vertices``), the sizes of map and network as JSON
(``deformation``), and the network's weights (``weights/flow.NAME``).
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from cryobench._errors import FormatError
from cryobench.data import Particles, Reconstruction
from cryobench.imaging.real_space.moved_voxels import BoundVoxels
from cryobench.reconstruction.decoders.decoder import VolumeDecoder
from cryobench.reconstruction.deformation import FlowNetwork, Mesh, move_density
from cryobench.reconstruction.engine import RunContext

_FLOW = "weights/flow."


@dataclass
class DeformationDecoder(VolumeDecoder):
    """A map, its mesh and the flow, on a device."""

    name = "deformation"
    flow: FlowNetwork
    vertices: Tensor
    """(v, 3) Å, undeformed."""
    values: Tensor
    """(m,) of the map."""
    voxels: BoundVoxels
    cell: float
    """Å, edge of a cell."""
    pixel_size: float
    """Å, of the map."""

    def __post_init__(self) -> None:
        self.width, self.box_size = self.flow.hidden[0].in_features, self.voxels.box_size  # pyright: ignore

    @classmethod
    def open(
        cls,
        model: Mapping[str, np.ndarray],
        reconstruction: Reconstruction,
        particles: Particles,
        context: RunContext,
    ) -> "DeformationDecoder":
        """As ``VolumeDecoder.open``."""
        device = context.compute.device
        try:
            sizes = json.loads(str(model["deformation"]))
            flow = FlowNetwork(sizes["z_dim"], sizes["width"], sizes["depth"], len(model["vertices"]))
            layers = {name.removeprefix(_FLOW): model[name] for name in model if name.startswith(_FLOW)}
            flow.load_state_dict({name: torch.tensor(values) for name, values in layers.items()})
            elements, starts, weights, places = (
                np.array(model[name]) for name in ("elements", "starts", "barycentric", "voxels")
            )
            vertices, values = (torch.tensor(model[name]).to(device) for name in ("vertices", "map"))
            voxels = BoundVoxels(elements, starts, weights, places, sizes["box_size"])
            return cls(flow.to(device).eval(), vertices, values, voxels, sizes["cell"], sizes["pixel_size"])
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            raise FormatError(f"the model of {reconstruction.name} is not a deformation: {error}.") from error

    def _decode(self, latents: Float[np.ndarray, "m k"]) -> Iterator[Float[np.ndarray, "z y x"]]:
        for row in latents:
            with torch.no_grad():
                latent = torch.from_numpy(row[None].astype(np.float32)).to(self.vertices.device)
                positions = self.vertices + self.cell * self.flow(latent)[0]
                volume = move_density(positions, self.values, self.voxels, self.pixel_size)
            yield volume.cpu().numpy()


def pack_deformation(
    flow: FlowNetwork, mesh: Mesh, values: Float[Tensor, "m"], voxels: BoundVoxels, pixel_size: float
) -> dict[str, np.ndarray]:
    """Arrays of a model for ``DeformationDecoder``."""
    sizes = {
        "z_dim": flow.hidden[0].in_features,
        "width": flow.hidden[0].out_features,
        "depth": len(flow.hidden),
        "box_size": voxels.box_size,
        "cell": mesh.cell,
        "pixel_size": pixel_size,
    }
    return {
        "deformation": np.array(json.dumps(sizes)),
        "map": values.cpu().numpy(),
        "vertices": (mesh.rest * mesh.cell).numpy(),
        "elements": voxels.elements,
        "starts": voxels.starts,
        "barycentric": voxels.weights,
        "voxels": voxels.voxels,
        **{f"{_FLOW}{name}": value.detach().cpu().numpy() for name, value in flow.state_dict().items()},
    }
