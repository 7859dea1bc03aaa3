"""Registries: literal dictionaries from a name to "module:OBJECT", extended by installed entry points.

Nothing is imported before it is asked for, so listing names is quick and an optional dependency is needed only
by what uses it.
"""

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from cryobench._errors import BrokenExtension, UnknownName


def list_names(table: Mapping[str, str], group: str) -> list[str]:
    """Names in the table, in its order, then those of the entry-point group that can be loaded, alphabetically."""
    broken = list_broken(table, group)
    return [*table, *(name for name in _points(table, group) if name not in broken)]


def list_broken(table: Mapping[str, str], group: str) -> dict[str, str]:
    """Why extensions of an entry-point group cannot be loaded, by name; those that can are not in it."""
    reasons = {}
    for name, point in _points(table, group).items():
        try:
            point.load()
        except Exception as error:  # whatever another package raises must not take this one down
            reasons[name] = _explain(point, error)
    return reasons


def load_named(kind: str, name: str, table: Mapping[str, str], group: str) -> Any:
    """The object a name stands for. The table wins over entry points of the same name.

    Raises
    ------
    UnknownName
        If no ``kind`` (such as "method") has this name; the message suggests a near one.
    BrokenExtension
        If another package adds it, and cannot be loaded.
    """
    if name in table:
        module, _, attribute = table[name].partition(":")
        return getattr(import_module(module), attribute)
    point = _points(table, group).get(name)
    if point is None:
        raise UnknownName(kind, name, list_names(table, group))
    try:
        return point.load()
    except Exception as error:
        raise BrokenExtension(f"{kind} {name!r}: {_explain(point, error)}") from error


def _points(table: Mapping[str, str], group: str) -> dict[str, EntryPoint]:
    """Entry points of a group that the table does not name, by name, in alphabetical order."""
    found = {point.name: point for point in entry_points(group=group) if point.name not in table}
    return dict(sorted(found.items()))


def _explain(point: EntryPoint, error: Exception) -> str:
    package = "an installed package" if point.dist is None else f"the package {point.dist.name}"
    return (
        f"{package} adds it as {point.value}, which cannot be loaded ({type(error).__name__}: {error}). Mend or "
        "uninstall that package."
    )
