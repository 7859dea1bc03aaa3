"""Assignment of table rows to particles or states: by a column that identifies them, or by the order of the rows.

========================================  =====================================================================
column                                    meaning
========================================  =====================================================================
particle, particle_index, index, idx,     index from 0; rows may be missing, leaving particles without entry
or the row's own (state, frame)
without a name, ``Unnamed: 0``            the same: the stored index of a data frame, unless it merely counts the
                                          rows, as it does by default: then it identifies nothing
image, image_name, rlnImageName           INDEX@STACK, or the index of every particle
uid                                       the uid of the adopted .cs file, or the index of every particle
id, particle_id                           the index of every particle
========================================  =====================================================================

A column of one of these names with other contents is refused: ignoring it would pair rows with wrong particles.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from cryobench._errors import FormatError
from cryobench.data import ImageSource
from cryobench.io.adoption.image_keys import rows_of_images

Column = Sequence[str] | np.ndarray

_INDICES = ("particle", "particle_index", "index", "idx")
_UNNAMED = ("", "unnamed: 0")
_IMAGES = ("image", "image_name", "rlnimagename")
_IDENTIFIERS = (*_IMAGES, "uid", "id", "particle_id")


@dataclass(frozen=True)
class Items:
    """The particles or states that the rows of a table describe."""

    count: int
    kind: str = "particle"
    """Singular noun for messages."""
    indices: tuple[str, ...] = ()
    """Further names of index columns."""
    images: ImageSource | None = None
    """Images of the particles, so that rows can name them."""
    uids: np.ndarray | None = None
    """(count,) uids of the particles, if they come from a .cs file."""

    def is_key(self, name: str) -> bool:
        """Whether a column of that name identifies items."""
        return name.strip().lower() in (*_INDICES, *self.indices, *_UNNAMED, *_IDENTIFIERS)


def find_rows(columns: Mapping[str, Column], items: Items, path: Path) -> np.ndarray | None:
    """(count,) row of each item, −1 if there is none; None if no column identifies items.

    Raises
    ------
    FormatError
        If a column of such a name has other contents, names an unknown item or one twice, or two such columns
        contradict each other.
    """
    by_index = {name: column for name, column in columns.items() if _is_in(name, (*_INDICES, *items.indices))}
    unnamed = {
        name: column
        for name, column in columns.items()
        if _is_in(name, _UNNAMED) and not is_default_index(name, column)
    }
    identifiers = {name: column for name, column in columns.items() if _is_in(name, _IDENTIFIERS)}
    steps: list[tuple[dict[str, Column], Callable[[str, Column, Items, Path], np.ndarray]]] = [
        (by_index, _by_index),
        (unnamed, _by_index),
        (identifiers, _by_identifier),
    ]
    for named, read in steps:
        if named:
            found = {name: read(name, column, items, path) for name, column in named.items()}
            return _agreed(found, items, path)
    return None


def is_default_index(name: str, column: Column) -> bool:
    """Whether a column without a name merely counts the rows, as the default index of a data frame of any rows."""
    if not _is_in(name, _UNNAMED):
        return False
    values = _whole_numbers(column)
    return values is not None and np.array_equal(values, np.arange(len(values)))


def _agreed(found: dict[str, np.ndarray], items: Items, path: Path) -> np.ndarray:
    (first, rows), *others = found.items()
    for name, other in others:
        if not np.array_equal(rows, other):
            raise FormatError(
                f"{path}: the columns {first!r} and {name!r} contradict each other on the {items.kind} of a row."
                " Remove the wrong one."
            )
    return rows


def _by_index(name: str, column: Column, items: Items, path: Path) -> np.ndarray:
    """Rows by an index column."""
    values = _whole_numbers(column)
    if values is None:
        if _names_images(column) and items.images is not None:
            return rows_of_images([str(entry) for entry in column], items.images, path)
        raise FormatError(
            f"{path}: the column {name!r} must hold the index of each row's {items.kind}, counted from 0; found"
            f" {str(_first_odd(column))!r}."
        )
    bad = (values < 0) | (values >= items.count)
    if bad.any():
        raise FormatError(
            f"{path} labels {items.kind} {values[np.argmax(bad)]}, but there are {items.kind}s 0 to"
            f" {items.count - 1}. Rename the column {name!r} if it means something else."
        )
    values = values.astype(np.int64)
    counts = np.bincount(values, minlength=items.count)
    if (counts > 1).any():
        raise FormatError(
            f"{path} labels {items.kind} {int(np.argmax(counts > 1))} more than once (column {name!r})."
        )
    rows = np.full(items.count, -1, dtype=np.int64)
    rows[values] = np.arange(len(values))
    return rows


def _by_identifier(name: str, column: Column, items: Items, path: Path) -> np.ndarray:
    """Rows by image names, by uid, or by a column that holds every index once."""
    if _is_in(name, _IMAGES) and _names_images(column) and items.images is not None:
        return rows_of_images([str(entry) for entry in column], items.images, path)
    values = _whole_numbers(column)
    if values is not None and _is_in(name, ("uid",)) and items.uids is not None:
        rows = _by_uid(values, items.uids)
        if rows is not None:
            return rows
    if values is not None and np.array_equal(np.sort(values), np.arange(items.count)):
        return _by_index(name, column, items, path)
    raise FormatError(
        f"{path}: the column {name!r} should identify the {items.kind} of each row, but its entries, such as"
        f" {str(column[0]) if len(column) else 'none'!r}, are unknown. Name it particle if it holds indices"
        f" counted from 0; remove it if the rows are in the order of the {items.kind}s."
    )


def _by_uid(values: np.ndarray, uids: np.ndarray) -> np.ndarray | None:
    """Rows of particles by their uid; None if one is listed twice, or none matches."""
    if len(np.unique(values)) < len(values) or values.min(initial=0) < 0:
        return None
    rows = np.asarray(pd.Index(values.astype(np.uint64)).get_indexer(pd.Index(uids.astype(np.uint64))))
    return rows.astype(np.int64) if (rows >= 0).any() else None


def _is_in(name: str, names: tuple[str, ...]) -> bool:
    return name.strip().lower() in names


def _names_images(column: Column) -> bool:
    return len(column) > 0 and "@" in str(column[0])


def _whole_numbers(column: Column) -> np.ndarray | None:
    """Entries as whole numbers, unsigned if they need 64 bits; None if one is not a whole number."""
    series = pd.Series(column)
    numbers = pd.to_numeric(series, errors="coerce")
    values = np.asarray(numbers)
    if values.dtype.kind in "iu":
        return values if values.dtype == np.uint64 else values.astype(np.int64)
    if values.dtype.kind != "f" or not (np.isfinite(values) & (values == np.floor(values))).all():
        return None
    return values.astype(np.int64)


def _first_odd(column: Column) -> object:
    numbers = np.asarray(pd.to_numeric(pd.Series(column), errors="coerce"), dtype=np.float64)
    odd = ~(np.isfinite(numbers) & (numbers == np.floor(numbers)))
    return column[int(np.argmax(odd))] if len(odd) else "none"
