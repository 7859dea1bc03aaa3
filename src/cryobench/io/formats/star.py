"""STAR files as tables: reading and writing, independent of the meaning of the columns (see ``relion``)."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import starfile
from starfile.writer import StarWriter

from cryobench._errors import FormatError
from cryobench._text import read_text
from cryobench.io.atomic import write_text

_FLOAT_FORMAT = "%.9g"
"""Nine significant digits restore every float32 exactly, and angles in degrees to 5e-7 or better."""


def read_tables(path: Path, *, text_columns: tuple[str, ...] = ()) -> dict[str, pd.DataFrame]:
    """Every ``data_NAME`` block of a STAR file as a table; a block without loop is a table of one row.

    Raises
    ------
    FormatError
        If the file is missing, holds no complete block, names a block or a column of it twice, or has a ``#`` within
        a word.
    """
    path = Path(path)
    text = read_text(path, "a STAR file")
    _check_comments(text, path)
    _check_names(text, path)
    try:
        with _in_utf8(path, text) as readable:
            blocks = starfile.read(readable, always_dict=True, parse_as_string=list(text_columns))
    # The parser raises arbitrary exceptions on damaged text.
    except Exception as error:
        raise FormatError(f"{path} cannot be read as a STAR file ({type(error).__name__}: {error}).") from error
    if not isinstance(blocks, dict) or not blocks:
        raise FormatError(f"{path} is not a STAR file: no line starts with data_.")
    return {
        str(name): block if isinstance(block, pd.DataFrame) else pd.DataFrame([block])
        for name, block in blocks.items()
    }


def _check_names(text: str, path: Path) -> None:
    """Raise FormatError if a block, or a column of a block, is named twice, which is ambiguous."""
    seen: dict[str, set[str]] = {}
    columns, among_rows = set[str](), False
    for line in text.splitlines():
        word = line.split(maxsplit=1)[0] if line.strip() else ""
        if word.startswith("data_"):
            if word in seen:
                raise FormatError(f"{path} has two blocks {word}. Remove one.")
            columns, among_rows = seen.setdefault(word, set()), False
        elif word.startswith("_") and not among_rows:
            if word in columns:
                raise FormatError(f"{path} has two columns {word} in one block. Remove one.")
            columns.add(word)
        elif word and not word.startswith("#"):
            among_rows = word != "loop_"


@contextmanager
def _in_utf8(path: Path, text: str) -> Iterator[Path]:
    """A file with this text in UTF-8, for the parser: ``path`` itself if it is in UTF-8."""
    if path.read_bytes() == text.encode("utf-8"):
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "table.star"
        copy.write_text(text, encoding="utf-8")
        yield copy


def _check_comments(text: str, path: Path) -> None:
    """Refuse a ``#`` within a word: STAR allows it, but the parser treats the rest of the line as a comment."""
    start = text.find("#")
    while start >= 0:
        line_start = text.rfind("\n", 0, start) + 1
        line_end = text.find("\n", start)
        before = text[line_start:start]
        if before and not before[-1].isspace():
            line = text[line_start : None if line_end < 0 else line_end]
            word = next(word for word in line.split() if "#" in word)
            raise FormatError(
                f"{path}: {word!r} in line {text.count(chr(10), 0, start) + 1} holds '#', which starts a comment in"
                " STAR files. Rename the file or folder that it names."
            )
        start = text.find("#", line_end) if line_end >= 0 else -1


def write_tables(path: Path, tables: Mapping[str, pd.DataFrame]) -> None:
    """Write tables as ``data_NAME`` loops, atomically. The bytes depend on the tables alone."""
    for name, table in tables.items():
        for column in table.columns:
            if not pd.api.types.is_numeric_dtype(table[column]):
                _check_text([str(text) for text in table[column]], str(column), name, path)
    lines = StarWriter({name: _format(table) for name, table in tables.items()}).lines()
    next(lines)  # the program's name and the time, which would make all files differ
    write_text(path, "\n".join(["# written by cryobench", *lines]) + "\n")


def _format(table: pd.DataFrame) -> pd.DataFrame:
    """The table with its numbers as text: pandas' own column formatting takes ten times as long."""
    text = {
        column: [_FLOAT_FORMAT % value for value in table[column].tolist()]
        for column in table.columns
        if pd.api.types.is_float_dtype(table[column]) and not np.isnan(table[column].to_numpy()).any()
    }
    return table.assign(**text)


def number_column(table: pd.DataFrame, column: str, path: Path) -> np.ndarray:
    """A column (n,) as float64. FormatError if it is missing, or an entry is not a finite number."""
    if column not in table:
        raise FormatError(f"{path} has no column _{column}, which is needed. Columns: {', '.join(table.columns)}.")
    values = np.asarray(pd.to_numeric(table[column], errors="coerce"), dtype=np.float64)
    finite = np.isfinite(values)
    if not finite.all():
        first = int(np.argmin(finite))
        raise FormatError(
            f"{path}: row {first + 1} of column _{column} is {str(table[column].iloc[first])!r}, expected a finite"
            " number. The line may be truncated."
        )
    return values


def _check_text(values: list[str], column: str, name: str, path: Path) -> None:
    joined = "\0".join(values)
    for mark, meaning in (("#", "starts a comment"), ("'", "quotes"), ('"', "quotes"), ("\n", "ends a row")):
        if mark in joined:
            first = next(value for value in values if mark in value)
            raise ValueError(
                f"{path}: {first!r} in column _{column} of data_{name} holds {mark!r}, which {meaning}"
                " in STAR files. Rename the file or folder."
            )
