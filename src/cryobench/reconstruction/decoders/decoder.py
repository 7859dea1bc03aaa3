"""``VolumeDecoder``: volumes at latents, from a model whose format only it knows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal, Self

import numpy as np
import torch
from jaxtyping import Float

from cryobench.data import Particles, Reconstruction
from cryobench.fourier import fourier_crop, fourier_pad
from cryobench.reconstruction.engine import RunContext


class VolumeDecoder(ABC):
    """A model loaded once, on a device. Subclasses set ``width`` and ``box_size`` when they are opened."""

    name: ClassVar[str]
    """Name by which runs refer to it."""
    takes: ClassVar[Literal["latents", "posteriors"]] = "latents"
    """Part of a reconstruction whose rows it decodes."""
    reads_particles: ClassVar[bool] = False
    """Whether all particles are read for every volume."""
    width: int
    """Numbers in a row of latents, or of class probabilities."""
    box_size: int
    """Box size of the returned volumes: the data set's, or a smaller one for Fourier-cropped previews."""

    @classmethod
    @abstractmethod
    def open(
        cls,
        model: Mapping[str, np.ndarray],
        reconstruction: Reconstruction,
        particles: Particles,
        context: RunContext,
    ) -> Self:
        """The decoder of a reconstruction.

        Parameters
        ----------
        model
            Arrays by name. Only needed ones are read.
        reconstruction
            Owner of the model, with its latents, where volumes are made from particles near a latent.
        particles
            Those it was made from, at the box of the model. Images are read on demand, so passing them
            costs nothing.
        context
            Device, memory, workers, and progress.

        Raises
        ------
        FormatError
            If the model lacks an array.
        """

    def decode(self, latents: Float[np.ndarray, "m d"]) -> Iterator[Float[np.ndarray, "z y x"]]:
        """Volumes, float32, at latents, one at a time, of ``box_size``.

        ValueError if the latents have another width, or are not finite.
        """
        rows = np.asarray(latents)
        if rows.ndim != 2 or rows.shape[1] != self.width:
            raise ValueError(
                f"this run's latents have {self.width} numbers a row, got an array of shape {rows.shape}."
            )
        finite = np.isfinite(rows).all(axis=1)
        if not finite.all():
            raise ValueError(f"latent {int(np.argmin(finite))} is not finite: there is no volume at it.")
        return (resize_volume(volume, self.box_size) for volume in self._decode(rows))

    @abstractmethod
    def _decode(self, latents: Float[np.ndarray, "m d"]) -> Iterator[Float[np.ndarray, "z y x"]]:
        """Volumes, float32, in the model's box, or already cropped, where that saves work."""


def resize_volume(volume: Float[np.ndarray, "z y x"], box_size: int) -> Float[np.ndarray, "z2 y2 x2"]:
    """Volume (z, y, x) on a grid of ``box_size`` samples a side, by padding or cropping its spectrum."""
    resample = fourier_crop if volume.shape[-1] > box_size else fourier_pad
    return volume if volume.shape[-1] == box_size else resample(torch.tensor(volume), box_size, dimensions=3).numpy()
