"""Small PDB files as text: a helix of alanine, and lines of any atom."""

import numpy as np

_HELIX = (("N", "N", 1.5, -0.6, -25), ("CA", "C", 2.3, 0, 0), ("C", "C", 1.7, 0.9, 20), ("O", "O", 2.0, 2.1, 25))
HELIX_ATOMS, HELIX_ELECTRONS = 20, 5 * (7 + 6 + 6 + 8)


def helix_positions(origin=(0.0, 0.0, 0.0)):
    """(20, 3) Å: N, CA, C and O of five residues."""
    angles = np.deg2rad([100 * residue + turn for residue in range(5) for *_, turn in _HELIX])
    radii = np.array([atom[2] for atom in _HELIX] * 5)
    heights = [1.5 * residue + atom[3] for residue in range(5) for atom in _HELIX]
    return np.stack([radii * np.cos(angles), radii * np.sin(angles), heights], axis=1) + origin


def atom_line(
    name, residue, number, xyz, *, element="", chain="A", altloc=" ", occupancy=1.0, segment="", padded=None
):
    """One ATOM record. A residue name of four letters takes the column before the chain."""
    padded = padded or (f" {name:<3}" if len(name) < 4 else name)
    x, y, z = xyz
    head = f"ATOM      1 {padded}{altloc}{residue:>3}".ljust(21) + f"{chain}{number:>4}    {x:8.3f}{y:8.3f}{z:8.3f}"
    return f"{head}{occupancy:6.2f} 20.00      {segment:<4}{element:>2}"


def helix_lines(origin=(0.0, 0.0, 0.0), *, positions=None, **options):
    """The helix, its elements in their column unless ``element`` says otherwise."""
    atoms = [(name, element, residue) for residue in range(1, 6) for name, element, *_ in _HELIX]
    where = helix_positions(origin) if positions is None else positions
    return [
        atom_line(name, "ALA", residue, xyz, **{"element": element, **options})
        for (name, element, residue), xyz in zip(atoms, where, strict=True)
    ]


def write_pdb(path, lines):
    """The file of these lines, ended by END."""
    path.write_text("\n".join([*lines, "END", ""]))
    return path
