"""Tables that ship with this package."""

import csv
from pathlib import Path


def read_rows(module: str, name: str) -> list[dict[str, str]]:
    """Rows of the CSV file ``name`` next to a module (its ``__file__``), by the names of their columns."""
    with Path(module).with_name(name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
