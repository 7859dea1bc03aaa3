"""Sources of slices for a pose search: volumes on grids here, or anything else that predicts spectra of images."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from cryobench.fourier import fourier_crop
from cryobench.imaging.grid import FourierVolume, volume_to_fourier
from cryobench.imaging.half_disc import HalfDisc
from cryobench.imaging.slices import extract_slices
from cryobench.reconstruction.statistics import disc_of, small_box


@runtime_checkable
class SliceSource(Protocol):
    """Predicts spectra of images, without CTF, at any orientation."""

    @property
    def n_volumes(self) -> int:
        """Number of volumes among which an image chooses; 1 where each image has its own."""
        ...

    def own(
        self,
        images: Int[np.ndarray, " n"],
        volumes: Int[np.ndarray, " n"],
        rotations: Float[Tensor, "n 3 3"],
        radius: int,
    ) -> Complex[Tensor, "n p"]:
        """Slices (n, p), each for an image (n,), of a volume (n,), at a rotation (n, 3, 3)."""
        ...


@runtime_checkable
class SharedSource(SliceSource, Protocol):
    """Source of volumes common to all images."""

    def shared(self, volume: int, rotations: Float[Tensor, "r 3 3"], radius: int) -> Complex[Tensor, "r p"]:
        """Slices (r, p) of a volume up to a radius."""
        ...


@runtime_checkable
class OwnSource(SliceSource, Protocol):
    """Source with a volume for each image."""

    def at(self, images: Int[np.ndarray, " b"], points: Float[Tensor, "p 3"]) -> Complex[Tensor, "b p"]:
        """Spectra (b, p) of the images' (b,) volumes at frequencies (p, 3) in cycles per pixel."""
        ...


class GridSlices:
    """Slices of volumes on grids.

    Parameters
    ----------
    volumes
        (k, z, y, x) float32, in the box of the disc, on the device of the search.
    disc
        Half-disc of the images.
    padding
        Oversampling of the spectra: size of their grid relative to the volumes'.
    """

    def __init__(self, volumes: Float[Tensor, "k z y x"], disc: HalfDisc, *, padding: int = 1) -> None:
        self._volumes, self._disc, self._padding = volumes, disc, padding
        self._spectra: dict[tuple[int, int], FourierVolume] = {}

    @property
    def n_volumes(self) -> int:
        """Number of volumes."""
        return len(self._volumes)

    def shared(self, volume: int, rotations: Float[Tensor, "r 3 3"], radius: int) -> Complex[Tensor, "r p"]:
        """Slices (r, p) of one volume."""
        spectrum, count = self._spectrum(volume, radius), self._disc.count(radius)
        turned = rotations.to(self._volumes.device)
        dense = extract_slices(spectrum, turned, radius=min(radius + 0.5, spectrum.layout.max_radius))
        packed = torch.from_numpy(disc_of(spectrum.box_size).index[:count]).to(dense.device)
        return dense.flatten(1).index_select(1, packed)

    def own(
        self,
        images: Int[np.ndarray, " n"],
        volumes: Int[np.ndarray, " n"],
        rotations: Float[Tensor, "n 3 3"],
        radius: int,
    ) -> Complex[Tensor, "n p"]:
        """Slices (n, p); the same for all images."""
        if self.n_volumes == 1:
            return self.shared(0, rotations, radius)
        result = torch.empty(
            len(rotations), self._disc.count(radius), dtype=torch.complex64, device=self._volumes.device
        )
        for volume in np.unique(volumes):
            rows = torch.from_numpy(np.flatnonzero(volumes == volume)).to(result.device)
            result[rows] = self.shared(int(volume), rotations[rows], radius)
        return result

    def _spectrum(self, volume: int, radius: int) -> FourierVolume:
        """Spectrum of a volume, in the smallest box that contains the radius."""
        key = volume, radius
        if key not in self._spectra:
            box_size, values = self._disc.box_size, self._volumes[volume]
            cut = small_box(box_size, radius)
            if cut < box_size:
                # Values on a coarser grid over the same length: their sums are the same at every frequency.
                values = fourier_crop(values, cut, dimensions=3) * (box_size / cut) ** 3
            self._spectra[key] = volume_to_fourier(values, padding=self._padding)
        return self._spectra[key]
