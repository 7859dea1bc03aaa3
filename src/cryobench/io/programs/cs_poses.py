"""Poses in a cryoSPARC file, from any of its groups of fields.

==========================================  ==============================================================
group                                       written by
==========================================  ==============================================================
alignments3D                                refinements; one class of a job with several
alignments3D_multi                          heterogeneous refinement, all classes: one column per class
alignments_class_0, _1, …                   heterogeneous refinement and ab initio of older versions
alignments_class3D_0, alignments_class3D_1  3D classification
alignments2D                                2D classification: in-plane angles, which are not poses
==========================================  ==============================================================

With several classes, a particle has the pose of the class with the largest posterior. The first file with
any of these groups is used: passed-through fields are older than those that a job wrote.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from cryobench._errors import FormatError
from cryobench.io.formats.cs_table import CsTable

_SINGLE, _MULTIPLE = "alignments3D", "alignments3D_multi"
_OF_A_CLASS = re.compile(r"alignments_class(3D)?_\d+")


@dataclass(frozen=True)
class _Alignments:
    """Alignments of n particles in k classes."""

    poses: np.ndarray
    """(n, k, 3) rotation vectors of the inverse."""
    shifts: np.ndarray
    """(n, k, 2) px."""
    pixel_sizes: np.ndarray
    """(n, k) Å per pixel."""
    posteriors: np.ndarray | None
    """(n, k)."""


def read_cs_poses(table: CsTable, pixel_size: float, notes: list[str]) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Rotations (n, 3, 3) and shifts (n, 2) in Å; both None if the file has none, as ``notes`` explain.

    Raises
    ------
    FormatError
        If a group is incomplete, an entry is not finite, or a pixel size is not positive.
    """
    groups = _choose_groups(table)
    if not groups:
        notes.append(_say_why(table))
        return None, None
    found = [_read_group(table, group, pixel_size) for group in groups]
    n = len(table)
    poses, shifts, scales = (
        np.concatenate([getattr(each, name) for each in found], axis=1) for name in ("poses", "shifts", "pixel_sizes")
    )
    best = np.zeros(n, dtype=np.int64)
    if poses.shape[1] > 1:
        posteriors = [each.posteriors for each in found if each.posteriors is not None]
        if len(posteriors) < len(found):
            raise FormatError(
                f"{table.path} has poses in {', '.join(groups)}, but no class_posterior to choose the class of a"
                " particle. Use the file of one class."
            )
        best = np.argmax(np.concatenate(posteriors, axis=1), axis=1)
        notes.append(
            f"poses are those of each particle's most probable of {poses.shape[1]} classes ({', '.join(groups)})"
        )
    rows = np.arange(n)
    return (
        Rotation.from_rotvec(poses[rows, best]).as_matrix().swapaxes(-1, -2),
        shifts[rows, best] * scales[rows, best, None],
    )


def read_cs_file_poses(path: Path, pixel_size: float) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Poses of a .cs file alone, as ``read_cs_poses``, without its images."""
    return read_cs_poses(CsTable(path), pixel_size, [])


def _choose_groups(table: CsTable) -> list[str]:
    """Groups of the first file that has any 3D poses."""
    for fields in table.fields():
        groups = {field.rpartition("/")[0] for field in fields if field.endswith(("/pose", "/shift"))}
        if _SINGLE in groups:
            return [_SINGLE]
        if _MULTIPLE in groups:
            return [_MULTIPLE]
        of_classes = [group for group in groups if _OF_A_CLASS.fullmatch(group)]
        if of_classes:
            return sorted(of_classes, key=lambda group: (int(group.rpartition("_")[2]), group))
    return []


def _read_group(table: CsTable, group: str, pixel_size: float) -> _Alignments:
    table.require([f"{group}/pose", f"{group}/shift"])
    n, per_class = len(table), table[f"{group}/pose"].shape[1:-1] if group == _MULTIPLE else ()
    scale, posterior = f"{group}/psize_A", f"{group}/class_posterior"
    scales = np.full((n, *per_class), pixel_size)
    if scale in table:
        own = table.typed(scale, table[scale].shape[1:])
        scales = np.broadcast_to(own.reshape(n, -1), (n, *per_class)) if per_class else own
        if (scales <= 0).any():
            first = int(np.argmax((scales <= 0).reshape(n, -1).any(axis=1)))
            raise FormatError(
                f"{table.path}: {scale} of particle {first} is {scales.reshape(n, -1)[first].min():g}, but shifts are"
                " counted in pixels of that many Å. Use the file of a job that aligned the particles."
            )
    return _Alignments(
        table.numbers(f"{group}/pose", (*per_class, 3)).reshape(n, -1, 3),
        table.numbers(f"{group}/shift", (*per_class, 2)).reshape(n, -1, 2),
        scales.reshape(n, -1),
        table.numbers(posterior, per_class).reshape(n, -1) if posterior in table else None,
    )


def _say_why(table: CsTable) -> str:
    name = table.path.name
    if "alignments2D/pose" in table:
        return (
            f"{name} has only in-plane angles (alignments2D), not 3D orientations: no poses. If a job passed them"
            " through, give its passthrough file with --passthrough"
        )
    return f"{name} has no poses (alignments3D): they may be in the job's passthrough file, see --passthrough"
