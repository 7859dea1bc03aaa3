"""Entries of the wwPDB that are part of this package: the real molecules of the recipes, without a download.

``entries.json`` says of each file which entry it is, how that was solved and by whom, and in what its form differs
from the one deposited. Data of the wwPDB are free of restrictions (CC0 1.0).
"""

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from cryobench._errors import UnknownName

_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Entry:
    """An entry of the wwPDB, and the file of it that is here."""

    name: str
    """Identifier, such as 1HZH."""
    file: str
    sha256: str
    """Of the file as it is, compressed."""
    molecule: str
    title: str
    method: str
    resolution: float
    """Å, as deposited."""
    deposited: str
    released: str
    """Dates, as 2001-01-24."""
    citation: str
    doi: str
    """Of the entry."""
    licence: str
    form: str
    """What the file keeps of the entry."""
    not_modelled: str
    """Residues without coordinates."""

    @property
    def path(self) -> Path:
        """The file, gzipped PDB."""
        return _FOLDER / self.file

    @property
    def origin(self) -> str:
        """A line for cards: which molecule, by whom, under which licence, and that it needs no download."""
        return (
            f"PDB {self.name}, {self.molecule} ({self.method}, {self.resolution:g} Å; {self.citation}); "
            f"{self.licence}; ships with cryobench: {self.form}"
        )


@lru_cache(maxsize=1)
def list_entries() -> tuple[Entry, ...]:
    """Every entry that is here, in the order of their names."""
    described = json.loads((_FOLDER / "entries.json").read_text(encoding="utf-8"))
    return tuple(Entry(name, **facts) for name, facts in sorted(described.items()))


def find_entry(name: str) -> Entry:
    """The entry of that name, in capitals or not. UnknownName, with those that are here, if there is none."""
    entries = {entry.name: entry for entry in list_entries()}
    if name.upper() not in entries:
        raise UnknownName("entry of the wwPDB in this package", name, entries)
    return entries[name.upper()]
