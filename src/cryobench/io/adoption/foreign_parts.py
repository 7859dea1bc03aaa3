"""Particles from outside, in any format.

CTFs and poses are brought to the grid of the images, or refused with a way out.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from cryobench._errors import FormatError
from cryobench._text import read_text
from cryobench.data import Particles
from cryobench.io.formats.mrc import MrcStacks
from cryobench.io.programs.cryodrgn import read_ctf, read_poses
from cryobench.io.programs.cryosparc import read_cs
from cryobench.io.programs.physical_ranges import check_defocus_unit
from cryobench.io.programs.relion import read_star
from cryobench.io.programs.stack_paths import find_stacks

BRIGHT: Literal[-1] = -1
"""Sign of stored images in which protein is bright, as is usual on disk."""


def read_particles(
    source: Path,
    *,
    passthrough: Sequence[Path],
    poses: Path | None,
    ctf: Path | None,
    shift_unit: Literal["fraction", "pixel"],
    datadir: Path | None,
    sign: Literal[1, -1] | None,
    notes: list[str],
) -> Particles:
    """Particles of a RELION table, a cryoSPARC file, or stacks with cryoDRGN pickles: see ``adopt``."""
    kind = source.suffix.lower()
    if kind == ".cs":
        found = read_cs(source, passthrough=passthrough, datadir=datadir, sign=sign, notes=notes)
    elif kind == ".star":
        found = read_star(source, datadir=datadir, sign=sign or BRIGHT, notes=notes)
    else:
        found = _read_images_alone(source, poses, ctf, shift_unit, datadir, sign or BRIGHT, notes)
    check_defocus_unit(source if ctf is None else ctf, found.ctf)
    return found


def _read_images_alone(
    source: Path,
    poses: Path | None,
    ctf: Path | None,
    shift_unit: Literal["fraction", "pixel"],
    datadir: Path | None,
    sign: Literal[1, -1],
    notes: list[str],
) -> Particles:
    """Particles of a stack, or of a list of stacks, with cryoDRGN pickles."""
    images = MrcStacks(_list_stacks(source, datadir, notes) if source.suffix.lower() == ".txt" else [source])
    if ctf is None:
        raise ValueError(f"{source} holds images only: give their CTF too (a cryoDRGN ctf.pkl).")
    parameters, size, pixel_size = read_ctf(ctf, box_size=images.box_size)
    given = (None, None)
    if poses is not None:
        given = read_poses(poses, box_size=size, pixel_size=pixel_size, shift_unit=shift_unit)
    for path, part in ((ctf, parameters), (poses, given[0])):
        if part is not None and len(part) != len(images):
            raise FormatError(
                f"{path} describes {len(part)} particles, but {source} holds {len(images)} images. Use the pickle"
                " made for these images."
            )
    return Particles(images, pixel_size, parameters, *given, sign=sign)


def _list_stacks(source: Path, datadir: Path | None, notes: list[str]) -> list[Path]:
    """Stacks listed in a text file, one per line, relative to its folder or ``datadir``."""
    names = [line.strip() for line in read_text(source, "a list of stacks").splitlines() if line.strip()]
    if not names:
        raise FormatError(f"{source} is empty, expected one stack per line.")
    return find_stacks(names, source, folders=[source.absolute().parent], datadir=datadir, notes=notes)
