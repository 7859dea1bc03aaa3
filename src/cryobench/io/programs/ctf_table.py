"""CTF tables of real experiments, from any program."""

from pathlib import Path

from cryobench._errors import FormatError
from cryobench.imaging.ctf import Ctf
from cryobench.io.programs.cryodrgn import read_ctf
from cryobench.io.programs.cryosparc import read_cs_ctf
from cryobench.io.programs.physical_ranges import check_defocus_unit
from cryobench.io.programs.relion import read_ctf_star


def read_ctf_table(path: Path) -> Ctf:
    """CTF parameters, row by row, of a cryoDRGN pickle (.pkl), a RELION table (.star) or a cryoSPARC one (.cs).

    The grid on which they were estimated does not matter: they are in Å, as are ours.

    Raises
    ------
    FormatError
        If the suffix is unknown, or the file lacks a column or holds a value out of range.
    """
    readers = {".pkl": lambda table: read_ctf(table)[0], ".star": read_ctf_star, ".cs": read_cs_ctf}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise FormatError(f"{path} is not a CTF table: expected .pkl (cryoDRGN), .star (RELION) or .cs (cryoSPARC).")
    ctf = reader(path)
    check_defocus_unit(path, ctf)
    return ctf
