"""Structure files, PDB and mmCIF, gzipped or not.

The format is detected from the content, not from the name. By default the atoms are those that molmap would turn into
density: all atoms of the first model except waters, including ligands and glycans, and the first of alternative
conformations. Models that are copies in an assembly are one structure. Atoms of occupancy 0 are kept:
molmap ignores occupancies, and molecular dynamics programs write 0 for all.
"""

import gzip
import os
from pathlib import Path
from typing import Literal

import gemmi
import numpy as np

from cryobench._errors import FormatError
from cryobench.atoms.elements import decide_elements, is_virtual_site
from cryobench.atoms.files.assembly_models import are_copies, join_copies
from cryobench.atoms.files.cif import read_cif_models
from cryobench.atoms.files.pdb import read_pdb_models
from cryobench.atoms.files.records import AtomRecords
from cryobench.atoms.files.residue_copies import drop_alternatives, gather_residues
from cryobench.atoms.files.text import read_structure_text
from cryobench.atoms.model import AtomicModel, residue_starts
from cryobench.atoms.periodic import make_whole
from cryobench.atoms.solvent_residues import find_salt, find_waters

_PDB_RECORDS = ("ATOM", "HETATM", "HEADER", "CRYST1", "MODEL", "REMARK", "TITLE", "COMPND", "EXPDTA", "OBSLTE")


def read_structure(
    path: str | Path,
    *,
    model: int | Literal["auto", "all"] = "auto",
    notes: list[str] | None = None,
) -> AtomicModel:
    """Atoms of a PDB or mmCIF file, plain or gzipped.

    Water by any name, the salt of a simulated system, and all but the first alternative conformation of each residue
    are left out. Chain names and residue numbers are the authors'. Molecules cut by a periodic box are made whole.

    Parameters
    ----------
    path
        The file.
    model
        Index of the model, from 0; "all": all of them as one structure, with chains of the second named A-2,
        B-2; "auto": all if they are copies in an assembly, else the first.
    notes
        List to which a line is added for everything unexpected that was left out or changed.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    FormatError
        If it is neither format, or damaged.
    ValueError
        If the model does not exist, or has no atoms left.
    """
    path = Path(path)
    said: list[str] = []
    text = read_structure_text(path)
    records = drop_alternatives(gather_residues(_choose_model(_read_models(text, path), model, path, said)))
    numbers = _decide_elements(records)
    left_out = _choose_left_out(records, numbers, said)
    if left_out.all():
        raise ValueError(f"{path} holds no atoms to image besides water and salt. Give a file with coordinates.")
    kept = records.take(~left_out)
    positions, joined = make_whole(kept)
    if joined:
        said.append(f"{joined} molecules were cut by the periodic box and are made whole.")
    unoccupied = int((kept.occupancies == 0).sum())
    if 0 < unoccupied < len(kept):
        said.append(f"{unoccupied} atoms have occupancy 0 and are imaged like the others.")
    if notes is not None:
        notes.extend(f"{path.name}: {line}" for line in said)
    return build_model(kept, numbers[~left_out], path).with_positions(positions)


def read_records(path: Path) -> AtomRecords:
    """Every atom of the first model of a file, in file order, with elements as stated.

    Raises FileNotFoundError, FormatError, and ValueError for a file without atoms.
    """
    found = _read_models(read_structure_text(path), path, most=1)
    if not found:
        raise ValueError(f"{path} holds no atoms. Give a file with coordinates.")
    return found[0]


def read_topology(path: str | Path) -> AtomicModel:
    """Every atom of the first model of a PDB or mmCIF file, in file order, to match the frames of a trajectory.

    Nothing is left out and chains are not grouped, unlike in `read_structure`; same errors.
    """
    path = Path(path)
    records = read_records(path)
    return build_model(records, _decide_elements(records), path)


def holds_several_models(path: Path, *, unless_assembly: bool = False) -> bool:
    """Whether a file holds more than one model; optionally not counting copies in an assembly.

    Errors as for `read_records`.
    """
    models = _read_models(read_structure_text(path), path, most=2)
    return len(models) > 1 and not (unless_assembly and are_copies(models))


def write_structure(model: AtomicModel, path: str | Path) -> None:
    """Write a model as PDB (``.pdb``) or mmCIF (``.cif``), gzipped if the name ends in ``.gz``.

    Positions keep 3 decimals, B factors and occupancies 2. The file appears complete or not at all. ValueError for
    another suffix, or for a model that exceeds PDB's columns.
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
        raise ValueError(f"a structure file must end in .pdb or .cif, optionally with .gz; got {path.name!r}.")
    content = gzip.compress(text.encode(), mtime=0) if compressed else text.encode()
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def parse_structure(text: str, path: Path) -> gemmi.Structure:
    """Parsed PDB or mmCIF text; FormatError, naming ``path``, if it is neither."""
    is_cif = _is_cif(text, path)
    try:
        if is_cif:
            return gemmi.make_structure_from_block(gemmi.cif.read_string(text)[0])
        return gemmi.read_pdb_string(text)
    except (RuntimeError, ValueError, IndexError) as error:
        kind = "mmCIF" if is_cif else "PDB"
        raise FormatError(f"{path} cannot be read as {kind}: {error}. Is the file complete?") from error


def _is_cif(text: str, path: Path) -> bool:
    """Whether text is mmCIF rather than PDB; FormatError, naming ``path``, if it is neither."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if not lines:
        raise FormatError(f"{path} is empty: expected a PDB or mmCIF file with atoms.")
    is_cif = lines[0].lower().startswith("data_")
    if not is_cif and not any(line.startswith(_PDB_RECORDS) for line in lines):
        raise FormatError(
            f"{path} is neither PDB (no ATOM record) nor mmCIF (no data_ block): it begins with {lines[0][:40]!r}."
        )
    return is_cif


def build_model(records: AtomRecords, numbers: np.ndarray, path: Path) -> AtomicModel:
    """Model of atoms of known elements. FormatError, naming the atom, if one is unknown."""
    unknown = np.flatnonzero(numbers == 0)
    if len(unknown):
        row = unknown[0]
        residue = f"{records.residue_names[row]} {records.residue_numbers[row]}"
        raise FormatError(
            f"{path}: {len(unknown)} atoms have no known element, the first is {str(records.names[row])!r} of "
            f"residue {residue}, chain {str(records.chains[row])!r}. "
            "Fill in the element column, or give a PDB or mmCIF topology that has one."
        )
    return AtomicModel(
        positions=records.positions,
        atomic_numbers=numbers,
        b_factors=records.b_factors,
        occupancies=records.occupancies,
        chains=records.chains,
        residue_numbers=records.residue_numbers,
        insertion_codes=records.insertion_codes,
        residue_names=records.residue_names,
        atom_names=records.names,
    )


def find_virtual_sites(records: AtomRecords, numbers: np.ndarray) -> np.ndarray:
    """Mask of massless force-field sites (the fourth of four-site water), which are not imaged."""
    waters = find_waters(records.residue_names)
    virtual = numbers == 0
    for row in np.flatnonzero(virtual & ~waters):
        virtual[row] = is_virtual_site(str(records.padded_names[row]))
    return virtual


def _read_models(text: str, path: Path, *, most: int | None = None) -> list[AtomRecords]:
    read = read_cif_models if _is_cif(text, path) else read_pdb_models
    return read(text, path, most=most)


def _choose_model(
    models: list[AtomRecords], model: int | Literal["auto", "all"], path: Path, said: list[str]
) -> AtomRecords:
    count = len(models)
    if count == 0:
        raise ValueError(f"{path} holds no atoms to image. Give a file with coordinates.")
    if isinstance(model, int):
        if not 0 <= model < count:
            raise ValueError(f"{path} holds {count} models (0 to {count - 1}), requested {model}.")
        return models[model]
    if count == 1:
        return models[0]
    if model == "all" or are_copies(models):
        said.append(f"its {count} models are read as one structure, copies in an assembly.")
        return join_copies(models)
    said.append(f"the first of its {count} models is used.")
    return models[0]


def _decide_elements(records: AtomRecords) -> np.ndarray:
    names, residues = records.padded_names.tolist(), records.residue_names.tolist()
    return decide_elements(names, residues, records.symbols.tolist(), aligned=records.aligned)


def _choose_left_out(records: AtomRecords, numbers: np.ndarray, said: list[str]) -> np.ndarray:
    """Mask of water, salt and massless sites."""
    water, salt = find_waters(records.residue_names), find_salt(records.residue_names, numbers)
    counted = {"water": int(water.sum()), "salt": int(salt.sum())}
    parts = [f"{count} atoms of {kind}" for kind, count in counted.items() if count]
    if parts:
        said.append(f"{' and '.join(parts)} are left out.")
    virtual = find_virtual_sites(records, numbers)
    others = virtual & ~water
    if others.any():
        said.append(f"{int(others.sum())} sites without mass ({records.names[others][0]}) are left out.")
    return virtual | water | salt


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
