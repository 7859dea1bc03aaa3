"""Residues that occur more than once in a file: parts of one, alternative conformations, or copies.

Only a letter marks an alternative conformation. A residue number repeated without one is another molecule:
the second copy of a dimer under one chain letter, a CHARMM segment, a ligand with the number of an amino acid.
"""

from itertools import pairwise

import numpy as np

from cryobench.atoms.files.records import AtomRecords

_Key = tuple[str, int, str, str, int]


def gather_residues(records: AtomRecords) -> AtomRecords:
    """The records grouped by chain and residue, each at the position of its first atom.

    An atom belongs to the most recent residue of its name and number; if that already has an atom of this
    name (in the same alternative conformation), or ended with its chain (TER), a new residue begins.
    """
    chains: dict[str, list[list[int]]] = {}
    begun: dict[_Key, tuple[list[int], set[tuple[str, str]]]] = {}
    for row, (key, atom) in enumerate(zip(_list_keys(records), _list_atoms(records), strict=True)):
        residue, held = begun.get(key, (None, None))
        if residue is None or held is None or atom in held:
            residue, held = begun[key] = ([], set())
            chains.setdefault(key[0], []).append(residue)
        residue.append(row)
        held.add(atom)
    order = np.array([row for chain in chains.values() for residue in chain for row in residue], dtype=np.int64)
    return records.take(order)


def drop_alternatives(records: AtomRecords) -> AtomRecords:
    """The records without the second and further alternative conformations of each atom and each residue.

    Among atoms of one name in one residue with letters the first is kept, or none if one has no letter. If
    residues of several names have the same number (microheterogeneity), the first keeps the atoms of its letters, and
    the others lose those with other letters.
    """
    kept = records.altlocs == ""
    if kept.all():
        return records
    names = records.names.tolist()
    keys = list(_list_keys(records))
    # Residues are already grouped, so atoms of one are contiguous.
    starts = [0, *(row + 1 for row, (one, other) in enumerate(pairwise(keys)) if one != other), len(keys)]
    first: dict[tuple[str, int, str, int], tuple[str, set[str]]] = {}
    for start, stop in pairwise(starts):
        held = {names[row] for row in range(start, stop) if kept[row]}
        chain, number, code, residue, part = keys[start]
        letters = {str(records.altlocs[row]) for row in range(start, stop)} - {""}
        name, taken = residue, letters
        if letters:
            name, taken = first.setdefault((chain, number, code, part), (residue, letters))
        for row in range(start, stop):
            if kept[row] or names[row] in held:
                continue
            if name == residue or records.altlocs[row] in taken:
                kept[row] = True
                held.add(names[row])
    return records.take(kept)


def _list_keys(records: AtomRecords) -> list[_Key]:
    columns = (
        records.chains,
        records.residue_numbers,
        records.insertion_codes,
        records.residue_names,
        records.parts,
    )
    return list(zip(*(column.tolist() for column in columns), strict=True))


def _list_atoms(records: AtomRecords) -> list[tuple[str, str]]:
    return list(zip(records.names.tolist(), records.altlocs.tolist(), strict=True))
