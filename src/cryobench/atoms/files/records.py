"""Atom records of a structure file: every column, in file order, before any interpretation."""

from dataclasses import dataclass, fields, replace

import numpy as np
from jaxtyping import Float64, Int64, Shaped

Cell = tuple[float, float, float, float, float, float]
"""Three lengths in Å and three angles in degrees of a periodic box, as in CRYST1."""


@dataclass(frozen=True, eq=False)
class AtomRecords:
    """Atoms of one model. Arrays of shape (a,) except the positions."""

    positions: Float64[np.ndarray, "a 3"]
    """Å."""
    symbols: Shaped[np.ndarray, " a"]
    """Element symbols as stated; "" if missing."""
    padded_names: Shaped[np.ndarray, " a"]
    """Atom names; if ``aligned`` with the spaces of their four columns."""
    altlocs: Shaped[np.ndarray, " a"]
    """Letter of the alternative conformation, "" for none."""
    residue_names: Shaped[np.ndarray, " a"]
    chains: Shaped[np.ndarray, " a"]
    residue_numbers: Int64[np.ndarray, " a"]
    insertion_codes: Shaped[np.ndarray, " a"]
    occupancies: Float64[np.ndarray, " a"]
    b_factors: Float64[np.ndarray, " a"]
    parts: Int64[np.ndarray, " a"]
    """Number of TER records before the atom."""
    aligned: bool
    cell: Cell | None

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def names(self) -> Shaped[np.ndarray, " a"]:
        """Atom names without spaces."""
        return np.char.strip(self.padded_names)

    def take(self, rows: np.ndarray) -> "AtomRecords":
        """The records of the chosen rows, by mask or index."""
        arrays = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{key: each[rows] for key, each in arrays.items() if isinstance(each, np.ndarray)})


def make_records(rows: list[tuple], *, aligned: bool, cell: Cell | None) -> AtomRecords:
    """Records of rows in the order (xyz, symbol, name, altloc, residue, chain, number, code, occupancy, B, part)."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * 11
    text = [np.array(columns[index], dtype=np.str_) for index in (1, 2, 3, 4, 5, 7)]
    return AtomRecords(
        positions=np.array(columns[0], dtype=np.float64).reshape(-1, 3),
        symbols=text[0],
        padded_names=text[1],
        altlocs=text[2],
        residue_names=text[3],
        chains=text[4],
        residue_numbers=np.array(columns[6], dtype=np.int64),
        insertion_codes=text[5],
        occupancies=np.array(columns[8], dtype=np.float64),
        b_factors=np.array(columns[9], dtype=np.float64),
        parts=np.array(columns[10], dtype=np.int64),
        aligned=aligned,
        cell=cell,
    )
