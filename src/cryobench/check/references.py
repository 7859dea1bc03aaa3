"""Maps of elsewhere against what the images show: contrast, hand and frame, by their Fourier shell correlation.

Half-maps of the images are compared with a reference in the shells in which the two halves agree, as they lie and,
where that is asked, aligned in either hand. Each half is compared by itself, so that every number has an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float

from cryobench.data import Particles, VolumeSource
from cryobench.fourier import fourier_crop
from cryobench.reconstruction.statistics import volume_fsc
from cryobench.volumes import align, mirror_volume
from cryobench.volumes.regrid import regrid_volume

_LIKE = 0.02
"""Correlation by which one reading must exceed the other before anything is said."""
_SIGMAS = 5.0
_SHOWN = 0.143
"""Half-set FSC above which a shell is compared."""
_LEAST_SHELLS = 4
_MOST_MAPS = 8
_ALIGNED = 48
"""Voxels a side, at most, that are aligned."""
_MOVED_DEGREES, _MOVED_VOXELS = 3.0, 1.0

Hand = Literal["same", "other", "open"]


@dataclass(frozen=True)
class InPlace:
    """A reference in the frame of the poses, as it lies."""

    as_it_is: float
    """Mean FSC with the half-maps."""
    mirrored: float
    """The same of its mirror image, z reversed."""
    error: float
    """Of both, from the difference of the two halves."""

    @property
    def is_inverted(self) -> bool:
        """Whether its contrast is the other one."""
        return max(self.as_it_is, self.mirrored, key=abs) < -max(_LIKE, _SIGMAS * self.error)

    @property
    def is_mirrored(self) -> bool:
        """Whether the mirror image agrees better."""
        return abs(self.mirrored) > abs(self.as_it_is) + max(_LIKE, _SIGMAS * self.error)

    @property
    def evidence(self) -> str:
        """A clause."""
        return (
            f"their mean correlates with the images at {self.as_it_is:.2f}, its mirror image at {self.mirrored:.2f}, "
            f"± {self.error:.2g}"
        )


@dataclass(frozen=True)
class Aligned:
    """A reference that was brought onto the half-maps, in either hand."""

    same_hand: float
    """Mean FSC of its best alignment."""
    other_hand: float
    """The same of its mirror image."""
    error: float
    """Of the difference of both, from the two halves."""
    angle: float
    """Degrees by which the better one was turned."""
    shift: float
    """Å by which it was moved."""
    moved: bool
    """Whether that is more than the alignment's own uncertainty."""

    @property
    def hand(self) -> Hand:
        """Hand of the poses, against that of the reference."""
        least = max(_LIKE, _SIGMAS * self.error)
        if abs(self.same_hand - self.other_hand) <= least:
            return "open"
        return "same" if self.same_hand > self.other_hand else "other"


@dataclass(frozen=True)
class References:
    """What maps of elsewhere say of a data set."""

    in_place: InPlace
    aligned: Aligned


def mean_map(
    maps: VolumeSource, particles: Particles, box_size: int, chosen: Sequence[int] | None = None
) -> Float[np.ndarray, "z y x"]:
    """Mean of maps on the grid of the particles, over the whole box on fewer voxels.

    ``chosen`` are those to be read, as often as they stand there; by default at most eight, evenly spaced.
    """
    if chosen is None:
        chosen = np.unique(np.linspace(0, len(maps) - 1, min(_MOST_MAPS, len(maps))).astype(int)).tolist()
    counts = {item: list(chosen).count(item) for item in dict.fromkeys(chosen)}
    total = sum(count * maps.read(item).astype(np.float64) for item, count in counts.items())
    extent = particles.box_size * particles.pixel_size
    mean = np.asarray(total / len(chosen), dtype=np.float32)
    return regrid_volume(mean, particles.pixel_size, box_size=box_size, new_pixel_size=extent / box_size)


def compare_in_place(halves: Float[np.ndarray, "2 z y x"], reference: Float[np.ndarray, "z y x"]) -> InPlace:
    """Two half-maps against a reference on their grid, and against its mirror image."""
    shells = _shown_shells(halves)
    scores = np.array(
        [[_fsc(half, each)[shells].mean() for half in halves] for each in (reference, mirror_volume(reference))]
    )
    means = scores.mean(axis=1)
    return InPlace(float(means[0]), float(means[1]), float(np.abs(scores[:, 0] - scores[:, 1]).max() / 2))


def judge_references(
    halves: Float[np.ndarray, "2 z y x"], reference: Float[np.ndarray, "z y x"], pixel_size: float
) -> References:
    """Two half-maps against a reference on their grid of ``pixel_size`` Å, as it lies and aligned in either hand."""
    box = len(reference)
    size = min(box, _ALIGNED)
    pixel_size *= box / size
    small = [_crop(each, size) for each in (*halves, reference)]
    small_halves = np.stack(small[:2])
    finest = 2 * pixel_size * (size // 2) / _shown_shells(small_halves)[-1]
    scores, found = [], []
    for half in small_halves:
        one = align(small[2], half, pixel_size=pixel_size, resolution=max(finest, 2.5 * pixel_size))
        other = one.other_hand_score
        assert other is not None
        scores.append((other, one.score) if one.mirrored else (one.score, other))
        found.append(one)
    same, opposite = np.mean(scores, axis=0)
    differences = [first - second for first, second in scores]
    best = found[0]
    angle = float(np.degrees(np.arccos(np.clip((np.trace(best.rotation) - 1) / 2, -1, 1))))
    shift = float(np.linalg.norm(best.shift))
    moved = angle > _MOVED_DEGREES or shift > _MOVED_VOXELS * pixel_size
    aligned = Aligned(float(same), float(opposite), abs(differences[0] - differences[1]) / 2, angle, shift, moved)
    return References(compare_in_place(halves, reference), aligned)


def _shown_shells(halves: Float[np.ndarray, "2 z y x"]) -> np.ndarray:
    """Shells, but the zero frequency, up to the first in which two half-maps do not agree."""
    fsc = _fsc(halves[0], halves[1])[1:]
    below = np.flatnonzero(fsc < _SHOWN)
    last = int(below[0]) if len(below) else len(fsc)
    return np.arange(1, max(last, min(_LEAST_SHELLS, len(fsc))) + 1)


def _fsc(one: Float[np.ndarray, "z y x"], other: Float[np.ndarray, "z y x"]) -> Float[np.ndarray, "s"]:
    return volume_fsc(*(torch.from_numpy(np.asarray(each, dtype=np.float32)) for each in (one, other)))


def _crop(volume: Float[np.ndarray, "z y x"], size: int) -> Float[np.ndarray, "z y x"]:
    if len(volume) == size:
        return np.asarray(volume, dtype=np.float32)
    return fourier_crop(torch.from_numpy(np.asarray(volume, dtype=np.float32)), size, dimensions=3).numpy()
