"""Volumes of a linear model: mean + Σ_k z_k V_k, made when asked for."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class LinearVolumes:
    """A ``VolumeSource`` whose item i is the volume at the i-th latent."""

    mean: np.ndarray
    """(z, y, x) float32."""
    components: np.ndarray
    """(k, z, y, x) float32."""
    latents: np.ndarray
    """(m, k)."""

    @property
    def box_size(self) -> int:
        return self.mean.shape[-1]

    def __len__(self) -> int:
        return len(self.latents)

    def read(self, index: int) -> np.ndarray:
        latent = self.latents[index].astype(np.float32)
        return np.asarray(self.mean + np.tensordot(latent, self.components, axes=1), dtype=np.float32)
