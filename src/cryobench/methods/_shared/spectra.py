"""Particles as methods in Fourier space want them: centred, cut to a disc, packed, and kept if they fit in memory.

A real image's spectrum is known from one of each pair of mates ±k. ``HalfDisc`` lists one of each pair within a
radius, lowest frequencies first, so that a smaller radius is a prefix; sums over it with ``weights`` are half the
sums over the full spectrum, which is what a Gaussian log-likelihood of complex noise of power σ² asks for:

    log p(y | m) = −Σ_k w_k [ |y_k − m_k|² / σ²_k + log σ²_k ] + const.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from cryobench._progress import Progress, Silent
from cryobench.data import CHUNK, Particles
from cryobench.fourier import fft_images
from cryobench.imaging.ctf import evaluate_ctf
from cryobench.imaging.shift import shift_images
from cryobench.methods.method import require_poses

PACKED_BYTES = 12
"""Of one packed entry: complex64 data and float32 CTF."""


@dataclass(frozen=True)
class HalfDisc:
    """One of each pair of mates of a half-spectrum with 0 ≤ |k| ≤ ``radius`` (index units), ordered by shell."""

    box_size: int
    radius: int

    @cached_property
    def frequencies(self) -> np.ndarray:
        """(p, 2) integer (kx, ky); kx ≥ 0, and ky ≥ 0 where kx = 0."""
        rows = np.arange(self.box_size)
        rows = np.where(rows < (self.box_size + 1) // 2, rows, rows - self.box_size)
        along_y, along_x = np.meshgrid(rows, np.arange(self.box_size // 2 + 1), indexing="ij")
        inside = (along_x**2 + along_y**2 <= self.radius**2) & ((along_x > 0) | (along_y >= 0))
        pairs = np.stack([along_x[inside], along_y[inside]], axis=1)
        return pairs[np.argsort(_shell_of(pairs), kind="stable")]

    @cached_property
    def shells(self) -> np.ndarray:
        """(p,) |k| rounded, ascending."""
        return _shell_of(self.frequencies)

    @cached_property
    def index(self) -> np.ndarray:
        """(p,) place of each entry in a flattened native-order half-spectrum (y, h)."""
        along_x, along_y = self.frequencies.T
        return (along_y % self.box_size) * (self.box_size // 2 + 1) + along_x

    @cached_property
    def weights(self) -> np.ndarray:
        """(p,) ½ for the zero frequency, which is its own mate, else 1."""
        return np.where(self.shells == 0, 0.5, 1.0).astype(np.float32)

    @cached_property
    def shell_weights(self) -> np.ndarray:
        """(radius + 1,) sum of the weights of each shell."""
        return np.bincount(self.shells, weights=self.weights, minlength=self.radius + 1)

    def count(self, radius: int) -> int:
        """Number of entries in shells up to ``radius``: they come first."""
        return int(np.searchsorted(self.shells, radius, side="right"))

    def sum_shells(self, values: Tensor) -> Tensor:
        """Weighted sums (n, radius + 1) over each shell of values (n, p)."""
        ends = np.concatenate([[0], np.cumsum(np.bincount(self.shells, minlength=self.radius + 1))])
        running = torch.cumsum((values * torch.from_numpy(self.weights).to(values.device)).double(), dim=-1)
        running = torch.cat([running.new_zeros(*running.shape[:-1], 1), running], dim=-1)
        return running[..., ends[1:]] - running[..., ends[:-1]]

    def unpack(self, packed: Tensor) -> Tensor:
        """Half-spectra (n, y, h) to insert as slices, from packed values (n, p), or of the first shells (n, c).

        Inserting halves the x = 0 column because it holds both mates; here it holds one, which is doubled. The
        zero frequency is its own mate and is not.
        """
        size, half = self.box_size, self.box_size // 2 + 1
        dense = packed.new_zeros(len(packed), size * half)
        count = packed.shape[1]
        alone = (self.frequencies[:count, 0] == 0) & (self.shells[:count] > 0)
        factors = torch.from_numpy(np.where(alone, 2, 1).astype(np.float32)).to(packed.device)
        dense[:, torch.from_numpy(self.index[:count]).to(packed.device)] = packed * factors
        return dense.reshape(-1, size, half)


def _shell_of(pairs: np.ndarray) -> np.ndarray:
    return np.floor(np.sqrt((pairs.astype(np.float64) ** 2).sum(axis=1)) + 0.5).astype(np.int64)


@dataclass(frozen=True)
class Packed:
    """Some particles on a half-disc."""

    indices: np.ndarray
    """(m,) which particles."""
    data: Tensor
    """(m, p) complex64, spectra of the centred images."""
    ctf: Tensor
    """(m, p) float32."""
    rotations: Tensor
    """(m, 3, 3) float32."""
    power: Tensor
    """(m, radius + 1) weighted |data|² per shell, float64."""
    ctf_power: Tensor
    """(m, radius + 1) weighted CTF² per shell, float64."""

    def cut(self, first: int, last: int) -> "Packed":
        """The particles at these places of the batch."""
        part = slice(first, last)
        return Packed(
            self.indices[part],
            self.data[part],
            self.ctf[part],
            self.rotations[part],
            self.power[part],
            self.ctf_power[part],
        )

    def select(self, rows: np.ndarray) -> "Packed":
        """Some of them, by their place here."""
        where = torch.from_numpy(rows).to(self.data.device)
        rest = (self.data, self.ctf, self.rotations, self.power, self.ctf_power)
        return Packed(self.indices[rows], *(values[where] for values in rest))

    def scaled(self, factors: Tensor) -> "Packed":
        """The same particles whose CTF is ``factors`` (m,) times as large."""
        squared = factors.double().square()[:, None]
        return replace(self, ctf=self.ctf * factors[:, None], ctf_power=self.ctf_power * squared)


class ParticleSpectra:
    """All particles on a half-disc, batch by batch, as often as wanted.

    Up to ``memory_bytes`` they are kept; beyond, each pass reads and transforms the images again, so memory stays
    bounded. The batches are the same either way. ``contrasts`` (n,) multiply the CTF of each particle.

    Raises
    ------
    ValueError
        If poses are withheld, the images hold no power, or all are the same image.
    """

    def __init__(
        self,
        particles: Particles,
        radius: int,
        *,
        method: str,
        device: str = "cpu",
        memory_bytes: float = 4e9,
        contrasts: np.ndarray | None = None,
        progress: Progress | None = None,
    ) -> None:
        self._particles = particles
        self._contrasts = contrasts
        self._rotations, self._shifts = require_poses(particles, method)
        self.device = device
        """Where spectra are."""
        self.disc = HalfDisc(particles.box_size, radius)
        self._index = torch.from_numpy(self.disc.index).to(device)
        keeps = len(particles) * len(self.disc.index) * PACKED_BYTES <= memory_bytes
        self._kept: list[Packed] | None = [] if keeps else None
        total = np.zeros(radius + 1)
        first: Tensor | None = None
        alike = len(particles) > 1
        with (progress or Silent()).task("reading particles", total=len(particles)) as task:
            for indices in particles.chunks(CHUNK):
                packed = self._transform(indices)
                total += packed.power.sum(0).cpu().numpy()
                first = packed.power[:1] if first is None else first
                # A shift changes the rounding of an image's power, another image its value.
                alike = alike and bool(torch.isclose(packed.power, first, 1e-4, 1e-6 * float(first.max())).all())
                if self._kept is not None:
                    self._kept.append(packed)
                task.advance(len(indices))
        self.mean_power: np.ndarray = total / (len(particles) * self.disc.shell_weights)
        """(radius + 1,) mean |data|² of each shell: the noise power of a model without particle."""
        if not (self.mean_power[1:] > 0).all():
            raise ValueError("the images hold no power at some frequencies: all pixels equal, or a blank stack.")
        if alike:
            raise ValueError(
                f"all {len(particles)} particles hold the same image, shifts aside: nothing varies between them. "
                "Check the table's image names and the stack."
            )
        self.mean_power[0] = max(self.mean_power[0], self.mean_power[1] * 1e-3)

    def __len__(self) -> int:
        return len(self._particles)

    def batches(self, chosen: np.ndarray | None = None) -> Iterator[Packed]:
        """All particles in their order, or those that ``chosen`` (n,) says."""
        for number, indices in enumerate(self._particles.chunks(CHUNK)):
            rows = np.arange(len(indices)) if chosen is None else np.flatnonzero(chosen[indices])
            if len(rows) == 0:
                continue
            if self._kept is None:
                yield self._transform(indices[rows])
            else:
                yield self._kept[number] if len(rows) == len(indices) else self._kept[number].select(rows)

    def _transform(self, indices: np.ndarray) -> Packed:
        particles, size = self._particles, self._particles.box_size
        shifts = torch.tensor(self._shifts[indices], dtype=torch.float32, device=self.device)
        spectra = fft_images(torch.from_numpy(particles.read(indices)).to(self.device))
        spectra = shift_images(spectra, shifts, size, pixel_size=particles.pixel_size)
        frequencies = torch.from_numpy(self.disc.frequencies / (size * particles.pixel_size)).float()
        data = spectra.flatten(1)[:, self._index]
        ctf = evaluate_ctf(particles.ctf[indices], frequencies.to(self.device))
        if self._contrasts is not None:
            ctf = ctf * torch.from_numpy(self._contrasts[indices]).to(ctf)[:, None]
        return Packed(
            indices=indices,
            data=data,
            ctf=ctf,
            rotations=torch.tensor(self._rotations[indices], dtype=torch.float32, device=self.device),
            power=self.disc.sum_shells(data.abs().square()),
            ctf_power=self.disc.sum_shells(ctf.square()),
        )
