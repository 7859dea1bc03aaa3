"""Images of particles identified by names such as ``000001@job010/mic1.mrcs``.

Stacks with the same file name in two folders are distinct: a name means the stack that shares most of its last
folders, and is refused if that is ambiguous.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from cryobench._errors import FormatError
from cryobench.data import ImageSource
from cryobench.io.formats.mrc import MrcStacks
from cryobench.io.programs.phase_flips import stacks_of
from cryobench.io.programs.stack_paths import split_image_names

_STRIDE = 1 << 40
"""More than the number of images of any stack."""


def image_keys(images: MrcStacks) -> np.ndarray:
    """(n,) one number per image, equal for two particles if and only if they are the same image on disk."""
    first_of: dict[Path, int] = {}
    files = np.array([first_of.setdefault(path, index) for index, path in enumerate(images.paths)])
    return files[images.file_index] * _STRIDE + images.image_index


def rows_of_images(names: Sequence[str], images: ImageSource, path: Path) -> np.ndarray:
    """(n,) row of a table that names each image; −1 if no row names it.

    Raises
    ------
    FormatError
        If an entry is not INDEX@STACK, a stack is ambiguous among those of the images, an image is named twice
        (unless the rows are the images one by one), or no row names any of the images.
    """
    stacks = stacks_of(images)
    if stacks is None:
        raise FormatError(f"{path} names images, but the particles do not come from named MRC stacks.")
    numbers, named_stacks = split_image_names(names, path)
    file_index, distinct = pd.factorize(named_stacks)
    files = _match_stacks([str(name) for name in distinct], stacks.paths, path)[file_index]
    wanted = np.where(files < 0, -1, files * _STRIDE + numbers)
    own = image_keys(stacks)
    if np.array_equal(own, wanted):
        return np.arange(len(own))
    named = wanted[wanted >= 0]
    if not np.isin(named, own).any():
        raise FormatError(
            f"{path} names none of the images of the particles: its first is {names[0]!r}, that of the particles is"
            f" {stacks.image_index[0] + 1}@{stacks.paths[stacks.file_index[0]]}. Use a table of the same images."
        )
    distinct_keys, counts = np.unique(named, return_counts=True)
    if (counts > 1).any():
        twice = int(np.argmax(wanted == distinct_keys[np.argmax(counts > 1)]))
        raise FormatError(f"{path} names the image {names[twice]!r} more than once: the rows are ambiguous.")
    rows_named = np.flatnonzero(wanted >= 0)
    positions = pd.Index(named).get_indexer(pd.Index(own))
    return np.where(positions < 0, -1, rows_named[positions])


def _match_stacks(names: Sequence[str], paths: Sequence[Path], table: Path) -> np.ndarray:
    """Index of the stack that each name means, −1 if none has its file name."""
    by_file: dict[str, list[int]] = {}
    seen: set[Path] = set()
    for index, path in enumerate(paths):
        if path not in seen:
            by_file.setdefault(path.name, []).append(index)
        seen.add(path)
    matched = np.full(len(names), -1, dtype=np.int64)
    meant: dict[int, str] = {}
    for row, name in enumerate(names):
        pure = PurePosixPath(name.removeprefix(">"))
        candidates = by_file.get(pure.name, [])
        shared = [_common_tail(pure.parts, paths[index].parts) for index in candidates]
        best = [index for index, count in zip(candidates, shared, strict=True) if count == max(shared)]
        if len(best) > 1:
            raise FormatError(
                f"{table} names the stack {name}, which could be {paths[best[0]]} or {paths[best[1]]}. Name stacks"
                " with their folders, as the table of the particles does."
            )
        if best:
            other = meant.setdefault(best[0], name)
            if PurePosixPath(other) != pure:
                raise FormatError(
                    f"{table} names the stacks {other} and {name}, which would both be {paths[best[0]]}. Use a table"
                    " of the same stacks."
                )
            matched[row] = best[0]
    return matched


def _common_tail(one: Sequence[str], other: Sequence[str]) -> int:
    """Number of trailing parts that two paths have in common."""
    count = 0
    for left, right in zip(reversed(one), reversed(other), strict=False):
        if left != right:
            break
        count += 1
    return count
