"""Where the stacks lie that a table names by paths of another folder, another machine or another time.

All paths of a table are found in one way: whole, below a folder, or all of them without the same number of leading
folders. A stack is never looked for by itself, so that a stray file of its name is not taken for one that is missing,
and two stacks never become one.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from cryobench._errors import FormatError


def find_stacks(
    names: Sequence[str],
    table: Path,
    *,
    folders: Sequence[Path],
    datadir: Path | None,
    notes: list[str] | None = None,
    start: str = "that the paths in the table start from",
) -> list[Path]:
    """Path of each stack that a table names.

    Parameters
    ----------
    names
        As in the table, each once.
    table
        For messages.
    folders
        Where paths start without ``datadir``, by preference; the first that has all stacks counts.
    datadir
        Where they start instead. Absolute paths start there too, for it was given because they do not hold here. If
        the stacks are not there by their whole paths, leading folders are left out of all of them, as few as
        possible.
    notes
        Says which folders were left out.
    start
        Describes the right ``datadir``.

    Raises
    ------
    FormatError
        If a stack is not there, or several of them would be one file.
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


def _relative_parts(name: str) -> tuple[str, ...]:
    return tuple(part for part in PurePosixPath(name).parts if part != "/")


def _check_distinct(names: Sequence[str], found: Sequence[Path], table: Path) -> None:
    owners: dict[Path, str] = {}
    for name, path in zip(names, found, strict=True):
        other = owners.setdefault(path, name)
        if os.path.normpath(other) != os.path.normpath(name):
            raise FormatError(
                f"{table} names the stacks {other} and {name}, which would both be {path}. Give --datadir the folder"
                " that holds both under their own folders."
            )


def _missing(names: Sequence[str], table: Path, tried: Sequence[Sequence[Path]], start: str) -> FormatError:
    """The error that names the first stack that was found nowhere, or else is missing where most others are."""
    place = next(
        (i for i in range(len(names)) if not any(found[i].is_file() for found in tried)),
        next((i for i in range(len(names)) if not tried[0][i].is_file()), 0),
    )
    looked = " nor at ".join(str(path) for path in dict.fromkeys(found[place] for found in tried))
    apart = any(found[place].is_file() for found in tried)
    rule = ": the stacks of a table are looked for in one and the same way" if apart else ""
    return FormatError(
        f"{table} names the stack {names[place]}, which is not at {looked}{rule}. Give --datadir (datadir=) the"
        f" folder {start}."
    )
