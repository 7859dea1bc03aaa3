"""Structure files, PDB and mmCIF, gzipped or not, read and written through gemmi.

The format is told from the content, not from the name. What is kept by default is what molmap would turn into
density: every atom of the first model but the waters, ligands and glycans included, and of alternative
conformations the first.
"""

import gzip
import tempfile
import zlib
from pathlib import Path
from typing import Literal

import gemmi
import numpy as np

from cryobench._errors import FormatError
from cryobench.atoms.model import AtomicModel, residue_starts

_PDB_RECORDS = ("ATOM", "HETATM", "HEADER", "CRYST1", "MODEL", "REMARK", "TITLE", "COMPND", "EXPDTA", "OBSLTE")


def read_structure(
    path: str | Path,
    *,
    hydrogens: bool = True,
    waters: bool = False,
    ligands: bool = True,
    model: int = 0,
    altloc: Literal["first", "all"] = "first",
) -> AtomicModel:
    """Atoms of one model of a PDB or mmCIF file, plain or gzipped.

    Parameters
    ----------
    path
        The file.
    hydrogens, waters, ligands
        Keep these atoms (hydrogens where they are modelled; ligands are all that is neither polymer nor water:
        glycans, ions, cofactors).
    model
        Which model of the file, from 0.
    altloc
        Of alternative conformations keep the first of each residue, or all (they then overlap).

    Chain names and residue numbers are the authors'.

    Raises FileNotFoundError, FormatError for a file that is neither format or is damaged, ValueError for a model
    that does not exist or has no atoms left.
    """
    path = Path(path)
    structure = parse_structure(read_structure_text(path), path)
    if not 0 <= model < max(len(structure), 1):
        raise ValueError(f"{path} holds {len(structure)} models (0 to {len(structure) - 1}), asked for {model}.")
    structure.merge_chain_parts()
    structure.setup_entities()
    if altloc == "first":
        structure.remove_alternative_conformations()
    if not hydrogens:
        structure.remove_hydrogens()
    if not ligands:
        structure.remove_ligands_and_waters()
    elif not waters:
        structure.remove_waters()
    rows = _list_atoms(structure[model]) if len(structure) else []
    if not rows:
        raise ValueError(
            f"{path} holds no atoms to image (waters kept: {waters}, ligands kept: {ligands}). "
            "Give a file with coordinates, or keep what was dropped."
        )
    return _build(rows, path)


def read_topology(path: str | Path) -> AtomicModel:
    """Every atom of the first model of a PDB or mmCIF file, in the order of the file, as a trajectory's frames are.

    Nothing is left out and chains are not gathered, unlike in `read_structure`; same errors.
    """
    path = Path(path)
    structure = parse_structure(read_structure_text(path), path)
    rows = _list_atoms(structure[0]) if len(structure) else []
    if not rows:
        raise ValueError(f"{path} holds no atoms. Give a file with coordinates.")
    return _build(rows, path)


def write_structure(model: AtomicModel, path: str | Path) -> None:
    """Write a model as PDB (``.pdb``) or mmCIF (``.cif``), gzipped if the name ends in ``.gz``.

    Positions keep 3 decimals, B-factors and occupancies 2. The file appears whole or not at all. ValueError for
    another ending, or for a model that PDB's columns cannot hold.
    """
    path = Path(path)
    suffixes = [suffix.lower() for suffix in path.suffixes]
    compressed = suffixes[-1:] == [".gz"]
    kind = suffixes[-2 if compressed else -1] if len(suffixes) > compressed else ""
    structure = _to_gemmi(model)
    if kind == ".pdb":
        _check_fits_pdb(model, path)
        text = structure.make_pdb_string()
    elif kind in (".cif", ".mmcif"):
        text = structure.make_mmcif_document().as_string()
    else:
        raise ValueError(f"a structure is written as .pdb or .cif, or these with .gz; got {path.name!r}.")
    content = gzip.compress(text.encode(), mtime=0) if compressed else text.encode()
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as temporary:
        try:
            temporary.write(content)
            temporary.close()
            Path(temporary.name).chmod(0o644)
            Path(temporary.name).replace(path)
        except BaseException:
            Path(temporary.name).unlink(missing_ok=True)
            raise


def read_structure_text(path: Path) -> str:
    """Text of a structure file, plain or gzipped. FileNotFoundError, or FormatError for what is not text."""
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise FileNotFoundError(
            f"structure file {path} {what}. Give a PDB or mmCIF file, or rcsb:ID to download one."
        )
    content = path.read_bytes()
    if content[:2] == b"\x1f\x8b":
        content = decompress_gzip(content, path)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FormatError(
            f"{path} is neither PDB nor mmCIF: byte {error.start} is not text. Give a structure file, not a map."
        ) from error


def decompress_gzip(content: bytes, path: Path) -> bytes:
    """Bytes of a whole gzip stream; FormatError naming ``path`` if it is truncated or damaged."""
    try:
        return gzip.decompress(content)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise FormatError(
            f"{path} is not a whole gzip file ({len(content)} bytes: {error}). Download or copy it again."
        ) from error


def parse_structure(text: str, path: Path) -> gemmi.Structure:
    """What the text of a PDB or mmCIF file says; FormatError, naming ``path``, if it is neither."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if not lines:
        raise FormatError(f"{path} is empty: expected a PDB or mmCIF file with atoms.")
    is_cif = lines[0].lower().startswith("data_")
    if not is_cif and not any(line.startswith(_PDB_RECORDS) for line in lines):
        raise FormatError(
            f"{path} is neither PDB (no ATOM record) nor mmCIF (no data_ block): it begins with {lines[0][:40]!r}."
        )
    try:
        if is_cif:
            return gemmi.make_structure_from_block(gemmi.cif.read_string(text)[0])
        return gemmi.read_pdb_string(text)
    except (RuntimeError, ValueError, IndexError) as error:
        kind = "mmCIF" if is_cif else "PDB"
        raise FormatError(f"{path} cannot be read as {kind}: {error}. Is the file whole?") from error


def _list_atoms(model: gemmi.Model) -> list[tuple]:
    return [
        (
            atom.pos.tolist(),
            atom.element.atomic_number,
            atom.b_iso,
            atom.occ,
            chain.name,
            residue.seqid.num,
            residue.seqid.icode.strip(),
            residue.name,
            atom.name,
        )
        for chain in model
        for residue in chain
        for atom in residue
    ]


def _build(rows: list[tuple], path: Path) -> AtomicModel:
    columns = list(zip(*rows, strict=True))
    unknown = [index for index, number in enumerate(columns[1]) if number == 0]
    if unknown:
        row = rows[unknown[0]]
        raise FormatError(
            f"{path}: {len(unknown)} atoms have no known element, the first is {row[8]!r} of residue {row[7]} "
            f"{row[5]}, chain {row[4]!r}. Fill in the element column."
        )
    return AtomicModel(
        positions=np.array(columns[0]),
        atomic_numbers=np.array(columns[1]),
        b_factors=np.array(columns[2]),
        occupancies=np.array(columns[3]),
        chains=np.array(columns[4]),
        residue_numbers=np.array(columns[5]),
        insertion_codes=np.array(columns[6]),
        residue_names=np.array(columns[7]),
        atom_names=np.array(columns[8]),
    )


def _to_gemmi(model: AtomicModel) -> gemmi.Structure:
    structure = gemmi.Structure()
    structure.name = "model"
    target = gemmi.Model(1)
    starts = residue_starts(model)
    ends = [*starts[1:].tolist(), len(model)]
    chain = gemmi.Chain(str(model.chains[0]))
    for start, end in zip(starts.tolist(), ends, strict=True):
        if model.chains[start] != chain.name:
            target.add_chain(chain)
            chain = gemmi.Chain(str(model.chains[start]))
        residue = gemmi.Residue()
        residue.name = str(model.residue_names[start])
        code = str(model.insertion_codes[start]) or " "
        residue.seqid = gemmi.SeqId(int(model.residue_numbers[start]), code)
        residue.het_flag = "A" if gemmi.find_tabulated_residue(residue.name).is_standard() else "H"
        for index in range(start, end):
            atom = gemmi.Atom()
            atom.name = str(model.atom_names[index])
            atom.element = gemmi.Element(int(model.atomic_numbers[index]))
            atom.pos = gemmi.Position(*model.positions[index].tolist())
            atom.b_iso = float(model.b_factors[index])
            atom.occ = float(model.occupancies[index])
            residue.add_atom(atom)
        chain.add_residue(residue)
    target.add_chain(chain)
    structure.add_model(target)
    structure.setup_entities()
    return structure


def _check_fits_pdb(model: AtomicModel, path: Path) -> None:
    long_chains = sorted({name for name in model.chains.tolist() if len(name) > 2})
    extent = np.abs(model.positions).max()
    if long_chains or extent >= 1000 or len(model) > 99_999:
        raise ValueError(
            f"{path} cannot be PDB: its columns hold chain names of two letters, 99,999 atoms and positions below "
            f"1000 Å; got chains {long_chains}, {len(model)} atoms and {extent:.0f} Å. Write .cif."
        )
