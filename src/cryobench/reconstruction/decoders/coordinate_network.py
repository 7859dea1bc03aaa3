"""Coordinate networks: a volume as a network over frequencies.

Model: the network's sizes as JSON (``network``), its weights (``weights.NAME``), and ``scale``, by which its numbers
are multiplied.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass

import numpy as np
import torch

from cryobench._errors import FormatError
from cryobench.data import Particles, Reconstruction
from cryobench.reconstruction.decoders.decoder import VolumeDecoder
from cryobench.reconstruction.engine import RunContext
from cryobench.reconstruction.networks import CoordinateNetwork, NetworkShape
from cryobench.reconstruction.networks.volumes import decode_volumes

_PREFIX = "weights."


@dataclass
class CoordinateNetworkDecoder(VolumeDecoder):
    """A coordinate network on a device; volumes are computed in float32, whatever it was trained in."""

    name = "coordinate-network"
    network: CoordinateNetwork
    scale: float

    def __post_init__(self) -> None:
        self.width, self.box_size = self.network.shape.z_dim, self.network.shape.box_size

    @classmethod
    def open(
        cls,
        model: Mapping[str, np.ndarray],
        reconstruction: Reconstruction,
        particles: Particles,
        context: RunContext,
    ) -> "CoordinateNetworkDecoder":
        """As ``VolumeDecoder.open``."""
        try:
            network = CoordinateNetwork(NetworkShape(**json.loads(str(model["network"]))))
            weights = {
                name.removeprefix(_PREFIX): torch.tensor(model[name]) for name in model if name.startswith(_PREFIX)
            }
            network.load_state_dict(weights)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise FormatError(f"the model of {reconstruction.name} is no coordinate network: {error}.") from error
        return cls(network.to(context.compute.device).eval(), float(model["scale"]))

    def _decode(self, latents: np.ndarray) -> Iterator[np.ndarray]:
        box = min(self.box_size, self.network.shape.box_size)
        return decode_volumes(self.network, latents, self.scale, box_size=box)


def pack_network(network: CoordinateNetwork, scale: float) -> dict[str, np.ndarray]:
    """The arrays of a model that ``CoordinateNetworkDecoder`` reads."""
    weights = {f"{_PREFIX}{name}": value.detach().cpu().numpy() for name, value in network.state_dict().items()}
    return {"network": np.array(json.dumps(asdict(network.shape))), "scale": np.array(scale), **weights}
