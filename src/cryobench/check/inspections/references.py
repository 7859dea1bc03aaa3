"""Reference maps against the images: contrast, hand and frame, by Fourier shell correlation.

Half-maps of the images are compared with a reference in the shells in which the two halves agree, in its own frame
and, if requested, aligned in either hand. Each half is compared separately, so every number has an error.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float

from cryobench._sampling import spread_indices
from cryobench.check.inspections.density import judge_contrast
from cryobench.data import Particles, VolumeSource
from cryobench.fourier import fourier_crop
from cryobench.reconstruction.statistics import volume_fsc
from cryobench.volumes import align, mirror_volume
from cryobench.volumes.regrid import regrid_volume

_LIKE = 0.02
"""Difference in correlation required for a conclusion."""
_SIGMAS = 5.0
_SHOWN = 0.143
"""Half-set FSC above which a shell is compared."""
_LEAST_SHELLS = 4
AGREES = 0.5
"""Correlation above which a reference is considered to be in the frame of the half-maps."""
_MOST_MAPS = 8
_ALIGNED = 48
"""Maximum box size for alignment, in voxels."""
_MOVED_DEGREES, _MOVED_VOXELS = 3.0, 1.0

Hand = Literal["same", "other", "open"]


@dataclass(frozen=True)
class InPlace:
    """A reference compared in the frame of the poses, without alignment."""

    as_it_is: float
    """Mean FSC with the half-maps."""
    mirrored: float
    """The same for its mirror image, z reversed."""
    error: float
    """Error of both, from the difference of the two halves."""

    @property
    def is_inverted(self) -> bool:
        """Whether its contrast is inverted."""
        return max(self.as_it_is, self.mirrored, key=abs) < -max(_LIKE, _SIGMAS * self.error)

    @property
    def is_mirrored(self) -> bool:
        """Whether the mirror image agrees better."""
        return abs(self.mirrored) > abs(self.as_it_is) + max(_LIKE, _SIGMAS * self.error)

    @property
    def evidence(self) -> str:
        """Evidence, as a clause."""
        return (
            f"their mean correlates with the images at {self.as_it_is:.2f}, its mirror image at {self.mirrored:.2f}, "
            f"± {self.error:.2g}"
        )


@dataclass(frozen=True)
class Aligned:
    """A reference aligned to the half-maps in either hand."""

    same_hand: float
    """Mean FSC of its best alignment."""
    other_hand: float
    """The same for its mirror image."""
    error: float
    """Error of their difference, from the two halves."""
    angle: float
    """Rotation of the better alignment in degrees."""
    shift: float
    """Shift of the better alignment in Å."""
    moved: bool
    """Whether these exceed the uncertainty of the alignment."""

    @property
    def hand(self) -> Hand:
        """Hand of the poses relative to the reference."""
        least = max(_LIKE, _SIGMAS * self.error)
        if abs(self.same_hand - self.other_hand) <= least:
            return "open"
        return "same" if self.same_hand > self.other_hand else "other"


@dataclass(frozen=True)
class References:
    """Evidence of reference maps on a data set."""

    in_place: InPlace
    aligned: Aligned | None
    """None if they agree without alignment, and it was not requested."""
    inverted: bool
    """Whether their own density has the opposite contrast, which was inverted first."""

    @property
    def hand(self) -> Hand:
        """Hand of the poses relative to the maps."""
        if self.aligned is not None:
            return self.aligned.hand
        return "other" if self.in_place.is_mirrored else "same"

    @property
    def lie_elsewhere(self) -> bool:
        """Whether they are in another frame than the poses."""
        return self.aligned is not None and self.aligned.moved

    @property
    def evidence(self) -> str:
        """Evidence, as a clause."""
        if self.aligned is None:
            return self.in_place.evidence
        return (
            f"aligned, the maps correlate with the images at {self.aligned.same_hand:.2f}, and mirrored at "
            f"{self.aligned.other_hand:.2f}, ± {self.aligned.error:.2g}"
        )

    @property
    def notes(self) -> list[str]:
        """Findings from the maps other than a wrong hand."""
        found = []
        if self.inverted:
            found.append("The maps have inverted contrast: their density is dark.")
        if self.hand == "open":
            found.append(f"The hand cannot be decided with these maps: {self.evidence}.")
        elif self.hand == "same":
            found.append(f"The hand is that of the maps: {self.evidence}.")
        if self.aligned is not None and self.lie_elsewhere:
            found.append(
                f"The maps are in another frame than the poses: they correlate at {self.in_place.as_it_is:.2f} "
                f"without alignment, and must be rotated by {self.aligned.angle:.0f}° and shifted by "
                f"{self.aligned.shift:.0f} Å."
            )
        return found


def mean_map(
    maps: VolumeSource, particles: Particles, box_size: int, chosen: Sequence[int] | None = None
) -> Float[np.ndarray, "z y x"]:
    """Mean of maps on the grid of the particles, over the whole box on fewer voxels.

    ``chosen`` are the indices to read, repeats included; by default at most eight, evenly spaced.
    """
    some = spread_indices(len(maps), _MOST_MAPS) if chosen is None else chosen
    items, counts = np.unique(some, return_counts=True)
    mean = np.average([maps.read(int(item)) for item in items], axis=0, weights=counts).astype(np.float32)
    extent = particles.box_size * particles.pixel_size
    return regrid_volume(mean, particles.pixel_size, box_size=box_size, new_pixel_size=extent / box_size)


def compare_in_place(halves: Float[np.ndarray, "2 z y x"], reference: Float[np.ndarray, "z y x"]) -> InPlace:
    """Comparison of two half-maps with a reference on their grid, and with its mirror image."""
    shells = _shown_shells(halves)
    scores = np.array(
        [[_fsc(half, each)[shells].mean() for half in halves] for each in (reference, mirror_volume(reference))]
    )
    means = scores.mean(axis=1)
    return InPlace(float(means[0]), float(means[1]), float(np.abs(scores[:, 0] - scores[:, 1]).max() / 2))


def judge_references(
    halves: Float[np.ndarray, "2 z y x"],
    reference: Float[np.ndarray, "z y x"],
    pixel_size: float,
    *,
    always_align: bool = True,
) -> References:
    """Evidence of a reference on the half-maps' grid of ``pixel_size`` Å, unaligned and aligned in either hand.

    Unless always aligned, it is aligned only if it does not agree without.
    """
    inverted = judge_contrast(np.stack([reference, reference])).verdict == "inverted"
    reference = -reference if inverted else reference
    in_place = compare_in_place(halves, reference)
    agrees = in_place.as_it_is > max(AGREES, in_place.mirrored + max(_LIKE, _SIGMAS * in_place.error))
    aligned = None if agrees and not always_align else _align_both_hands(halves, reference, pixel_size)
    return References(in_place, aligned, inverted)


def _align_both_hands(
    halves: Float[np.ndarray, "2 z y x"], reference: Float[np.ndarray, "z y x"], pixel_size: float
) -> Aligned:
    size = min(len(reference), _ALIGNED)
    pixel_size *= len(reference) / size
    one, other, target = (
        fourier_crop(torch.from_numpy(np.array(each, dtype=np.float32)), size, dimensions=3).numpy()
        for each in (*halves, reference)
    )
    last = _shown_shells(np.stack([one, other]))[-1]
    resolution = max(size * pixel_size / last, 2.5 * pixel_size)
    found = [align(target, half, pixel_size=pixel_size, resolution=resolution) for half in (one, other)]
    pairs = [(each.score, each.other_hand_score)[:: -1 if each.mirrored else 1] for each in found]
    scores = np.array(pairs, dtype=np.float64)
    differences, best = scores[:, 0] - scores[:, 1], found[0]
    angle = float(np.degrees(np.arccos(np.clip((np.trace(best.rotation) - 1) / 2, -1, 1))))
    shift = float(np.linalg.norm(best.shift))
    same_hand, other_hand = scores.mean(axis=0).tolist()
    error = float(abs(differences[0] - differences[1]) / 2)
    moved = angle > _MOVED_DEGREES or shift > _MOVED_VOXELS * pixel_size
    return Aligned(same_hand, other_hand, error, angle, shift, moved)


def _shown_shells(halves: Float[np.ndarray, "2 z y x"]) -> np.ndarray:
    """Shells, except the zero frequency, up to the first in which two half-maps do not agree."""
    fsc = _fsc(halves[0], halves[1])[1:]
    below = np.flatnonzero(fsc < _SHOWN)
    last = int(below[0]) if len(below) else len(fsc)
    return np.arange(1, max(last, min(_LEAST_SHELLS, len(fsc))) + 1)


def _fsc(one: Float[np.ndarray, "z y x"], other: Float[np.ndarray, "z y x"]) -> Float[np.ndarray, "s"]:
    return volume_fsc(*(torch.from_numpy(np.asarray(each, dtype=np.float32)) for each in (one, other)))
