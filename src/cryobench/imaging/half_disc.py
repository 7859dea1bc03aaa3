"""Half-discs: packed entries of an image's spectrum up to a radius, one of each Friedel pair.

A real image's spectrum is determined by one of each Friedel pair ±k. ``HalfDisc`` lists one of each pair within a
radius, lowest frequencies first, so that a smaller radius is a prefix; sums over it with ``weights`` are half the
sums over the full spectrum, as in a Gaussian log-likelihood of complex noise of power σ²:

    log p(y | m) = −Σ_k w_k [ |y_k − m_k|² / σ²_k + log σ²_k ] + const.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from cryobench._threads import count_threads, run_parts
from cryobench.fourier import fft_images, ifft_images
from cryobench.imaging.kernels.cpu.shell_power import add_shell_power


@dataclass(frozen=True)
class HalfDisc:
    """One of each Friedel pair of a half-spectrum with 0 ≤ |k| ≤ ``radius`` (index units), ordered by shell.

    The radius is at most (n − 1) // 2 where slices are inserted or images restored. Networks compare up to n // 2: in
    an even box that includes the two entries on the axes at the Nyquist frequency.
    """

    box_size: int
    radius: int

    @cached_property
    def frequencies(self) -> np.ndarray:
        """(p, 2) integer (kx, ky); kx ≥ 0, and ky ≥ 0 where kx = 0."""
        rows = np.concatenate([np.arange(self.radius + 1), np.arange(-self.radius, 0)])
        along_y, along_x = np.meshgrid(rows, np.arange(self.radius + 1), indexing="ij")
        inside = (along_x**2 + along_y**2 <= self.radius**2) & ((along_x > 0) | (along_y >= 0))
        pairs = np.stack([along_x[inside], along_y[inside]], axis=1)
        return pairs[np.argsort(_shell_of(pairs), kind="stable")]

    @cached_property
    def shells(self) -> np.ndarray:
        """(p,) |k| rounded, ascending."""
        return _shell_of(self.frequencies)

    @cached_property
    def index(self) -> np.ndarray:
        """(p,) position of each entry in a flattened native-order half-spectrum (y, h)."""
        along_x, along_y = self.frequencies.T
        return (along_y % self.box_size) * (self.box_size // 2 + 1) + along_x

    @cached_property
    def weights(self) -> np.ndarray:
        """(p,) ½ for the zero frequency, which is its own Friedel mate, else 1."""
        return np.where(self.shells == 0, 0.5, 1.0).astype(np.float32)

    @cached_property
    def shell_weights(self) -> np.ndarray:
        """(radius + 1,) sum of the weights of each shell."""
        return np.bincount(self.shells, weights=self.weights, minlength=self.radius + 1)

    def count(self, radius: int) -> int:
        """Number of entries in shells up to ``radius``, the first ones."""
        return int(np.searchsorted(self.shells, radius, side="right"))

    def sum_shells(self, values: Tensor) -> Tensor:
        """Weighted sums (n, radius + 1) over each shell of values (n, p), or of those of the first shells."""
        count = values.shape[-1]
        ends = np.concatenate([[0], np.cumsum(np.bincount(self.shells[:count], minlength=self.radius + 1))])
        weights = torch.from_numpy(self.weights[:count]).to(values.device)
        running = torch.cumsum((values * weights).double(), dim=-1)
        running = torch.cat([running.new_zeros(*running.shape[:-1], 1), running], dim=-1)
        return running[..., ends[1:]] - running[..., ends[:-1]]

    def shell_power(self, values: Tensor) -> Tensor:
        """Weighted power (n, radius + 1) float64 in each shell of values (n, p), real or complex."""
        if values.device.type != "cpu":
            return self.sum_shells(values.abs().square())
        parts = (torch.view_as_real(values) if values.is_complex() else values[..., None]).contiguous().numpy()
        totals = np.zeros((len(parts), self.radius + 1))
        weights = self.weights.astype(np.float64)
        bounds = np.linspace(0, len(parts), min(4 * count_threads(), max(len(parts), 1)) + 1).astype(int)
        run_parts(
            add_shell_power, [(parts, self.shells, weights, totals, first, last) for first, last in pairwise(bounds)]
        )
        return torch.from_numpy(totals)

    def spread(self, values: np.ndarray, device: torch.device | str) -> Tensor:
        """Shell values (radius + 1,) at every entry, (p,) float32."""
        return torch.from_numpy(np.asarray(values)[self.shells]).float().to(device)

    def pack(self, spectra: Tensor) -> Tensor:
        """Packed entries (..., p) of half-spectra (..., y, h)."""
        return spectra.flatten(-2)[..., torch.from_numpy(self.index).to(spectra.device)]

    @cached_property
    def multiples(self) -> np.ndarray:
        """(p,) 2 for entries of the x = 0 column except the zero frequency, else 1: see ``unpack``."""
        return np.where((self.frequencies[:, 0] == 0) & (self.shells > 0), 2, 1).astype(np.float32)

    def unpack(self, packed: Tensor) -> Tensor:
        """Half-spectra (n, y, h) to insert as slices, from packed values (n, p), or of the first shells (n, c).

        Insertion halves the x = 0 column because it holds both of a Friedel pair; here it holds one, which is
        doubled. The zero frequency is its own mate and is not doubled.
        """
        size, half = self.box_size, self.box_size // 2 + 1
        dense = packed.new_zeros(len(packed), size * half)
        count = packed.shape[1]
        factors = torch.from_numpy(self.multiples[:count]).to(packed.device)
        dense[:, torch.from_numpy(self.index[:count]).to(packed.device)] = packed * factors
        return dense.reshape(-1, size, half)

    def to_images(self, packed: Tensor) -> Tensor:
        """Images (n, y, x) whose spectra are the packed entries (n, p), zero beyond the disc."""
        size, half = self.box_size, self.box_size // 2 + 1
        dense = packed.new_zeros(len(packed), size * half)
        dense[:, torch.from_numpy(self.index).to(packed.device)] = packed
        dense = dense.reshape(-1, size, half)
        # The x = 0 column is stored for one of each Friedel pair.
        rows = torch.arange(1, (size - 1) // 2 + 1, device=packed.device)
        dense[:, size - rows, 0] = dense[:, rows, 0].conj()
        return ifft_images(dense, size)

    def from_images(self, images: Tensor) -> Tensor:
        """Packed spectra (n, p) of images (n, y, x)."""
        return self.pack(fft_images(images))


def _shell_of(pairs: np.ndarray) -> np.ndarray:
    return np.floor(np.sqrt((pairs.astype(np.float64) ** 2).sum(axis=1)) + 0.5).astype(np.int64)
