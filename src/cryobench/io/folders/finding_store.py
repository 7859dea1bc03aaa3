"""Findings of any type as entries of run.json and files: an entry consists of a dataclass's fields.

    {"kind": "components",
     "arrays": {"mean": "model/mean.npy", "variances": "findings/components/variances.npy", ...},
     "values": {...}}                      the other fields, or the file that holds them if they are long

An array that is part of the model, the same object, is referenced and not written twice. The second finding of a kind
has the folder ``findings/KIND-2``. Arrays are memory-mapped when a run is opened.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np

from cryobench._errors import FormatError
from cryobench.data import FINDINGS, Finding
from cryobench.data.plain import read_plain
from cryobench.io.atomic import read_array, read_json, to_plain, write_array, write_json
from cryobench.io.folders.stored_arrays import StoredArrays

FOLDER = "findings"
LONGEST = 20_000
"""Maximum characters of a finding's values in run.json; longer ones, such as long logs, have a file."""
_FILE = re.compile(r"(model|findings/[a-z0-9-]+)/[A-Za-z0-9_][A-Za-z0-9_.-]*\.(npy|json)")


@dataclass(frozen=True)
class StoredFinding:
    """Entry of run.json."""

    kind: str
    arrays: Mapping[str, str] = field(default_factory=dict)
    """File in the run, by field."""
    values: Mapping[str, Any] | str = field(default_factory=dict)
    """Other fields, or the file that holds them."""


def write_findings(findings: Sequence[Finding], model: Mapping[str, np.ndarray], folder: Path) -> list[StoredFinding]:
    """Entries of findings, with arrays and long values written to the run's folder.

    ``model`` holds arrays in memory or mapped, written by the caller.
    """
    files = {id(values): f"model/{name}.npy" for name, values in model.items() if "/" not in name}
    counts: dict[str, int] = {}
    entries = []
    for finding in findings:
        counts[finding.kind] = number = counts.get(finding.kind, 0) + 1
        slug = re.sub(r"[^a-z0-9]+", "-", finding.kind.lower())
        target = f"{FOLDER}/{slug}" if number == 1 else f"{FOLDER}/{slug}-{number}"
        arrays, values = {}, {}
        for name in (each.name for each in fields(finding)):
            value = getattr(finding, name)
            if not isinstance(value, np.ndarray):
                values[name] = value
                continue
            if id(value) not in files:
                files[id(value)] = f"{target}/{name}.npy"
                write_array(folder / files[id(value)], value)
            arrays[name] = files[id(value)]
        plain: Any = to_plain(values)
        if len(json.dumps(plain)) > LONGEST:
            write_json(folder / target / "values.json", plain)
            plain = f"{target}/values.json"
        entries.append(StoredFinding(finding.kind, arrays, plain))
    return entries


def read_findings(entries: Sequence[StoredFinding], model: StoredArrays, folder: Path) -> tuple[Finding, ...]:
    """Findings of the run in a folder, with mapped arrays; those of the model are the model's own.

    Raises
    ------
    FormatError
        If a kind is unknown, a file is missing or damaged, or fields are missing or inconsistent.
    """
    opened = _Files(folder, model)
    return tuple(_read(entry, opened) for entry in entries)


@dataclass
class _Files:
    """Files of a run that findings refer to."""

    folder: Path
    model: StoredArrays
    opened: dict[str, np.ndarray] = field(default_factory=dict)

    def path(self, file: str) -> Path:
        if not _FILE.fullmatch(file):
            raise FormatError(
                f"{self.folder} names {file!r} as a file of a finding, expected one of model or findings."
            )
        return self.folder / file

    def array(self, file: str) -> np.ndarray:
        path = self.path(file)
        if file not in self.opened:
            named = path.parent.name == "model"
            self.opened[file] = self.model[path.stem] if named else read_array(path, mapped=True)
        values = self.opened[file]
        if values.dtype.kind not in "fiu":
            raise FormatError(f"{path} holds values of type {values.dtype}, expected numbers.")
        return values


_hints = cache(get_type_hints)


def _read(entry: StoredFinding, files: _Files) -> Finding:
    kind = FINDINGS.get(entry.kind)
    if kind is None:
        raise FormatError(f"{files.folder} has a finding {entry.kind!r}, expected one of {', '.join(FINDINGS)}.")
    values = entry.values if isinstance(entry.values, Mapping) else read_json(files.path(entry.values))
    hints = _hints(kind)
    try:
        parts: dict[str, Any] = {
            name: None if value is None else read_plain(hints[name], value)
            for name, value in values.items()
            if name in hints
        }
        parts |= {name: files.array(file) for name, file in entry.arrays.items() if name in hints}
        return kind(**parts)
    except FormatError:
        raise
    except (TypeError, ValueError) as error:
        raise FormatError(f"the {entry.kind} that {files.folder} found cannot be read: {error}") from error
