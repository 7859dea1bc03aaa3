"""Linear models: mean + Σ_k z_k V_k. Model: mean (z, y, x), components (k, z, y, x)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from cryobench.data import Particles, Reconstruction
from cryobench.reconstruction.decoders.decoder import VolumeDecoder
from cryobench.reconstruction.engine import RunContext


@dataclass
class LinearDecoder(VolumeDecoder):
    """A mean volume and K components, on a device."""

    name = "linear"
    mean: Tensor
    """(z, y, x)."""
    components: Tensor
    """(k, z, y, x)."""

    def __post_init__(self) -> None:
        self.width, self.box_size = len(self.components), self.mean.shape[-1]

    @classmethod
    def open(
        cls,
        model: Mapping[str, np.ndarray],
        reconstruction: Reconstruction,
        particles: Particles,
        context: RunContext,
    ) -> "LinearDecoder":
        """As ``VolumeDecoder.open``."""
        mean, components = (torch.tensor(model[name]).to(context.compute.device) for name in ("mean", "components"))
        return cls(mean, components)

    def _decode(self, latents: Float[np.ndarray, "m k"]) -> Iterator[Float[np.ndarray, "z y x"]]:
        for row in latents:
            latent = torch.from_numpy(row.astype(np.float32)).to(self.mean.device)
            yield (self.mean + torch.tensordot(latent, self.components, dims=1)).cpu().numpy()
