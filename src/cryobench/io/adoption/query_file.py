"""Query particles from a file: one index per line, optionally below a header, as in DATASET/query.csv."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cryobench._errors import FormatError
from cryobench.io.formats.csv_table import CsvTable, read_csv_table

_NAMES = ("particle", "particle_index", "query", "index", "idx")


def read_queries(path: Path, n: int) -> np.ndarray:
    """Indices (q,) of query particles among n.

    Raises
    ------
    FormatError
        If the file is missing or empty, has several columns and none called particle, or an entry is not a
        particle index.
    """
    table = read_csv_table(path, "a list of query particles")
    entries = _entries(table, path)
    first = table.first_line + len(table.rows) - len(entries)
    words = [(line, word) for line, cell in enumerate(entries, start=first) for word in cell.split()]
    bad = next((f"{word!r} in line {line}" for line, word in words if not (word.isdecimal() and int(word) < n)), None)
    if bad or not words:
        raise FormatError(
            f"{path} names the query particle {bad or 'none'}, expected indices of particles, 0 to {n - 1}, one per"
            " line."
        )
    return np.array([int(word) for _, word in words], dtype=np.int64)


def drop_doubled(queries: np.ndarray, notes: list[str]) -> np.ndarray:
    """Query particles without repeats, in the given order; ``notes`` report repeats."""
    _, first = np.unique(queries, return_index=True)
    if len(first) < len(queries):
        doubled = next(query for column, query in enumerate(queries) if query in queries[:column])
        notes.append(
            f"{len(queries) - len(first):,} of {len(queries):,} query particles were named more than once, such as"
            f" {doubled}; each counts once"
        )
    return queries[np.sort(first)]


def _entries(table: CsvTable, path: Path) -> list[str]:
    if table.header is None:
        if len(table.rows[0]) > 1:
            raise FormatError(
                f"{path} has {len(table.rows[0])} columns and no header, so the query particles are ambiguous. Give "
                "one column, or begin the file with a header that names one particle."
            )
        return [row[0] for row in table.rows]
    names = [name.lower() for name in table.header]
    column = next((names.index(name) for name in _NAMES if name in names), None)
    if column is None and len(names) == 1 and table.header[0].split()[0].isdecimal():
        return [table.header[0], *(row[0] for row in table.rows)]  # several per line, separated by blanks
    if column is None:
        raise FormatError(
            f"{path} has the columns {', '.join(table.header)}, expected indices of particles in one called particle."
        )
    return [row[column] for row in table.rows]
