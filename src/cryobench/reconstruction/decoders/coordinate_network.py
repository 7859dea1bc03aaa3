"""Coordinate networks: a volume as a network over frequencies.

Model: the network's sizes as JSON (``network``), its weights (``weights/decoder.NAME``), and ``scale``, by which its
output is multiplied. The group ``weights`` may also hold those of an encoder (``weights/encoder.NAME``).
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass

import numpy as np
import torch
from jaxtyping import Float

from cryobench._errors import FormatError
from cryobench.data import Particles, Reconstruction
from cryobench.reconstruction.decoders.decoder import VolumeDecoder
from cryobench.reconstruction.decoders.network_weights import DECODER, ENCODER, list_weights
from cryobench.reconstruction.engine import RunContext
from cryobench.reconstruction.networks import CoordinateNetwork, ImageEncoder, NetworkShape
from cryobench.reconstruction.networks.volumes import decode_volumes


@dataclass
class CoordinateNetworkDecoder(VolumeDecoder):
    """Coordinate network on a device; volumes are computed in float32, whatever the training precision."""

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
        packed = read_network(reconstruction)
        try:
            network = CoordinateNetwork(packed.shape)
            network.load_state_dict({name: torch.tensor(values) for name, values in packed.decoder.items()})
        except RuntimeError as error:
            raise FormatError(f"the model of {reconstruction.name} is not a coordinate network: {error}.") from error
        return cls(network.to(context.compute.device).eval(), packed.scale)

    def _decode(self, latents: Float[np.ndarray, "m k"]) -> Iterator[Float[np.ndarray, "z y x"]]:
        box = min(self.box_size, self.network.shape.box_size)
        return decode_volumes(self.network, latents, self.scale, box_size=box)


def pack_network(
    network: CoordinateNetwork, scale: float, encoder: ImageEncoder | None = None
) -> dict[str, np.ndarray]:
    """Arrays of a model for ``CoordinateNetworkDecoder``, optionally with the weights of an encoder."""
    return {**_pack_sizes(network.shape, scale), **list_weights(network, encoder)}


def pack_weights(shape: NetworkShape, scale: float, weights: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The same for a network given by its sizes and weights, by their names in ``CoordinateNetwork``."""
    return {**_pack_sizes(shape, scale), **{f"{DECODER}{name}": values for name, values in weights.items()}}


def _pack_sizes(shape: NetworkShape, scale: float) -> dict[str, np.ndarray]:
    return {"network": np.array(json.dumps(asdict(shape))), "scale": np.array(scale)}


@dataclass(frozen=True)
class PackedNetwork:
    """Networks in the model of a run."""

    shape: NetworkShape
    scale: float
    decoder: dict[str, np.ndarray]
    """Weights by their names in the network, in alphabetical order."""
    encoder: dict[str, np.ndarray]
    """Weights of the encoder; empty where there is none."""


def read_network(reconstruction: Reconstruction) -> PackedNetwork:
    """Networks of a run. FormatError if its model has none."""
    model = reconstruction.model
    try:
        shape, scale = NetworkShape(**json.loads(str(model["network"]))), float(model["scale"])
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(f"the model of {reconstruction.name} is not a coordinate network: {error}.") from error
    decoder, encoder = (
        {name.removeprefix(part): model[name] for name in model if name.startswith(part)}
        for part in (DECODER, ENCODER)
    )
    return PackedNetwork(shape, scale, decoder, encoder)
