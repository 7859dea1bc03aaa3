"""Atoms of mmCIF files, from the table ``_atom_site`` in its order, with author names and numbers."""

import math
from pathlib import Path

import gemmi
import numpy as np

from cryobench._errors import FormatError
from cryobench.atoms.files.records import AtomRecords, Cell, make_records

_TAGS = (
    ("Cartn_x", ""),
    ("Cartn_y", ""),
    ("Cartn_z", ""),
    ("type_symbol", ""),
    ("label_atom_id", "auth_atom_id"),
    ("label_alt_id", ""),
    ("auth_comp_id", "label_comp_id"),
    ("auth_asym_id", "label_asym_id"),
    ("auth_seq_id", "label_seq_id"),
    ("pdbx_PDB_ins_code", ""),
    ("occupancy", ""),
    ("B_iso_or_equiv", ""),
    ("pdbx_PDB_model_num", ""),
)
"""Columns, each with its replacement if missing."""
_NULL = (".", "?")


def read_cif_models(text: str, path: Path, *, most: int | None = None) -> list[AtomRecords]:
    """Atoms of every model, or of the first ``most``. FormatError for other text or wrong numbers."""
    block = _read_block(text, path)
    columns = [_read_column(block, *tags) for tags in _TAGS]
    count = len(columns[0])
    texts = [column or [""] * count for column in columns]
    positions = np.array([[_number(value, math.nan) for value in column] for column in texts[:3]]).reshape(3, count).T
    bad = np.flatnonzero(~np.isfinite(positions).all(axis=1))
    if len(bad):
        values = " ".join(repr(column[bad[0]]) for column in texts[:3])
        raise FormatError(
            f"{path}: {len(bad)} atoms have coordinates that are not numbers; those of atom {bad[0] + 1} of the file "
            f"are {values}. Write it again."
        )
    rows = [
        (position, *names, _residue_number(number, path), code, _number(occupancy, 1.0), _number(b_factor, 0.0), 0)
        for position, *names, number, code, occupancy, b_factor in zip(positions, *texts[3:12], strict=True)
    ]
    cell = _read_cell(block)
    numbers = np.array(texts[12])
    return [
        make_records([rows[index] for index in np.flatnonzero(numbers == each)], aligned=False, cell=cell)
        for each in list(dict.fromkeys(texts[12]))[:most]
    ]


def _read_block(text: str, path: Path) -> gemmi.cif.Block:
    try:
        return gemmi.cif.read_string(text)[0]
    except (RuntimeError, ValueError, IndexError) as error:
        raise FormatError(f"{path} cannot be read as mmCIF: {error}. Is the file complete?") from error


def _read_column(block: gemmi.cif.Block, *tags: str) -> list[str]:
    """Unquoted values of a column, "" for null; an empty list if there is none."""
    for tag in tags:
        values = block.find_values(f"_atom_site.{tag}") if tag else ()
        if len(values):
            return [_unquote(value) for value in values]
    return []


def _unquote(value: str) -> str:
    if value in _NULL:
        return ""
    return gemmi.cif.as_string(value) if value[0] in "'\";" else value


def _number(value: str, missing: float) -> float:
    if not value:
        return missing
    try:
        return float(value.partition("(")[0])
    except ValueError:
        return math.nan


def _residue_number(value: str, path: Path) -> int:
    number = _number(value, 0.0)
    if not math.isfinite(number):
        raise FormatError(f"{path}: a residue has the number {value!r} (auth_seq_id), expected a whole number.")
    return int(number)


def _read_cell(block: gemmi.cif.Block) -> Cell | None:
    names = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
    found = [_number((block.find_value(f"_cell.{name}") or "").strip("?."), 0.0) for name in names]
    a, b, c, alpha, beta, gamma = found
    return (a, b, c, alpha, beta, gamma) if min(a, b, c) > 1 and min(alpha, beta, gamma) > 0 else None
