"""Frozen values restored from plain JSON values, with every entry checked."""

import json
from functools import cache
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

Value = TypeVar("Value")


def read_plain(kind: type[Value], stored: Any) -> Value:
    """A value of a type from plain ones, dataclasses from named values; unknown entries are ignored.

    Nothing is converted except lists to tuples and whole numbers to floats: text is not a number.

    Raises
    ------
    ValueError
        If an entry is missing or of another type; the message names it.
    """
    try:
        return _adapter(kind).validate_json(json.dumps(stored), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"])) or "it"
        if first["type"] == "missing":
            raise ValueError(f"{name} is missing") from error
        raise ValueError(f"{name} cannot be {json.dumps(first['input'])}: {first['msg'].lower()}") from error


@cache
def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
