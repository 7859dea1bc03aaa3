"""Checks of particles on adoption, so that no method finds a fault hours later.

Impossible values are refused; doubtful ones are reported in ``notes``, kept on the card and printed.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cryobench._errors import FormatError
from cryobench._sampling import spread_indices
from cryobench.data import Particles
from cryobench.io.adoption.image_keys import image_keys
from cryobench.io.adoption.stated_size import differs
from cryobench.io.formats.mrc import MrcStacks
from cryobench.io.programs.phase_flips import stacks_of

_SAMPLE = 256
"""Number of images read, evenly spaced through the particles."""
_CHUNK = 32
_UPRIGHT = 1e-6


def check_particles(particles: Particles, notes: list[str]) -> Particles:
    """The particles, without meaningless poses; unusual facts are added to ``notes``.

    Raises
    ------
    FormatError
        If a pixel of a sample of the images is not finite.
    """
    stacks = stacks_of(particles.images)
    if stacks is not None:
        _check_pixels(stacks)
        _note_headers(stacks, particles.pixel_size, notes)
        _note_doubled(stacks, notes)
    if np.median(particles.ctf.defocus_u) < 0:
        notes.append("most particles have negative defocus, which means overfocus: underfocus is positive here")
    return _without_flat_poses(particles, notes)


def _check_pixels(stacks: MrcStacks) -> None:
    chosen = spread_indices(len(stacks), _SAMPLE)
    for start in range(0, len(chosen), _CHUNK):
        some = chosen[start : start + _CHUNK]
        finite = np.isfinite(stacks.read(some)).all(axis=(1, 2))
        if not finite.all():
            particle = int(some[np.argmin(finite)])
            raise FormatError(
                f"particle {particle}, image {stacks.image_index[particle] + 1} (counted from 1) of"
                f" {stacks.paths[stacks.file_index[particle]]}, has pixels that are NaN or infinite, expected finite"
                f" numbers ({len(chosen)} images were checked). Remove it from the table, or make the stack again."
            )


def _note_headers(stacks: MrcStacks, pixel_size: float, notes: list[str]) -> None:
    other = [header for header in stacks.headers if differs(header.pixel_sizes[0], pixel_size)]
    if other:
        notes.append(
            f"{other[0].path.name}{_and_others(len(other) - 1)} has pixels of {other[0].pixel_sizes[0]:.4g} Å in"
            f" its header, but the particles have {pixel_size:.4g} Å, which is used"
        )
    integers = [header for header in stacks.headers if header.signs_overruled]
    if integers:
        kind = "unsigned" if integers[0].dtype.kind == "u" else "signed"
        notes.append(
            f"{integers[0].path.name}{_and_others(len(integers) - 1)} is read as {kind}"
            f" {8 * integers[0].dtype.itemsize}-bit integers: as its header states, numbers would wrap around"
        )


def _and_others(count: int) -> str:
    return f" (and {count:,} other stack{'s' * (count > 1)})" if count else ""


def _note_doubled(stacks: MrcStacks, notes: list[str]) -> None:
    keys = image_keys(stacks)
    distinct, counts = np.unique(keys, return_counts=True)
    if (counts > 1).any():
        first, second = np.flatnonzero(keys == distinct[np.argmax(counts > 1)])[:2]
        notes.append(
            f"{int((counts > 1).sum()):,} images belong to more than one particle, such as image"
            f" {stacks.image_index[first] + 1} of {stacks.paths[stacks.file_index[first]].name}, of particles"
            f" {first} and {second}: they count twice"
        )


def _without_flat_poses(particles: Particles, notes: list[str]) -> Particles:
    """Particles without poses if all views are along the reference's axis, as written by 2D classification."""
    if particles.rotations is None or len(particles) < 2:
        return particles
    if (np.abs(particles.rotations[:, 2, 2]) < 1 - _UPRIGHT).any():
        return particles
    notes.append(
        f"no poses: all {len(particles):,} particles have only in-plane angles (rot = tilt = 0), as 2D"
        " classification writes them"
    )
    return replace(particles, rotations=None, shifts=None)
