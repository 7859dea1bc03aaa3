"""Signedness of the integers in an MRC file, which headers leave open or state wrongly.

Mode 0 was unsigned for decades and is signed since MRC2014; IMOD writes either, and states which in its own flag;
and programs write signed numbers in mode 6 and unsigned ones in mode 1. Read with the wrong sign, numbers on both
sides of the break wrap around to opposite ends of the range and vary far more: the reading
with less variation is the right one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

_IMOD_STAMP, _IMOD_FLAGS = slice(152, 156), slice(156, 160)
_IMOD = 1146047817
_SIGNED_FLAG = 1
_SAMPLE_BYTES = 1 << 20
_SECTIONS = 3
_FACTOR = 0.5
"""The other reading is used if its variance is below this fraction of the standard one's."""


def decide_signs(
    path: Path, stated: np.dtype, *, head: bytes, offset: int, sections: int, section_bytes: int
) -> tuple[np.dtype, bool]:
    """Type of the stored integers, and whether the data overruled the header.

    Parameters
    ----------
    path
        The file, of which a few sections are read.
    stated
        Type of the mode according to MRC2014.
    head
        The header.
    offset, sections, section_bytes
        Location of the data.
    """
    if stated.kind not in "iu":
        return stated, False
    flags = _imod_flags(head) if stated.itemsize == 1 else None
    if flags is not None:
        return np.dtype("i1" if flags & _SIGNED_FLAG else "u1"), False
    other = np.dtype(f"{stated.str[0]}{'u' if stated.kind == 'i' else 'i'}{stated.itemsize}")
    sample = _read_sample(path, offset, sections, section_bytes, stated.itemsize)
    spread, other_spread = (np.frombuffer(sample, kind).var(dtype=np.float64) for kind in (stated, other))
    return (other, True) if other_spread < _FACTOR * spread else (stated, False)


def _imod_flags(head: bytes) -> int | None:
    """IMOD flags in a header; None if IMOD did not write the file."""
    orders: tuple[Literal["little"], Literal["big"]] = ("little", "big")
    for order in orders:
        if int.from_bytes(head[_IMOD_STAMP], order) == _IMOD:
            return int.from_bytes(head[_IMOD_FLAGS], order)
    return None


def _read_sample(path: Path, offset: int, sections: int, section_bytes: int, item: int) -> bytes:
    """Bytes of the first, the middle and the last section, or as much of each as needed."""
    length = min(section_bytes, _SAMPLE_BYTES // _SECTIONS) // item * item
    pieces = []
    with path.open("rb") as file:
        for section in sorted({0, sections // 2, sections - 1}):
            file.seek(offset + section * section_bytes)
            piece = file.read(length)
            pieces.append(piece[: len(piece) // item * item])
    return b"".join(pieces)
