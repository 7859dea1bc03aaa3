"""Stacks that a data set names but does not contain: particles that existed before it and were not copied.

DATASET/stacks.csv has one row per stack: its size in bytes, a SHA-256 of its ends, and its absolute path. The ends
are everything up to the first image's last byte (header, extended header, image) and the last image: reading these
takes no time however large the stack is, and a stack that was filtered, re-extracted, re-normalised or cut differs in
them. What they cannot tell is a change to images in the middle alone.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryobench._errors import FormatError
from cryobench.io.atomic import write_text
from cryobench.io.mrc_header import read_header

REFERENCES = "stacks.csv"
_COLUMNS = ["bytes", "sha256_of_ends", "path"]


@dataclass(frozen=True)
class _Reference:
    path: Path
    size: int
    ends: str


def write_references(folder: Path, stacks: Sequence[Path]) -> list[str]:
    """Write down stacks that lie elsewhere, if there are any. The file's name within the data set, in a list."""
    if not stacks:
        (folder / REFERENCES).unlink(missing_ok=True)
        return []
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for stack in stacks:
        writer.writerow([stack.stat().st_size, _hash_ends(stack), stack.as_posix()])
    write_text(folder / REFERENCES, text.getvalue())
    return [REFERENCES]


def check_references(folder: Path) -> None:
    """Compare the sizes of the stacks with what was written down. FormatError says which moved or changed."""
    references = _read_references(folder / REFERENCES)
    gone = [reference.path for reference in references if not reference.path.is_file()]
    if gone:
        others = f" and {len(gone) - 1} other stack{'s' * (len(gone) > 2)}" if len(gone) > 1 else ""
        table = folder / ("particles.cs" if (folder / "particles.cs").exists() else "particles.star")
        raise FormatError(
            f"{folder} refers to images in {gone[0]}{others}, which moved or cannot be reached. Bring them back, put"
            f" a link there, or adopt the particles again: cryobench adopt {table} -o NEW"
            " --datadir FOLDER_OF_THE_STACKS (labels, volumes and mask are in this data set)."
        )
    for reference in references:
        size = reference.path.stat().st_size
        if size != reference.size:
            raise FormatError(
                f"{reference.path} was changed since {folder} was made of it: it has {size:,} bytes, had"
                f" {reference.size:,}. Restore it, or adopt the particles again."
            )


def differing_references(folder: Path) -> list[str]:
    """Paths of the stacks whose ends differ from what was written down."""
    return [
        str(reference.path)
        for reference in _read_references(folder / REFERENCES)
        if _hash_ends(reference.path) != reference.ends
    ]


def _read_references(path: Path) -> list[_Reference]:
    try:
        rows = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FormatError(f"{path} cannot be read ({error}). Copy the data set again.") from error
    if not rows or rows[0] != _COLUMNS:
        raise FormatError(f"{path} must begin with the line {','.join(_COLUMNS)!r}. Copy the data set again.")
    try:
        return [_Reference(Path(name), int(size), ends) for size, ends, name in rows[1:]]
    except ValueError as error:
        raise FormatError(f"{path} has a damaged line ({error}). Copy the data set again.") from error


def _hash_ends(stack: Path) -> str:
    header = read_header(stack)
    first, last = header.offset + header.image_bytes, header.offset + (header.shape[0] - 1) * header.image_bytes
    with stack.open("rb") as file:
        digest = hashlib.sha256(file.read(first))
        file.seek(last)
        digest.update(file.read(header.image_bytes))
    return digest.hexdigest()
