"""wwPDB entries shipped with this package: the real molecules of the recipes, without a download.

``entries.json`` states for each file its entry, how and by whom it was solved, and how the file differs
from the deposited one. Data of the wwPDB are free of restrictions (CC0 1.0).
"""

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from cryobench._errors import UnknownName

_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Entry:
    """An entry of the wwPDB, and its file in this package."""

    name: str
    """Identifier, such as 1HZH."""
    file: str
    sha256: str
    """Hash of the compressed file."""
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
    """DOI of the entry."""
    licence: str
    form: str
    """Parts of the entry kept in the file."""
    not_modelled: str
    """Residues without coordinates."""

    @property
    def path(self) -> Path:
        """The file, gzipped PDB."""
        return _FOLDER / self.file

    @property
    def origin(self) -> str:
        """One line for cards: the molecule, its source and licence, and that it ships with the package."""
        return (
            f"PDB {self.name}, {self.molecule} ({self.method}, {self.resolution:g} Å; {self.citation}); "
            f"{self.licence}; ships with cryobench: {self.form}"
        )


@lru_cache(maxsize=1)
def list_entries() -> tuple[Entry, ...]:
    """All entries of this package, sorted by name."""
    described = json.loads((_FOLDER / "entries.json").read_text(encoding="utf-8"))
    return tuple(Entry(name, **facts) for name, facts in sorted(described.items()))


def find_entry(name: str) -> Entry:
    """Entry of that name, ignoring case. UnknownName, with the available ones, if there is none."""
    entries = {entry.name: entry for entry in list_entries()}
    if name.upper() not in entries:
        raise UnknownName("entry of the wwPDB in this package", name, entries)
    return entries[name.upper()]
