"""Class volumes: the volume of the most probable class. Model: volumes (k, z, y, x)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from cryobench.data import Particles, Reconstruction
from cryobench.reconstruction.decoders.decoder import VolumeDecoder
from cryobench.reconstruction.engine import RunContext


@dataclass
class ClassDecoder(VolumeDecoder):
    """Volumes of K classes."""

    name = "classes"
    takes = "posteriors"
    volumes: np.ndarray
    """(k, z, y, x), mapped from disk."""

    def __post_init__(self) -> None:
        self.width, self.box_size = len(self.volumes), self.volumes.shape[-1]

    @classmethod
    def open(
        cls,
        model: Mapping[str, np.ndarray],
        reconstruction: Reconstruction,
        particles: Particles,
        context: RunContext,
    ) -> "ClassDecoder":
        """As ``VolumeDecoder.open``."""
        return cls(model["volumes"])

    def _decode(self, latents: Float[np.ndarray, "m k"]) -> Iterator[Float[np.ndarray, "z y x"]]:
        return (np.array(self.volumes[int(np.argmax(row))], dtype=np.float32) for row in latents)
