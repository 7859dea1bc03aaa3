"""Images in real space, for networks whose volumes are grids: centred, cropped to the molecule, stored as rows.

centred by given shifts -> divided by s -> the central ``crop`` px

One number s for all images scales pixels to a standard deviation of about one; a volume's density is the network's
output times s. The CTF is on the whole box, of which the images are the middle: signal that it spreads beyond the
crop is lost on both sides of a comparison.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryobench._progress import Progress, Silent
from cryobench.compute import Compute
from cryobench.data import CHUNK, Particles
from cryobench.fourier import fft_images, frequency_grid, ifft_images
from cryobench.imaging.ctf import evaluate_ctf
from cryobench.imaging.shift import shift_images
from cryobench.reconstruction.images import require_poses
from cryobench.reconstruction.networks.prepared_images.rows import PreparedRows
from cryobench.reconstruction.networks.prepared_images.sample import sum_squares


@dataclass(frozen=True)
class RealSpaceBatch:
    """A batch of images on a device, or the part of it that one process of the group computes."""

    indices: np.ndarray
    """(n,) particles of the whole batch."""
    images: Float[Tensor, "b c c"]
    """float32."""
    ctf: Float[Tensor, "b y h"]
    """Half-spectra of the whole box, float32."""
    rotations: Float[Tensor, "b 3 3"]
    """float32."""
    own: slice = field(default_factory=lambda: slice(None))
    """Positions in the batch of this process's b images."""


class RealSpaceImages:
    """All images, prepared; in memory, or in a file beyond the budget.

    Parameters
    ----------
    particles
        At given poses, in the box of the comparison.
    compute
        Device and workers.
    crop
        px, an even number no larger than the box.
    keep_bytes
        Memory for prepared images (``PreparedRows``).
    folder
        Folder of the file, if one is needed.

    Raises
    ------
    ValueError
        If poses are withheld, a pixel is not finite, or all images are constant.
    OSError
        If there is no space for the file.
    """

    def __init__(
        self,
        particles: Particles,
        compute: Compute,
        crop: int,
        *,
        keep_bytes: float,
        folder: Path | None = None,
        progress: Progress | None = None,
    ) -> None:
        self._rotations, self._shifts = require_poses(particles)
        self._particles, self._device, self.crop = particles, compute.device, crop
        self._frequencies = frequency_grid(particles.box_size, 2, pixel_size=particles.pixel_size)
        total, count = sum_squares(particles)
        self.scale: float = (total / (count * particles.box_size**2)) ** 0.5
        """s, standard deviation of the pixels of a sample of the images: projections are the network's output times
        it."""
        self._rows = PreparedRows(
            (len(particles), crop, crop), keep_bytes=keep_bytes, n_workers=compute.n_workers, folder=folder
        )
        total = 0.0
        with (progress or Silent()).task("preparing images", total=len(particles)) as task:
            for indices in particles.chunks(CHUNK):
                prepared = self._prepare(indices)
                total += float(prepared.square().sum(dtype=torch.float64))
                self._rows[indices] = prepared.numpy()
                task.advance(len(indices))
        self.power: float = total / (len(particles) * crop**2)
        """Mean square of the prepared pixels: the residual of an empty volume."""

    def __len__(self) -> int:
        return len(self._particles)

    @property
    def is_in_memory(self) -> bool:
        """Whether prepared images are kept in memory."""
        return self._rows.is_in_memory

    @property
    def box_size(self) -> int:
        """px, of the uncropped images."""
        return self._particles.box_size

    def open_here(self, device: str) -> None:
        """In a worker process: open the file, for a device. FileNotFoundError if it is not visible there."""
        self._rows.open_here()
        self._device = device

    def load(self, indices: Int[np.ndarray, " n"], own: slice = slice(None)) -> RealSpaceBatch:
        """Images, CTFs and rotations of a batch of particles, or of its own part, on the device."""
        whole, indices = indices, indices[own]
        return RealSpaceBatch(
            whole,
            torch.from_numpy(self._rows[indices]).to(self._device),
            evaluate_ctf(self._particles.ctf[indices], self._frequencies).to(self._device),
            torch.tensor(self._rotations[indices], dtype=torch.float32, device=self._device),
            own,
        )

    def _prepare(self, indices: Int[np.ndarray, " b"]) -> Float[Tensor, "b c c"]:
        size, pixel_size = self._particles.box_size, self._particles.pixel_size
        images = torch.from_numpy(self._particles.read(indices))
        shifts = torch.from_numpy(self._shifts[indices]).float()
        spectra = shift_images(fft_images(images), shifts, size, pixel_size=pixel_size)
        return cut_middle(ifft_images(spectra, size), self.crop) / self.scale


def cut_middle(images: Float[Tensor, "*n y x"], crop: int) -> Float[Tensor, "*n c c"]:
    """Central ``crop`` px of images, about the same centre pixel."""
    first = images.shape[-1] // 2 - crop // 2
    return images[..., first : first + crop, first : first + crop]
