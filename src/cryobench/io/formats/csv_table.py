"""Comma-separated tables as written by spreadsheets and data frames, read without guessing.

Every row must have as many fields as the first: a decimal comma splits a number into two fields, which would
otherwise shift a column unnoticed.
"""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass
from pathlib import Path

from cryobench._errors import FormatError
from cryobench._text import read_text


@dataclass(frozen=True)
class CsvTable:
    """Fields of a file as stripped text; empty lines are left out."""

    header: list[str] | None
    """Column names; None if the first row holds only numbers."""
    rows: list[list[str]]
    """Rows of equal length."""
    first_line: int
    """Line number of the first of ``rows`` in messages: 2 below a header, else 1."""

    def columns(self) -> dict[str, list[str]]:
        """Columns by name, "" for the first without one."""
        found: dict[str, list[str]] = {}
        for place, name in enumerate(self.header or []):
            found.setdefault(name, [row[place] for row in self.rows])
        return found


def read_csv_table(path: Path, expected: str) -> CsvTable:
    """Table in a file; ``expected`` describes it in messages.

    Raises
    ------
    FormatError
        If the file is missing, empty or not text, a row has more or fewer fields than the first, or two columns have
        the same name, ignoring case.
    """
    text = read_text(path, expected)
    try:
        lines = io.StringIO(text, newline=None)
        rows = [[cell.strip() for cell in row] for row in csv.reader(lines, skipinitialspace=True)]
    except csv.Error as error:
        raise FormatError(f"{path} cannot be read as a table of comma-separated values ({error}).") from error
    rows = [row for row in rows if any(row)]
    if not rows:
        raise FormatError(f"{path} is empty, expected {expected}.")
    width = len(rows[0])
    for number, row in enumerate(rows, start=1):
        del row[max(width, _last_entry(row)) :]
        if len(row) != width:
            raise FormatError(
                f"{path}: row {number} is {','.join(row)!r}, {len(row)} fields where the first row,"
                f" {','.join(rows[0])!r}, has {width}. Separate fields by commas, and write decimals with a point"
                " (10.5, not 10,5)."
            )
    if all(is_number(cell) for cell in rows[0]):
        return CsvTable(None, rows, 1)
    names = [name.lower() for name in rows[0]]
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice is not None:
        raise FormatError(f"{path} has two columns named {twice!r}. Remove one.")
    return CsvTable(rows[0], rows[1:], 2)


def is_number(text: str) -> bool:
    """Whether a field is a finite number."""
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _last_entry(row: list[str]) -> int:
    """Number of fields up to the last non-empty one."""
    return max((place + 1 for place, cell in enumerate(row) if cell), default=0)
