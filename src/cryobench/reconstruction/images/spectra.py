"""Images and CTFs on a half-disc, batch by batch: transformed, packed, and kept if they fit in memory.

``ImageSpectra`` has no poses, as a search for them requires. ``PosedSpectra`` centres every image once by
its given shift, and also has its rotation.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from functools import reduce
from itertools import pairwise
from operator import add
from typing import Generic, Self, TypeVar

import numpy as np
import torch
from jaxtyping import Bool, Complex, Float, Int, Shaped
from torch import Tensor

from cryobench._progress import Progress, Silent
from cryobench._threads import count_threads, run_parts
from cryobench.data import CHUNK, Particles
from cryobench.fourier import fft_images
from cryobench.imaging.ctf import evaluate_ctf
from cryobench.imaging.half_disc import HalfDisc
from cryobench.imaging.kernels.cpu.centring import turn_phases
from cryobench.reconstruction.images.power import ImagePower
from cryobench.rotations import order_directions

ENTRY_BYTES = 12
"""Bytes of one packed entry: complex64 data and float32 CTF."""
_BLOCK_PIXELS = 2**22
"""Most pixels in a block, 16 MB of images: memory for arrays of more than 32 MB is new each time, and takes longer to
get than to fill."""


@dataclass(frozen=True)
class Spectra:
    """Some particles on a half-disc, without poses."""

    indices: np.ndarray
    """(m,) indices of the particles."""
    data: Tensor
    """(m, p) complex64, spectra of the images."""
    ctf: Tensor
    """(m, p) float32."""
    power: Tensor
    """(m, radius + 1) weighted |data|² per shell, float64."""
    ctf_power: Tensor
    """(m, radius + 1) weighted CTF² per shell, float64."""

    def __len__(self) -> int:
        return len(self.indices)

    def cut(self, first: int, last: int) -> Self:
        """Particles ``first`` … ``last`` of the batch."""
        return self._each(slice(first, last), slice(first, last))

    def select(self, rows: Shaped[np.ndarray, "r"]) -> Self:
        """Particles at some positions in the batch."""
        return self._each(rows, torch.from_numpy(rows).to(self.data.device))

    def scaled(self, factors: Float[Tensor, "m"]) -> Self:
        """The same particles whose CTF is ``factors`` (m,) times as large."""
        squared = factors.double().square()[:, None]
        return replace(self, ctf=self.ctf * factors[:, None], ctf_power=self.ctf_power * squared)

    def _each(self, rows: slice | Shaped[np.ndarray, "r"], where: slice | Shaped[Tensor, "r"]) -> Self:
        parts = {each.name: getattr(self, each.name)[where] for each in fields(self) if each.name != "indices"}
        return type(self)(indices=self.indices[rows], **parts)


@dataclass(frozen=True)
class Posed(Spectra):
    """Some particles on a half-disc, centred by their shifts, with their rotations."""

    rotations: Tensor
    """(m, 3, 3) float32."""


def transform_images(
    particles: Particles, indices: Int[np.ndarray, "m"], disc: HalfDisc, *, device: torch.device | str = "cpu"
) -> Spectra:
    """Spectra and CTFs of particles (m,), without centring. ValueError if a pixel is not finite."""
    data = disc.pack(fft_images(torch.from_numpy(particles.read(indices)).to(device)))
    frequencies = torch.from_numpy(disc.frequencies / (particles.box_size * particles.pixel_size)).float()
    ctf = evaluate_ctf(particles.ctf[indices], frequencies.to(device))
    return Spectra(indices, data, ctf, disc.shell_power(data), disc.shell_power(ctf))


def centre(
    spectra: Complex[Tensor, "m p"], shifts: Float[np.ndarray, "m 2"], disc: HalfDisc, *, pixel_size: float
) -> Complex[Tensor, "m p"]:
    """Packed spectra (m, p) of the images translated by their ``shifts`` (m, 2) in Å, which centres the particles."""
    radians = torch.from_numpy(-2 * np.pi / (disc.box_size * pixel_size) * shifts.astype(np.float64))
    reach = torch.arange(-disc.radius, disc.radius + 1, dtype=torch.float64)
    along_x, along_y = (
        torch.polar(torch.ones(1, 1, dtype=torch.float64), radians[:, axis : axis + 1] * reach)
        .to(spectra.dtype)
        .to(spectra.device)
        for axis in (0, 1)
    )
    columns, rows = (axis + disc.radius for axis in disc.frequencies.T)
    if spectra.device.type != "cpu" or spectra.dtype != torch.complex64:
        column, row = (torch.from_numpy(index).to(spectra.device) for index in (columns, rows))
        return along_x[:, column].mul_(along_y[:, row]).mul_(spectra)
    centred = torch.empty_like(spectra, memory_format=torch.contiguous_format)
    arrays = [torch.view_as_real(values).numpy() for values in (spectra, along_x, along_y)]
    target = torch.view_as_real(centred).numpy()
    bounds = np.linspace(0, len(spectra), min(count_threads(), len(spectra)) + 1).astype(int)
    run_parts(turn_phases, [(*arrays, columns, rows, target, *ends) for ends in pairwise(bounds)])
    return centred


Batch = TypeVar("Batch", bound=Spectra)


class _Batches(ABC, Generic[Batch]):
    """All particles on a half-disc, batch by batch, for repeated passes."""

    def __init__(
        self,
        particles: Particles,
        radius: int,
        *,
        device: str = "cpu",
        keep_bytes: float = 4e9,
        contrasts: Float[np.ndarray, "n"] | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.particles = particles
        self.device = device
        """Device of the spectra."""
        self.disc = HalfDisc(particles.box_size, radius)
        self.visited: Callable[[int], object] | None = None
        """Called with the number of particles of each batch that was visited."""
        self._contrasts = contrasts
        order = self._arrange(particles)
        size = block_size(particles.box_size)
        self._blocks = [order[first : first + size] for first in range(0, len(order), size)]
        fitting = int(keep_bytes / spectra_bytes(self.disc))
        self._kept: list[Batch] = []
        """The first blocks, as many as fit."""
        parts: list[ImagePower] = []
        with (progress or Silent()).task("reading particles", total=len(particles)) as task:
            for indices in self._blocks:
                batch = self._load(indices)
                parts.append(ImagePower.of(batch.power.cpu().numpy() / self.disc.shell_weights))
                fitting -= len(indices)
                if fitting >= 0:
                    self._kept.append(batch)
                task.advance(len(indices))
        self.power = reduce(add, parts)

    def __len__(self) -> int:
        return len(self.particles)

    def batches(self, chosen: Bool[np.ndarray, "n"] | None = None) -> Iterator[Batch]:
        """All particles, or those of the mask ``chosen``, in fixed blocks."""
        for number, indices in enumerate(self._blocks):
            rows = np.arange(len(indices)) if chosen is None else np.flatnonzero(chosen[indices])
            if len(rows) == 0:
                continue
            if number >= len(self._kept):
                yield self._load(indices[rows])
            else:
                yield self._kept[number] if len(rows) == len(indices) else self._kept[number].select(rows)
            if self.visited is not None:
                self.visited(len(rows))

    @property
    def mean_power(self) -> Float[np.ndarray, "s"]:
        """(radius + 1,) mean |data|² of each shell. ValueError as ``ImagePower.mean``."""
        return self.power.mean()

    @staticmethod
    def _arrange(particles: Particles) -> Int[np.ndarray, "n"]:
        """Order in which the particles are visited."""
        return np.arange(len(particles))

    @abstractmethod
    def _load(self, indices: Int[np.ndarray, "m"]) -> Batch: ...

    def _transform(self, indices: Int[np.ndarray, "m"]) -> Spectra:
        spectra = transform_images(self.particles, indices, self.disc, device=self.device)
        if self._contrasts is None:
            return spectra
        return spectra.scaled(torch.from_numpy(self._contrasts[indices]).to(spectra.ctf))


class ImageSpectra(_Batches[Spectra]):
    """All images on a half-disc, without poses.

    Parameters
    ----------
    particles
        With or without poses, which are ignored.
    radius
        Of the half-disc, in index units.
    device
        Where spectra are.
    keep_bytes
        Spectra are kept up to this many bytes; each pass reads and transforms the other images again. Batches are the
        same for any number.
    contrasts
        (n,) factors of the particles' CTFs; None for one.

    Raises
    ------
    ValueError
        If a pixel is not finite.
    """

    def _load(self, indices: Int[np.ndarray, "m"]) -> Spectra:
        return self._transform(indices)


class PosedSpectra(_Batches[Posed]):
    """All particles at given poses on a half-disc: as ``ImageSpectra``, centred, with rotations.

    Particles seen from similar directions follow each other: their slices read and write the same voxels, which are
    then in the cache.

    Raises
    ------
    ValueError
        As ``ImageSpectra``, or if poses are withheld.
    """

    @staticmethod
    def _arrange(particles: Particles) -> Int[np.ndarray, "n"]:
        return order_directions(require_poses(particles)[0][:, 2])

    def _load(self, indices: Int[np.ndarray, "m"]) -> Posed:
        rotations, shifts = require_poses(self.particles)
        found = self._transform(indices)
        return Posed(
            indices,
            centre(found.data, shifts[indices], self.disc, pixel_size=self.particles.pixel_size),
            found.ctf,
            found.power,
            found.ctf_power,
            torch.tensor(rotations[indices], dtype=torch.float32, device=self.device),
        )


def require_poses(particles: Particles) -> tuple[Float[np.ndarray, "n 3 3"], Float[np.ndarray, "n 2"]]:
    """Rotations (n, 3, 3) and shifts (n, 2) of the particles. ValueError if they are withheld."""
    if particles.rotations is None or particles.shifts is None:
        raise ValueError("these particles come without poses, which are needed here: choose an ab initio method.")
    return particles.rotations, particles.shifts


def block_size(box_size: int) -> int:
    """Particles in a batch."""
    return min(CHUNK, max(1, _BLOCK_PIXELS // box_size**2))


def spectra_bytes(disc: HalfDisc) -> float:
    """Bytes of one kept particle."""
    return len(disc.index) * ENTRY_BYTES


def bytes_to_keep(n: int, disc: HalfDisc, left: float, *, n_shards: int = 1) -> float:
    """Bytes needed to keep all n particles, in that many shards; 0 where that exceeds the bytes ``left``."""
    wanted = n_shards * -(-n // n_shards) * spectra_bytes(disc)
    return wanted if wanted <= left else 0.0
