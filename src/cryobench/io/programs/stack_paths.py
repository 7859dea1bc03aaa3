"""Location of stacks that a table names by paths of another folder, machine or time.

All paths of a table are resolved in one way: whole, below a folder, or all of them without the same number of leading
folders. Stacks are never searched for one by one, so that a stray file of the same name is not mistaken for a missing
one, and two stacks are never confused.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from cryobench._errors import FormatError


def find_stacks(
    names: Sequence[str],
    table: Path,
    *,
    folders: Sequence[Path],
    datadir: Path | None,
    notes: list[str] | None = None,
    start: str = "that the paths in the table are relative to",
) -> list[Path]:
    """Path of each stack named in a table.

    Parameters
    ----------
    names
        Paths as in the table, each once.
    table
        Path of the table, for messages.
    folders
        Base folders without ``datadir``, in order of preference; the first with all stacks is used.
    datadir
        Base folder instead, for absolute paths too, since it is given because they are invalid here. If
        the stacks are not found by their whole paths, as few leading folders as possible are dropped from all of
        them.
    notes
        List to which a note on dropped folders is added.
    start
        Describes the right ``datadir``.

    Raises
    ------
    FormatError
        If a stack does not exist, or several of them would be the same file.
    """
    if datadir is None:
        for folder in folders:
            found = [folder / name for name in names]
            if all(path.is_file() for path in found):
                return found
        raise _missing(names, table, [[folder / name for name in names] for folder in folders], start)
    parts = [_relative_parts(name) for name in names]
    tried = []
    for left_out in range(max(map(len, parts))):
        found = [datadir.joinpath(*each[min(left_out, len(each) - 1) :]) for each in parts]
        if all(path.is_file() for path in found):
            _check_distinct(names, found, table)
            if left_out and notes is not None:
                notes.append(
                    f"stacks are found below {datadir} without the leading folders of their paths: {names[0]} is"
                    f" {found[0]}"
                )
            return found
        tried.append(found)
    raise _missing(names, table, [tried[0], tried[-1]], start)


def split_image_names(names: Iterable[object], path: Path) -> tuple[np.ndarray, pd.Series]:
    """Index from 0, and stack, of each image that a table names INDEX@STACK. FormatError for other names."""
    named = pd.Series([str(name) for name in names], dtype=object)
    parts = named.str.partition("@")
    numbers = np.asarray(pd.to_numeric(parts[0], errors="coerce"), dtype=np.float64)
    bad = ~(numbers >= 1) | (numbers != np.floor(numbers)) | (parts[2].to_numpy() == "")
    if bad.any():
        first = int(np.argmax(bad))
        raise FormatError(
            f"{path}: row {first + 1} names the image {named[first]!r}, expected INDEX@STACK with the index counted"
            " from 1."
        )
    return numbers.astype(np.int64) - 1, parts[2]


def _relative_parts(name: str) -> tuple[str, ...]:
    return tuple(part for part in PurePosixPath(name).parts if part != "/")


def _check_distinct(names: Sequence[str], found: Sequence[Path], table: Path) -> None:
    owners: dict[Path, str] = {}
    for name, path in zip(names, found, strict=True):
        other = owners.setdefault(path, name)
        if os.path.normpath(other) != os.path.normpath(name):
            raise FormatError(
                f"{table} names the stacks {other} and {name}, which would both be {path}. Give with --datadir the "
                "folder that holds both under their own folders."
            )


def _missing(names: Sequence[str], table: Path, tried: Sequence[Sequence[Path]], start: str) -> FormatError:
    """Error on the first stack that was not found anywhere, or else is missing where most others are."""
    index = next(
        (i for i in range(len(names)) if not any(found[i].is_file() for found in tried)),
        next((i for i in range(len(names)) if not tried[0][i].is_file()), 0),
    )
    looked = " nor at ".join(str(path) for path in dict.fromkeys(found[index] for found in tried))
    apart = any(found[index].is_file() for found in tried)
    rule = ": all stacks of a table are resolved in the same way" if apart else ""
    return FormatError(
        f"{table} names the stack {names[index]}, which is not at {looked}{rule}. Give --datadir, the folder {start}."
    )
