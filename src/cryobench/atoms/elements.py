"""Elements of atoms: from the element column, or if missing or wrong, from atom and residue names.

A name alone is ambiguous: CA is an alpha carbon or calcium, HG a gamma hydrogen or mercury, NA a nitrogen of heme or
sodium. The residue decides: amino acids and nucleotides hold light elements only, named by their first letter; a
residue of one atom is the ion of that name; for others the columns of a PDB file give the length of the symbol.
"""

import re
from collections.abc import Sequence

import gemmi
import numpy as np
from jaxtyping import Int64

_LIGHT = {"C": 6, "N": 7, "O": 8, "S": 16, "P": 15, "H": 1, "D": 1}
_PEPTIDE = frozenset(("N", "CA", "C"))
_NUCLEOTIDES = (frozenset(("C1'", "C4'", "O4'")), frozenset(("C1*", "C4*", "O4*")))
_IONS = {"SOD": 11, "POT": 19, "CLA": 17, "CAL": 20, "CES": 55, "LIT": 3, "RUB": 37, "BAR": 56, "CD2": 48, "ZN2": 30}
"""Ion names of CHARMM."""
_IN_LIGANDS = ("FE", "MG", "ZN", "MN", "CU", "NI", "CL", "BR", "SE", "SI", "AL", "PT")
"""Two-letter symbols recognised in a ligand, if nothing but the name is known."""
_VIRTUAL = re.compile(r"M|OM|MW\d*|EPW?\d*|LP\w*|IW|DUM\d*", re.IGNORECASE)
_SYMBOLS = {gemmi.Element(number).name.upper(): number for number in range(1, 119)} | {"D": 1}


def decide_elements(
    names: Sequence[str], residue_names: Sequence[str], symbols: Sequence[str], *, aligned: bool
) -> Int64[np.ndarray, " a"]:
    """(a,) atomic numbers, 0 if unknown.

    Parameters
    ----------
    names
        Names of atoms; if ``aligned`` the four columns of a PDB file, whose symbol ends in the second.
    residue_names
        Residue name of each atom.
    symbols
        Symbols as in the file, "" if missing.
    """
    held: dict[str, set[str]] = {}
    for name, residue in zip(names, residue_names, strict=True):
        held.setdefault(residue, set()).add(name.strip())
    light = {residue: _is_light(residue, inside) for residue, inside in held.items()}
    standard = {residue: gemmi.find_tabulated_residue(residue).is_standard() for residue in held}
    # A file in which N, C and O of amino acids begin in the first column is not aligned.
    aligned = aligned and not any(
        light[residue] and name.rstrip() in ("N", "C", "O")
        for name, residue in set(zip(names, residue_names, strict=True))
    )
    found: dict[tuple[str, str, str], int] = {}
    for key in set(zip(names, residue_names, symbols, strict=True)):
        name, residue, symbol = key
        number = _SYMBOLS.get(symbol.upper(), 0)
        alone = len(held[residue]) == 1
        if alone and name.strip().upper() == residue.upper() and residue.upper() in _SYMBOLS:
            number = _SYMBOLS[residue.upper()]
        elif standard[residue] and number not in (*_LIGHT.values(), 34) and (number or not symbol):
            number = _first_letter(name, residue)
        elif not symbol:
            number = _guess(name, residue, light=light[residue], alone=alone, aligned=aligned)
        found[key] = number
    keys = zip(names, residue_names, symbols, strict=True)
    return np.array([found[key] for key in keys], dtype=np.int64).reshape(-1)


def is_virtual_site(name: str) -> bool:
    """Whether an atom without element is a massless force-field site, which has only charge: MW, EPW, LP1, ..."""
    return _VIRTUAL.fullmatch(name.strip()) is not None


def _is_light(residue: str, names: set[str]) -> bool:
    return (
        gemmi.find_tabulated_residue(residue).is_standard()
        or names >= _PEPTIDE
        or any(names >= each for each in _NUCLEOTIDES)
    )


def _guess(name: str, residue: str, *, light: bool, alone: bool, aligned: bool) -> int:
    if is_virtual_site(name):
        return 0
    letters = re.sub("[^A-Z]", "", name.upper())
    if light:
        return _first_letter(name, residue)
    if alone:
        called = re.sub("[^A-Z]", "", residue.upper())
        ion = _IONS.get(residue.upper()) or _IONS.get(name.strip().upper())
        if ion or called == letters:
            return ion or _SYMBOLS.get(letters, 0)
    if aligned and name[0].isalpha():
        if letters.startswith("H") and " " not in name:
            return 1
        return _SYMBOLS.get(name[:2].strip().upper()) or _SYMBOLS.get(letters[:1], 0)
    if not aligned and letters[:2] in _IN_LIGANDS:
        return _SYMBOLS[letters[:2]]
    return _SYMBOLS.get(letters[:1], 0)


def _first_letter(name: str, residue: str) -> int:
    letters = re.sub("[^A-Z]", "", name.upper())
    if residue in ("MSE", "SEC") and letters.startswith("SE"):
        return 34
    return _LIGHT.get(letters[:1], 0)
