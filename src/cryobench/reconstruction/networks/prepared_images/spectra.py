"""Images in the form in which networks compare them: prepared once when loaded, stored in half precision.

subtract background -> window -> centre by given shifts -> half-disc |k| ≤ ½ without zero frequency -> divide by s

The window is 1 for r ≤ 0.85, falling linearly to 0 at 0.99, r in half boxes. One number s for all images scales them
to a standard deviation of about one; a volume's density is the network's output times s. With H = Re − Im, the value
of the Hartley transform at k, and Re + Im at −k, a half-disc of complex numbers holds the whole Hartley disc, and

    mean over the disc of (C H' − H)²  =  mean over the half-disc of |C Y' − Y|².

Source: Zhong et al., Nature Methods 18 (2021) 176, and the authors' programs.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryobench._progress import Progress, Silent
from cryobench.compute import Compute
from cryobench.data import CHUNK, Particles
from cryobench.fourier import fft_images
from cryobench.imaging.ctf import evaluate_ctf
from cryobench.imaging.half_disc import HalfDisc
from cryobench.reconstruction.images import centre, require_poses
from cryobench.reconstruction.networks.prepared_images.rows import PreparedRows
from cryobench.reconstruction.networks.prepared_images.sample import sum_squares

_FLAT, _END = 0.85, 0.99


@dataclass(frozen=True)
class NetworkBatch:
    """A batch of images on a device, or the part of it that one process of the group computes."""

    indices: np.ndarray
    """(n,) particles of the whole batch."""
    data: Tensor
    """(b, p, 2) float32, real and imaginary part."""
    ctf: Tensor
    """(b, p) float32."""
    rotations: Tensor | None
    """(b, 3, 3) float32; None where poses are withheld."""
    own: slice = field(default_factory=lambda: slice(None))
    """Positions in the batch of this process's b images."""

    @property
    def fraction(self) -> float:
        """b / n, weight of a mean over this process's images in that over the batch."""
        return len(self.data) / len(self.indices)

    def hartley(self) -> Float[Tensor, "b q"]:
        """(b, 2 p) Hartley values without the sign of the CTF: at all k of the half-disc, then at all −k."""
        flipped = self.data * torch.sign(self.ctf)[..., None]
        return torch.cat([flipped[..., 0] - flipped[..., 1], flipped[..., 0] + flipped[..., 1]], dim=1)


class NetworkImages:
    """All images, prepared; in memory, or in a file beyond the budget.

    Parameters
    ----------
    particles
        With poses, which centre the images, or without: then they are not centred.
    compute
        Device and workers.
    keep_bytes
        Memory for prepared images; if they need more, or several workers read them, they are in a file, which is
        removed with this object (``PreparedRows``).
    scaled_by
        Images whose standard deviation is s: "sample", at most 1,000 of them before the window (cryoDRGN), or
        "all", after it (cryoDRGN-AI).
    folder
        Folder of that file; None for the system's temporary folder.

    Raises
    ------
    ValueError
        If a pixel is not finite, or all images are constant.
    OSError
        If there is no space for the file.
    """

    def __init__(
        self,
        particles: Particles,
        compute: Compute,
        *,
        keep_bytes: float,
        scaled_by: Literal["sample", "all"] = "sample",
        folder: Path | None = None,
        progress: Progress | None = None,
    ) -> None:
        self._particles, self._device = particles, compute.device
        size = particles.box_size
        self.disc = HalfDisc(size, size // 2)
        self._window = _make_window(size)
        self._border = self._window < 1
        frequencies = self.disc.frequencies[1:] / (size * particles.pixel_size)
        self._frequencies = torch.from_numpy(frequencies).float()
        self._steps = torch.from_numpy(self.disc.frequencies[1:].T / size).to(self._device)
        # Standard deviation of the Hartley values of a sample, before the window: by Parseval's theorem, without the
        # zero frequency.
        sampled, count = sum_squares(particles)
        first = (sampled / count) ** 0.5
        shape = (len(particles), len(frequencies), 2)
        self._rows = PreparedRows(shape, keep_bytes=keep_bytes, n_workers=compute.n_workers, folder=folder)
        total = 0.0
        with (progress or Silent()).task("preparing images", total=len(particles)) as task:
            for indices in particles.chunks(CHUNK):
                prepared = self._prepare(indices)
                total += float(prepared.square().sum(dtype=torch.float64))
                self._rows[indices] = (prepared / first).numpy()
                task.advance(len(indices))
        # Over the whole disc: H² summed over k and −k is twice |Y|².
        windowed = (total / (len(particles) * shape[1])) ** 0.5
        self.scale: float = first if scaled_by == "sample" else windowed
        """s: spectra are the network's output times it."""
        self._factor = first / self.scale
        self.power: float = (windowed / self.scale) ** 2
        """Mean square of the prepared values: the residual of an empty volume."""

    def __len__(self) -> int:
        return len(self._particles)

    @property
    def particles(self) -> Particles:
        """The prepared particles."""
        return self._particles

    @property
    def n_values(self) -> int:
        """M, number of pixels of the whole disc without the zero frequency."""
        return 2 * len(self._frequencies)

    @property
    def is_in_memory(self) -> bool:
        """Whether prepared images are kept in memory."""
        return self._rows.is_in_memory

    @property
    def window_power(self) -> float:
        """Mean square of the window: the power of white noise in prepared images, over that in the images."""
        return float(self._window.square().mean())

    def open_here(self, device: str) -> None:
        """In a worker process: open the file, for a device. FileNotFoundError if it is not visible there."""
        self._rows.open_here()
        self._device = device

    def load(self, indices: Int[np.ndarray, " n"], own: slice = slice(None)) -> NetworkBatch:
        """Images, CTFs and rotations of a batch of particles, or of its own part, on the device."""
        whole, indices = indices, indices[own]
        data = torch.from_numpy(self._rows[indices]).mul_(self._factor)
        rotations = self._particles.rotations
        chosen = None if rotations is None else torch.tensor(rotations[indices], dtype=torch.float32)
        return NetworkBatch(
            whole,
            data.to(self._device),
            evaluate_ctf(self._particles.ctf[indices], self._frequencies).to(self._device),
            None if chosen is None else chosen.to(self._device),
            own,
        )

    def move(
        self, batch: NetworkBatch, rotations: Float[Tensor, "b 3 3"], shifts: Float[Tensor, "b 2"]
    ) -> NetworkBatch:
        """Images of a batch at other rotations, translated by ``shifts`` (x, y) in px in addition to their given
        ones.

        Data and rotations are differentiable by the arguments.
        """
        phases = shifts @ (self._steps * (-2 * np.pi)).to(shifts)
        sine, cosine = torch.sin(phases), torch.cos(phases)
        real, imaginary = batch.data.unbind(-1)
        data = torch.stack([real * cosine - imaginary * sine, real * sine + imaginary * cosine], dim=-1)
        return replace(batch, data=data, rotations=rotations)

    def _prepare(self, indices: Int[np.ndarray, " b"]) -> Float[Tensor, "b p 2"]:
        images = torch.from_numpy(self._particles.read(indices))
        images = (images - images[:, self._border].mean(1)[:, None, None]) * self._window
        spectra = self.disc.pack(fft_images(images))
        if self._particles.rotations is not None:
            _, shifts = require_poses(self._particles)
            spectra = centre(spectra, shifts[indices], self.disc, pixel_size=self._particles.pixel_size)
        return torch.view_as_real(spectra[:, 1:].contiguous())


def _make_window(size: int) -> Float[Tensor, "y x"]:
    axis = torch.arange(size) - size // 2
    radius = torch.sqrt((axis[:, None] ** 2 + axis**2).double()) / (size / 2)
    return ((_END - radius) / (_END - _FLAT)).clamp(0, 1).float()
