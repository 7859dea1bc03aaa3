"""Template decoders: a volume as transposed convolutions of a latent, on a grid in real space.

Model: the network's sizes as JSON (``template``), with the box and the crop in which it was trained; its weights
(``weights/decoder.NAME``); and ``scale``, by which its output is multiplied. The group ``weights`` may also hold
those of an encoder (``weights/encoder.NAME``).

A volume is the template at the points of the crop's grid, as in the comparison with a particle at the reference's
orientation: summed over z it is that projection. It is zero outside the crop, and beyond the Nyquist
frequency of the training box.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass

import numpy as np
import torch
from jaxtyping import Float

from cryobench._errors import FormatError
from cryobench.data import Particles, Reconstruction
from cryobench.imaging.real_space.volumes import sample_volumes
from cryobench.reconstruction.decoders.decoder import VolumeDecoder
from cryobench.reconstruction.decoders.network_weights import DECODER, list_weights
from cryobench.reconstruction.engine import RunContext
from cryobench.reconstruction.networks import TemplateDecoder, TemplateShape, VolumeEncoder


@dataclass
class TemplateNetworkDecoder(VolumeDecoder):
    """Template decoder on a device; volumes are computed in float32, whatever the training precision."""

    name = "template"
    network: TemplateDecoder
    box: int
    """Box of the training, px."""
    crop: int
    """Central part of it covered by the template, px."""
    scale: float

    def __post_init__(self) -> None:
        self.width, self.box_size = self.network.shape.z_dim, self.box

    @classmethod
    def open(
        cls,
        model: Mapping[str, np.ndarray],
        reconstruction: Reconstruction,
        particles: Particles,
        context: RunContext,
    ) -> "TemplateNetworkDecoder":
        """As ``VolumeDecoder.open``."""
        try:
            sizes = json.loads(str(model["template"]))
            box, crop, scale = int(sizes.pop("box")), int(sizes.pop("crop")), float(model["scale"])
            network = TemplateDecoder(TemplateShape(**sizes))
            weights = {name: model[name] for name in model if name.startswith(DECODER)}
            network.load_state_dict(
                {name.removeprefix(DECODER): torch.tensor(each) for name, each in weights.items()}
            )
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise FormatError(f"the model of {reconstruction.name} is not a template decoder: {error}.") from error
        return cls(network.to(context.compute.device).eval(), box, crop, scale)

    def _decode(self, latents: Float[np.ndarray, "m k"]) -> Iterator[Float[np.ndarray, "z y x"]]:
        device = self.network.first.weight.device
        around = (self.box // 2 - self.crop // 2, (self.box + 1) // 2 - (self.crop + 1) // 2)
        for latent in latents:
            with torch.no_grad():
                template = self.network(torch.from_numpy(latent[None].astype(np.float32)).to(device))
                volume = torch.nn.functional.pad(sample_volumes(template, self.crop)[0] * self.scale, around * 3)
            yield volume.cpu().numpy()


def pack_template(
    network: TemplateDecoder, scale: float, *, box: int, crop: int, encoder: VolumeEncoder | None = None
) -> dict[str, np.ndarray]:
    """Arrays of a model for ``TemplateNetworkDecoder``, optionally with the weights of an encoder."""
    sizes = {**asdict(network.shape), "box": box, "crop": crop}
    return {"template": np.array(json.dumps(sizes)), "scale": np.array(scale), **list_weights(network, encoder)}
