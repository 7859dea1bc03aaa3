"""Registries: literal dictionaries from a name to "module:OBJECT", extended by installed entry points.

Nothing is imported before it is asked for, so listing names is quick and an optional dependency is needed only
by what uses it.
"""

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from cryobench._errors import UnknownName


def list_names(table: Mapping[str, str], group: str) -> list[str]:
    """Names in the table, in its order, then those of the entry-point group, in alphabetical order."""
    added = sorted({point.name for point in entry_points(group=group)} - set(table))
    return [*table, *added]


def load_named(kind: str, name: str, table: Mapping[str, str], group: str) -> Any:
    """The object a name stands for. The table wins over entry points of the same name.

    Raises
    ------
    UnknownName
        If no ``kind`` (such as "method") has this name; the message suggests a near one.
    """
    if name in table:
        module, _, attribute = table[name].partition(":")
        return getattr(import_module(module), attribute)
    for point in entry_points(group=group):
        if point.name == name:
            return point.load()
    raise UnknownName(kind, name, list_names(table, group))
