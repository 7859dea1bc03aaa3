"""Atoms of PDB files, column by column.

Models are separated by MODEL records, or by END as written by VMD.

gemmi reads them too, but groups atoms by chain and residue number, so that two copies of a molecule under one
chain letter lose their order; and it reads invalid numbers (asterisks, shifted columns) as zero.
"""

import math
import re
from pathlib import Path

from cryobench._errors import FormatError
from cryobench.atoms.files.records import AtomRecords, Cell, make_records
from cryobench.atoms.solvent_residues import is_water

_ATOMS = ("ATOM  ", "HETATM")
_FIRST_UNSTATED = 10_000
"""First residue number that four columns cannot hold."""
_AMBER_END = re.compile(
    "[NC](ALA|ARG|ASH|ASN|ASP|CY[SXM]|GL[NHUY]|HI[SDEP]|ILE|LE[U]|LY[SN]|MET|PHE|PRO|SER|THR|TRP|TYR|VAL)"
)


def read_pdb_models(text: str, path: Path, *, most: int | None = None) -> list[AtomRecords]:
    """Atoms of every model, or of the first ``most``. FormatError, naming the line, for invalid coordinates."""
    cell: Cell | None = None
    models: list[list[tuple]] = [[]]
    opened, ended, part = False, False, 0
    for number, line in enumerate(text.split("\n"), start=1):
        record = line[:6]
        if record in _ATOMS:
            if ended and models[-1]:
                if len(models) == most:
                    break
                models.append([])
            ended = False
            models[-1].append(_read_atom(line, number, part, path))
        elif record[:5] == "MODEL" or record.rstrip() in ("END", "ENDMDL"):
            opened, ended = record[:5] == "MODEL", True
        elif record[:3] == "TER":
            part += 1
        elif record == "CRYST1" and cell is None:
            cell = read_cell(line)
    if opened and models[-1] and most is None:
        raise FormatError(f"{path} cannot be read as PDB: its last model has no end. It is truncated: copy it again.")
    return [make_records(_count_residues(rows), aligned=True, cell=cell) for rows in models if rows]


def read_pdb_positions(text: str, path: Path) -> list[tuple[float, float, float]]:
    """Positions in Å of all atoms, in the order of the text. FormatError as for `read_pdb_models`."""
    lines = enumerate(text.split("\n"), start=1)
    return [_read_position(line, number, path) for number, line in lines if line[:6] in _ATOMS]


def read_cell(line: str) -> Cell | None:
    """The box of a CRYST1 record; None for a placeholder, as in structures without a crystal."""
    try:
        lengths = [float(line[start : start + 9]) for start in (6, 15, 24)]
        angles = [float(line[start : start + 7]) for start in (33, 40, 47)]
    except ValueError:
        return None
    a, b, c = lengths
    return (a, b, c, *angles) if min(lengths) > 1 and min(angles) > 0 else None  # pyright: ignore[reportReturnType]


def _read_atom(line: str, number: int, part: int, path: Path) -> tuple:
    position = _read_position(line, number, path)
    residue, chain = _split_names(line)
    try:
        occupancy = float(line[54:60]) if line[54:60].strip() else 1.0
        b_factor = float(line[60:66]) if line[60:66].strip() else 0.0
    except ValueError as error:
        raise _complain(line, number, path, "columns 55 to 66 must hold occupancy and B factor") from error
    symbol = line[76:78].strip()
    return (
        position,
        symbol if symbol.isalpha() else "",
        line[12:16],
        line[16].strip(),
        residue,
        chain or line[72:76].strip(),
        *_read_number(line),
        occupancy,
        b_factor,
        part,
    )


def _split_names(line: str) -> tuple[str, str]:
    """Residue and chain: column 21 belongs to a residue name of four letters, or to a chain name of two."""
    four, letter = line[17:21].strip(), line[21].strip()
    if line[20] != " " and (not letter or is_water(four) or _AMBER_END.fullmatch(four)):
        return four, letter
    return line[17:20].strip(), line[20:22].strip()


def _count_residues(rows: list[tuple]) -> list[tuple]:
    """The atoms with a residue number each: residues without one (asterisks) are numbered from 10,000.

    As consecutive residues of one name cannot be distinguished otherwise, each ends where an atom name
    repeats.
    """
    counted, number = [], _FIRST_UNSTATED - 1
    begun: tuple | None = None
    held: set[tuple] = set()
    for row in rows:
        _, _, name, letter, residue, chain, stated, code, _, _, part = row
        if stated is None:
            if (residue, chain, code, part) != begun or (name, letter) in held:
                number, begun, held = number + 1, (residue, chain, code, part), set()
            held.add((name, letter))
            counted.append((*row[:6], number, *row[7:]))
        else:
            begun = None
            counted.append(row)
    return counted


def _read_number(line: str) -> tuple[int | None, str]:
    """Number and insertion code: four digits and a letter, five digits (CHARMM), or hybrid-36; None if missing."""
    digits, code = line[22:26].strip(), line[26].strip()
    if code.isdigit():
        digits, code = digits + code, ""
    if re.fullmatch(r"-?\d+", digits):
        return int(digits), code
    if re.fullmatch("[A-Z][0-9A-Z]{3}", digits):
        return int(digits, 36) - 10 * 36**3 + 10_000, code
    return None, code


def _read_position(line: str, number: int, path: Path) -> tuple[float, float, float]:
    try:
        x, y, z = float(line[30:38]), float(line[38:46]), float(line[46:54])
    except ValueError as error:
        raise _complain(line, number, path, "columns 31 to 54 must hold x, y and z in Å") from error
    if len(line) < 54:
        raise _complain(line, number, path, "z must end in column 54")
    if not (math.isfinite(x) and math.isfinite(y) and math.isfinite(z)):
        raise _complain(line, number, path, "columns 31 to 54 must hold finite x, y and z in Å")
    if not line[27:30].isspace():
        raise _complain(line, number, path, "columns 28 to 30 must be blank")
    return x, y, z


def _complain(line: str, number: int, path: Path, expected: str) -> FormatError:
    return FormatError(
        f"{path} cannot be read as PDB: line {number} is {line.rstrip()!r}, but {expected}. The file is truncated, "
        "or its columns are shifted or too narrow for the numbers: write it again, as mmCIF if they do not fit."
    )
