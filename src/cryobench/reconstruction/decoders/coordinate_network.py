"""Coordinate networks: a volume as a network over frequencies.

Model: the network's sizes as JSON (``network``), its weights (``weights/decoder.NAME``), and ``scale``, by which its
numbers are multiplied. The group ``weights`` may hold those of an encoder beside them (``weights/encoder.NAME``).
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from cryobench._errors import FormatError
from cryobench.data import Particles, Reconstruction
from cryobench.io.commands import compose_run
from cryobench.reconstruction.decoders.decoder import VolumeDecoder
from cryobench.reconstruction.engine import RunContext
from cryobench.reconstruction.networks import CoordinateNetwork, ImageEncoder, NetworkShape
from cryobench.reconstruction.networks.volumes import decode_volumes

_DECODER, _ENCODER = "weights/decoder.", "weights/encoder."


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
        if "weights.first.weight" in model:
            folder = reconstruction.path or Path("RUN")
            raise FormatError(
                f"{folder} was written by an older cryobench, which kept its weights in another form. Remove it or "
                f"name another folder, and make it anew: {compose_run(reconstruction.record.to_json(), folder)}"
            )
        try:
            network = CoordinateNetwork(read_shape(model))
            network.load_state_dict({name: torch.tensor(values) for name, values in read_weights(model).items()})
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise FormatError(f"the model of {reconstruction.name} is no coordinate network: {error}.") from error
        return cls(network.to(context.compute.device).eval(), float(model["scale"]))

    def _decode(self, latents: np.ndarray) -> Iterator[np.ndarray]:
        box = min(self.box_size, self.network.shape.box_size)
        return decode_volumes(self.network, latents, self.scale, box_size=box)


def pack_network(
    network: CoordinateNetwork, scale: float, encoder: ImageEncoder | None = None
) -> dict[str, np.ndarray]:
    """The arrays of a model that ``CoordinateNetworkDecoder`` reads, and the weights of an encoder beside them."""
    parts = {_DECODER: network, **({} if encoder is None else {_ENCODER: encoder})}
    weights = {
        f"{prefix}{name}": value.detach().cpu().numpy()
        for prefix, part in parts.items()
        for name, value in part.state_dict().items()
    }
    return {"network": np.array(json.dumps(asdict(network.shape))), "scale": np.array(scale), **weights}


def read_shape(model: Mapping[str, np.ndarray]) -> NetworkShape:
    """Sizes of the network of a model. KeyError, TypeError or ValueError if it has none."""
    return NetworkShape(**json.loads(str(model["network"])))


def read_weights(
    model: Mapping[str, np.ndarray], part: Literal["decoder", "encoder"] = "decoder"
) -> dict[str, np.ndarray]:
    """Weights of one network of a model by their names in it, in their order; none if the model does not have it."""
    prefix = _DECODER if part == "decoder" else _ENCODER
    return {name.removeprefix(prefix): model[name] for name in model if name.startswith(prefix)}
