"""Residue names of water and salt in the Protein Data Bank, Gromacs, AMBER, CHARMM and Desmond.

The same atoms are left out of a trajectory and a structure of the same system, with one exception: NA, CL, K, LI, CS
and RB in a deposited structure are observed bound ions, and stay. If its waters show that a file is
a simulated system (they have the names of a simulation program, or hydrogens), they are its salt.
"""

import re

import numpy as np
from jaxtyping import Bool, Int64, Shaped

WATERS = "HOH WAT H2O DOD SOL TIP* TP3* TP4* TP5* T3P T4P T5P T3H T4H T4E SPC* OPC* W"
"""Residue names, in MDAnalysis's selection language."""
_MONATOMIC = "NA CL K LI CS RB"
_SALT = "NA+ CL- K+ LI+ CS+ RB+ SOD CLA POT LIT CES RUB"
SALT = f"{_MONATOMIC} {_SALT}"
"""Salt ions."""
_DEPOSITED = "HOH DOD"


def _pattern(names: str) -> re.Pattern[str]:
    return re.compile("|".join(re.escape(name).replace(r"\*", ".*") for name in names.split()), re.IGNORECASE)


_IS_WATER, _IS_SALT, _IS_MONATOMIC = (_pattern(names) for names in (WATERS, _SALT, _MONATOMIC))


def is_water(residue_name: str) -> bool:
    """Whether a residue of that name is water."""
    return _IS_WATER.fullmatch(residue_name) is not None


def find_waters(residue_names: Shaped[np.ndarray, " a"]) -> Bool[np.ndarray, " a"]:
    """Mask of the atoms of waters."""
    return _match(residue_names, _IS_WATER)


def find_salt(
    residue_names: Shaped[np.ndarray, " a"], atomic_numbers: Int64[np.ndarray, " a"]
) -> Bool[np.ndarray, " a"]:
    """Mask of the ions of a simulated system's salt."""
    waters = find_waters(residue_names)
    simulated = waters & ~np.isin(residue_names, _DEPOSITED.split())
    simulated |= (residue_names == "HOH") & (atomic_numbers == 1)
    salt = _match(residue_names, _IS_SALT)
    return salt | _match(residue_names, _IS_MONATOMIC) if simulated.any() else salt


def _match(residue_names: Shaped[np.ndarray, " a"], pattern: re.Pattern[str]) -> Bool[np.ndarray, " a"]:
    kinds, which = np.unique(residue_names, return_inverse=True)
    return np.array([pattern.fullmatch(str(kind)) is not None for kind in kinds], dtype=bool)[which]
