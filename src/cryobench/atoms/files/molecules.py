"""Molecules in a structure file: its title, and the name and kind of every polymer chain.

Names come from the entities of mmCIF (`_entity.pdbx_description`) or the COMPND records of PDB. gemmi keeps
neither, so both are read from the text; gemmi classifies polymers by their residues.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import gemmi

from cryobench.atoms.files.structures import parse_structure
from cryobench.atoms.files.text import read_structure_text

PolymerKind = Literal["RNA", "DNA", "protein", "other"]

_KINDS: dict[gemmi.PolymerType, PolymerKind] = {
    gemmi.PolymerType.Rna: "RNA",
    gemmi.PolymerType.Dna: "DNA",
    gemmi.PolymerType.DnaRnaHybrid: "RNA",
    gemmi.PolymerType.PeptideL: "protein",
    gemmi.PolymerType.PeptideD: "protein",
}


@dataclass(frozen=True)
class Polymer:
    """One polymer chain: its author name, the name of its molecule ("" if not stated), its kind."""

    chain: str
    name: str
    kind: PolymerKind


@dataclass(frozen=True)
class Contents:
    """Self-description of a structure file; ``entry`` and ``title`` are "" if not stated."""

    entry: str
    title: str
    polymers: tuple[Polymer, ...]


def read_contents(path: str | Path) -> Contents:
    """Title and polymers of the first model of a PDB or mmCIF file, plain or gzipped.

    Raises FileNotFoundError, and FormatError for a file that is neither format or is damaged.
    """
    path = Path(path)
    text = read_structure_text(path)
    structure = parse_structure(text, path)
    structure.merge_chain_parts()
    structure.setup_entities()
    is_cif = text.lstrip().lower().startswith(("data_", "#"))
    names = {} if is_cif else _read_compounds(text)
    entities = _read_entities(text) if is_cif else {}
    polymers = []
    for chain in structure[0] if len(structure) else []:
        span = chain.get_polymer()
        if len(span) == 0:
            continue
        entity = structure.get_entity_of(span)
        name = names.get(chain.name, "")
        if entity is not None and not name:
            name = entities.get(entity.name, "")
        polymers.append(Polymer(chain.name, name, _KINDS.get(span.check_polymer_type(), "other")))
    info = dict(structure.info.items())
    entry = info.get("_entry.id", "")
    title = info.get("_struct.title", "")
    return Contents(entry.strip(), title.strip(), tuple(polymers))


def _read_entities(text: str) -> dict[str, str]:
    """Description of each entity of an mmCIF file, by its number."""
    table = gemmi.cif.read_string(text)[0].find("_entity.", ["id", "pdbx_description"])
    described = {gemmi.cif.as_string(row[0]): gemmi.cif.as_string(row[1]) for row in table}
    return {number: name.strip() for number, name in described.items() if name.strip()}


def _read_compounds(text: str) -> dict[str, str]:
    """Molecule of each chain, from the COMPND records of a PDB file: "MOLECULE: ...; CHAIN: A, B;"."""
    lines = [line[10:80].strip() for line in text.splitlines() if line.startswith("COMPND")]
    found: dict[str, str] = {}
    molecule = ""
    for statement in " ".join(lines).split(";"):
        key, _, value = statement.partition(":")
        if key.strip() == "MOL_ID":
            molecule = ""
        elif key.strip() == "MOLECULE":
            molecule = value.strip()
        elif key.strip() == "CHAIN":
            found.update({chain: molecule for chain in re.split(r"[,\s]+", value.strip()) if chain and molecule})
    return found
