"""A reading of particles: an interpretation of their images, CTFs and poses.

The stated reading is that of the data set. Every hypothesis about a wrong convention changes one reading into
another; all are tried on the same images.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, Self

import numpy as np
import torch
from jaxtyping import Complex64, Float
from torch import Tensor

from cryobench.data import Particles
from cryobench.imaging.ctf import Ctf, evaluate_ctf
from cryobench.imaging.half_disc import HalfDisc
from cryobench.reconstruction.images import centre, require_poses, transform_images

CtfForm = Literal["signed", "flipped", "premultiplied", "absent"]
"""Effect of the CTF on the images: applied; applied with phases flipped; applied twice (premultiplied); or none."""


_ENTRIES = 150_000
"""Number of entries of spectra that are processed together."""


@dataclass(frozen=True, eq=False)
class Stated:
    """Stated values for n particles, in the package's conventions as far as known."""

    ctf: Ctf
    rotations: np.ndarray
    """(n, 3, 3), particle from reference."""
    shifts: np.ndarray
    """(n, 2) Å, (x, y), the displacement that centres each particle."""
    pixel_size: float
    """Å per pixel of the stored images."""
    box_size: int
    """Side of the stored images in px."""

    @classmethod
    def of(cls, particles: Particles, *, posed: bool = True) -> Self:
        """Stated values of particles with poses (ValueError without), or of any particles with identity poses."""
        n = len(particles)
        poses = require_poses(particles) if posed else (np.tile(np.eye(3), (n, 1, 1)), np.zeros((n, 2)))
        return cls(particles.ctf, *poses, particles.pixel_size, particles.box_size)

    def __len__(self) -> int:
        return len(self.rotations)

    def select(self, chosen: np.ndarray) -> Self:
        """The chosen particles, in that order."""
        return replace(self, ctf=self.ctf[chosen], rotations=self.rotations[chosen], shifts=self.shifts[chosen])


@dataclass(frozen=True, eq=False)
class Reading:
    """Images on a half-disc, with their assumed poses and CTFs."""

    disc: HalfDisc
    """Half-disc of the images, cropped to a box of the same length."""
    images: Complex64[Tensor, "n p"]
    """Spectra of the images as stored, about the box centre."""
    stated: Stated
    form: CtfForm = "signed"

    @classmethod
    def of(cls, particles: Particles, box_size: int, *, posed: bool = True) -> Self:
        """The stated reading, of images cropped to a box at most as large as theirs.

        ValueError without poses, unless they are not ``posed``.
        """
        stated = Stated.of(particles, posed=posed)
        particles = particles.at_box(min(box_size, particles.box_size))
        disc = HalfDisc(particles.box_size, (particles.box_size - 1) // 2)
        spectra = [transform_images(particles, chunk, disc).data for chunk in particles.chunks()]
        return cls(disc, torch.cat(spectra), stated)

    def __len__(self) -> int:
        return len(self.images)

    def select(self, chosen: np.ndarray) -> Self:
        """The chosen particles, in that order."""
        return replace(self, images=self.images[torch.from_numpy(chosen)], stated=self.stated.select(chosen))

    def changed(self, *, stated: Stated | None = None, images: Tensor | None = None) -> Self:
        """The reading with other tables or images. The transfer, which is slow to evaluate, is kept if unchanged."""
        stated = stated or self.stated
        other = replace(self, stated=stated, images=self.images if images is None else images)
        if stated.ctf is self.stated.ctf and stated.pixel_size == self.stated.pixel_size:
            other.__dict__["transfer"] = self.transfer
        return other

    def cropped(self, box_size: int) -> Self:
        """The reading with images cropped to a box at most as large."""
        if box_size >= self.disc.box_size:
            return self
        disc = HalfDisc(box_size, (box_size - 1) // 2)
        # Whole shells are the first entries of any half-disc, in the same order.
        return replace(self, disc=disc, images=self.images[:, : len(disc.index)].contiguous())

    @property
    def pixel_size(self) -> float:
        """Å per pixel of the disc's box."""
        return self.stated.pixel_size * self.stated.box_size / self.disc.box_size

    @cached_property
    def transfer(self) -> Float[Tensor, "n p"]:
        """Factor from a particle's spectrum to that of its image, except noise: the CTF in its form."""
        if self.form == "absent":
            return torch.ones(self.images.shape)
        frequencies = torch.from_numpy(self.disc.frequencies / (self.disc.box_size * self.pixel_size)).float()
        transfer = evaluate_ctf(self.stated.ctf, frequencies)
        return transfer.abs() if self.form == "flipped" else transfer

    def parts(self) -> list[slice]:
        """Slices of the images that are processed together."""
        step = max(_ENTRIES // len(self.disc.index), 1)
        return [slice(first, min(first + step, len(self))) for first in range(0, len(self), step)]

    def match(self, part: slice) -> Complex64[Tensor, "n p"]:
        """Centred images, multiplied by the CTF unless they are premultiplied."""
        centred = centre(self.images[part], self.stated.shifts[part], self.disc, pixel_size=self.pixel_size)
        return centred if self.form == "premultiplied" else centred * self.transfer[part]

    def turned(self, matrix: np.ndarray) -> Self:
        """The images with rows and columns reordered, as arrays: F'(k) = F(M k).

        ``matrix`` M is a signed permutation of (x, y). Reversing an axis of an even number of pixels shifts the
        centre by one pixel.
        """
        index, conjugate = _turn_entries(self.disc, matrix)
        turned = self.images[:, torch.from_numpy(index)]
        turned = torch.where(torch.from_numpy(conjugate), turned.conj(), turned).contiguous()
        reversed_axes = matrix.sum(axis=1) < 0
        moved = -1.0 * reversed_axes * (self.stated.box_size % 2 == 0)
        return self.changed(images=turned).rolled(moved)

    def rolled(self, offset: np.ndarray) -> Self:
        """The images shifted by an offset (x, y) in stored pixels."""
        if not np.any(offset):
            return self
        away = np.tile(np.asarray(offset, dtype=np.float64) * self.stated.pixel_size, (len(self), 1))
        return self.changed(images=centre(self.images, away, self.disc, pixel_size=self.pixel_size))


def _turn_entries(disc: HalfDisc, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Position (p,) of each entry M k in a half-disc, and whether it is stored as its Friedel mate −M k."""
    turned = disc.frequencies @ matrix.T
    conjugate = (turned[:, 0] < 0) | ((turned[:, 0] == 0) & (turned[:, 1] < 0))
    turned[conjugate] *= -1
    place = {tuple(pair): number for number, pair in enumerate(disc.frequencies.tolist())}
    return np.array([place[tuple(pair)] for pair in turned.tolist()]), conjugate
