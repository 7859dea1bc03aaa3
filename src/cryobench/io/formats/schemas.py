"""Versions of the layouts of JSON files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryobench._errors import FormatError


def check_schema(content: Mapping[str, Any], path: Path, newest: int, what: str, way_out: str = "") -> int:
    """Version of a file's layout. FormatError if it is newer than ``newest``, or the file is not ``what``."""
    schema = content.get("schema")
    if not isinstance(schema, int) or schema < 1:
        raise FormatError(f"{path} is not {what}: schema is {schema!r}, expected a number. {way_out}".rstrip())
    if schema > newest:
        raise FormatError(
            f"{path} was written by a newer cryobench (schema {schema}; this version reads up to {newest})."
            " Upgrade: pip install -U cryobench."
        )
    return schema
