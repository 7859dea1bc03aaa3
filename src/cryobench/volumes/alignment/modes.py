"""Alignment of one volume, or of many, to references: the public functions."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from cryobench._errors import UnknownName
from cryobench._one_thread import one_blas_thread
from cryobench._sampling import spread_indices
from cryobench.volumes.alignment.checks import AnyVolume
from cryobench.volumes.alignment.problem import pose_problem
from cryobench.volumes.alignment.refine import Candidate
from cryobench.volumes.alignment.search import polish, search_transforms
from cryobench.volumes.alignment.transform import Alignment

Mode = Literal["none", "reconstruction", "volume"]
MODES: tuple[Mode, ...] = ("none", "reconstruction", "volume")

_JOINT_PAIRS = 6
_LIKE_HANDS = 1e-4


def align(
    volume: AnyVolume,
    reference: AnyVolume,
    *,
    pixel_size: float = 1.0,
    mask: AnyVolume | None = None,
    resolution: float | None = None,
    try_mirror: bool = True,
) -> Alignment:
    """Rotation, shift and hand that align a volume to a reference.

    A symmetric reference has several solutions, of which one is returned.

    Parameters
    ----------
    volume, reference
        (z, y, x) of one cubic box, tensors or arrays; scale, offset and filter do not matter.
    pixel_size
        Å. With the default 1 shifts are in voxels.
    mask
        (z, y, x) in the reference's frame, in [0, 1]: the part of the reference that is looked for. By default each
        volume is masked by its own generous envelope, which removes the noise around it.
    resolution
        Finest detail used, in Å. Default: 3 voxels, or 1/32 of the box where that is coarser.
    try_mirror
        Whether the volume may be of the other hand. Hands of like score (to 1e-4) leave it unmirrored.

    Raises
    ------
    ValueError
        If boxes differ, are not cubic or hold fewer than 11 voxels an axis; if a volume is constant or not finite;
        if the resolution is out of the box's reach.

    Examples
    --------
    An array read backwards along z is a mirror image, one voxel off in an even box:

    >>> import numpy as np
    >>> volume = np.zeros((24, 24, 24), dtype=np.float32)
    >>> volume[10:14, 9:16, 12:18], volume[14:18, 12:14, 8:14] = 1.0, 0.5
    >>> found = align(volume, np.roll(volume[::-1], 2, axis=2))
    >>> found.mirrored, (found.shift.round(1) + 0.0).tolist(), round(found.score, 3)
    (True, [2.0, 0.0, -1.0], 1.0)
    >>> moved = found.apply(volume)  # in the frame of the reference
    """
    settings = {"pixel_size": pixel_size, "mask": mask, "resolution": resolution, "try_mirror": try_mirror}
    return _align_jointly([volume], [reference], **settings)


def align_all(
    volumes: Sequence[AnyVolume],
    references: Sequence[AnyVolume],
    *,
    mode: Mode,
    pixel_size: float = 1.0,
    mask: AnyVolume | None = None,
    resolution: float | None = None,
    try_mirror: bool = True,
) -> list[Alignment]:
    """Alignments of many volumes, each to its own reference.

    Parameters
    ----------
    volumes, references
        Sequences of one length; items are taken when needed, so that they may be read from files.
    mode
        ``"none"``: no transform, the scores are those of the unaligned volumes. ``"reconstruction"``: one
        transform for all, the best for up to six of the pairs together, evenly spaced; one `Alignment`, repeated.
        ``"volume"``: one transform for each.
    pixel_size, mask, resolution, try_mirror
        As for `align`, which also lists the errors.

    Raises
    ------
    ValueError
        If there is no volume, or another number of references.
    UnknownName
        If the mode is unknown.
    """
    if mode not in MODES:
        raise UnknownName("alignment mode", mode, MODES)
    if len(volumes) != len(references) or len(volumes) == 0:
        raise ValueError(
            f"each volume is aligned onto a reference of its own, got {len(volumes)} volumes and "
            f"{len(references)} references. For one reference for all, repeat it."
        )
    settings = {"pixel_size": pixel_size, "mask": mask, "resolution": resolution, "try_mirror": try_mirror}
    if mode == "reconstruction":
        chosen = spread_indices(len(volumes), _JOINT_PAIRS, nearest=True).tolist()
        shared = _align_jointly([volumes[i] for i in chosen], [references[i] for i in chosen], **settings)
        return [shared] * len(volumes)
    pairs = zip(volumes, references, strict=True)
    if mode == "volume":
        return [align(volume, reference, **settings) for volume, reference in pairs]
    return [_leave(volume, reference, pixel_size, mask, resolution) for volume, reference in pairs]


@one_blas_thread()
def _align_jointly(
    volumes: Sequence[AnyVolume],
    references: Sequence[AnyVolume],
    *,
    pixel_size: float,
    mask: AnyVolume | None,
    resolution: float | None,
    try_mirror: bool,
) -> Alignment:
    problem = pose_problem(volumes, references, pixel_size, mask, resolution)
    found, scores = [], []
    for candidate in search_transforms(problem.make_search_objective(), try_mirror=try_mirror):
        objective = problem.make_final_objective(candidate)
        found.append(polish(objective, candidate))
        scores.append(objective.score(found[-1].matrix, found[-1].shift))
    chosen = 1 if try_mirror and scores[1] > scores[0] + _LIKE_HANDS else 0
    best = found[chosen]
    return Alignment(
        best.rotation,
        best.shift * problem.box_size * pixel_size,
        best.mirrored,
        scores[chosen],
        scores[1 - chosen] if try_mirror else None,
        pixel_size,
    )


@one_blas_thread()
def _leave(
    volume: AnyVolume, reference: AnyVolume, pixel_size: float, mask: AnyVolume | None, resolution: float | None
) -> Alignment:
    problem = pose_problem([volume], [reference], pixel_size, mask, resolution)
    still = Candidate(np.eye(3), np.zeros(3), False, 0.0)
    score = problem.make_final_objective(still).score(still.matrix, still.shift)
    return Alignment.identity(score=score, pixel_size=pixel_size)
