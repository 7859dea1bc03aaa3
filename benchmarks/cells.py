"""Table of measurements filled cell by cell, in one JSON file next to the scripts: existing cells are not measured
again by any script, so hours of work may be spread over days and machines."""

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

Cell = Mapping[str, Any]
"""What is kept of a cell: "scores" {name: [value, low, high]}, and what else there is to say of it."""


class Cells:
    """Cells by key, a few words such as ("igg-1d", "recovar").

    Parameters
    ----------
    path
        JSON file; read if it is there, written whole after each new cell.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._cells: dict[str, Cell] = json.loads(path.read_text()) if path.exists() else {}

    def get(self, *key: str) -> Cell | None:
        """The cell, or None where it is missing."""
        return self._cells.get("/".join(key))

    def fill(self, key: tuple[str, ...], make: Callable[[], Cell]) -> Cell:
        """The cell, made if it is missing."""
        name = "/".join(key)
        if name not in self._cells:
            print(f"{name} ...", flush=True)
            self._cells[name] = make()
            self._path.parent.mkdir(parents=True, exist_ok=True)
            partial = self._path.with_suffix(".part")
            partial.write_text(json.dumps(dict(sorted(self._cells.items())), indent=1) + "\n")
            partial.replace(self._path)
        return self._cells[name]


def pack_scores(scores: Mapping[str, Any], names: Iterable[str]) -> dict[str, list[float | None]]:
    """Value and interval of the named scores, to four digits, as far as they were measured."""
    found = ((name, scores[name]) for name in names if name in scores)
    return {
        name: [None if each is None else round(float(each), 4) for each in (score.value, score.low, score.high)]
        for name, score in found
    }


def markdown_table(header: list[str], rows: Iterable[list[str]]) -> str:
    """Header and rows as a table of Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
