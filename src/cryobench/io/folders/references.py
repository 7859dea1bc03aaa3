"""External stacks: particles that existed before the data set and were not copied.

DATASET/stacks.csv has one row per stack: its size in bytes, the SHA-256 of all of it, and its absolute path. Sizes
are compared whenever the data set is opened, contents when it is verified. Adopting a stack takes as long as reading
it once.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryobench._errors import FormatError
from cryobench._progress import Progress
from cryobench.io.atomic import write_text
from cryobench.io.digest import hash_file, hash_files

REFERENCES = "stacks.csv"
_COLUMNS = ["bytes", "sha256", "path"]


@dataclass(frozen=True)
class _Reference:
    path: Path
    size: int
    sha256: str


def write_references(folder: Path, stacks: Sequence[Path], hashes: Mapping[str, str]) -> list[str]:
    """Record external stacks, if there are any. List of the written file's name within the data set.

    ``hashes`` are known ones, by absolute path; the others are computed here.
    """
    if not stacks:
        return []
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for stack in stacks:
        sha256 = hashes.get(stack.as_posix()) or hash_file(stack)
        writer.writerow([stack.stat().st_size, sha256, stack.as_posix()])
    write_text(folder / REFERENCES, text.getvalue())
    return [REFERENCES]


def check_references(folder: Path) -> None:
    """Compare the sizes of the stacks with the recorded ones. FormatError names those that moved or changed."""
    references = _read_references(folder / REFERENCES)
    gone = [reference.path for reference in references if not reference.path.is_file()]
    if gone:
        others = f" and {len(gone) - 1} other stack{'s' * (len(gone) > 2)}" if len(gone) > 1 else ""
        table = folder / ("particles.cs" if (folder / "particles.cs").exists() else "particles.star")
        raise FormatError(
            f"{folder} refers to images in {gone[0]}{others}, which moved or cannot be reached. Restore them, put"
            f" a link there, or adopt the particles again: cryobench adopt {table} -o NEW"
            " --datadir FOLDER_OF_THE_STACKS (labels, volumes and mask are in this data set)."
        )
    for reference in references:
        size = reference.path.stat().st_size
        if size != reference.size:
            raise FormatError(
                f"{reference.path} was changed since {folder} was made from it: it has {size:,} bytes, had"
                f" {reference.size:,}. Restore it, or adopt the particles again."
            )


def differing_references(folder: Path, progress: Progress | None = None) -> list[str]:
    """Paths of the stacks whose contents differ from the recorded checksums."""
    references = _read_references(folder / REFERENCES)
    found = hash_files([reference.path for reference in references], "verifying stacks", progress)
    return [str(reference.path) for reference in references if found[reference.path] != reference.sha256]


def _read_references(path: Path) -> list[_Reference]:
    try:
        rows = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FormatError(f"{path} cannot be read ({error}). Copy the data set again.") from error
    if not rows or rows[0] != _COLUMNS:
        raise FormatError(
            f"{path} must begin with the line {','.join(_COLUMNS)!r}, found {','.join(rows[0] if rows else [])!r}."
            " Copy the data set again, or adopt the particles again."
        )
    try:
        return [_Reference(Path(name), int(size), sha256) for size, sha256, name in rows[1:]]
    except ValueError as error:
        raise FormatError(f"{path} has a damaged line ({error}). Copy the data set again.") from error
