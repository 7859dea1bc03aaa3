"""Registries: literal dictionaries from a name to the location of its object, extended by installed entry points.

Nothing is imported before it is used, so listing names is fast and an optional dependency is needed only
where it is used.
"""

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from inspect import get_annotations, isabstract
from typing import Any, NamedTuple

from cryobench._errors import BrokenExtension, UnknownName


class Entry(NamedTuple):
    """One line of a registry."""

    where: str
    """"module:OBJECT"."""
    what: str = ""
    """The line shown in lists, equal to the object's own, so that a list imports nothing."""


def list_names(table: Mapping[str, Entry], group: str, base: str) -> list[str]:
    """Names in the table, in order, then those of the entry-point group that can be loaded, alphabetically."""
    broken = list_broken(table, group, base)
    return [*table, *(name for name in _points(table, group) if name not in broken)]


def list_broken(table: Mapping[str, Entry], group: str, base: str) -> dict[str, str]:
    """Name -> reason for each extension of an entry-point group that cannot be loaded."""
    reasons = {}
    for name, point in _points(table, group).items():
        try:
            _load(point, base)
        except BrokenExtension as error:
            reasons[name] = str(error)
    return reasons


def load_named(kind: str, name: str, table: Mapping[str, Entry], group: str, base: str) -> Any:
    """Object of a name. The table takes precedence over entry points of the same name.

    Parameters
    ----------
    kind
        Description, such as "method".
    table, group
        Names of this package, and the entry-point group of others.
    base
        "module:CLASS" required of an extension: a class derived from it, or an object of it. It is imported if
        there are extensions.

    Raises
    ------
    UnknownName
        If no ``kind`` has this name; the message suggests a similar one.
    BrokenExtension
        If another package adds it, and it cannot be loaded or is of the wrong type.
    """
    if name in table:
        return _import(table[name].where)
    point = _points(table, group).get(name)
    if point is None:
        raise UnknownName(kind, name, list_names(table, group, base))
    try:
        return _load(point, base)
    except BrokenExtension as error:
        raise BrokenExtension(f"{kind} {name!r}: {error}") from error


def _import(where: str) -> Any:
    module, _, attribute = where.partition(":")
    return getattr(import_module(module), attribute)


def _points(table: Mapping[str, Entry], group: str) -> dict[str, EntryPoint]:
    """Entry points of a group that the table does not name, by name, in alphabetical order."""
    found = {point.name: point for point in entry_points(group=group) if point.name not in table}
    return dict(sorted(found.items()))


def _load(point: EntryPoint, expected: str) -> Any:
    """Object of an entry point. BrokenExtension, naming the package, for any error in loading or a wrong type."""
    base: type = _import(expected)
    try:
        found = point.load()
    except (Exception, SystemExit) as error:  # a module that ends the program when imported must not end this one
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise BrokenExtension(_explain(point, f"cannot be loaded ({reason})")) from error
    is_class = isinstance(found, type)
    if not (issubclass(found, base) if is_class else isinstance(found, base)):
        raise BrokenExtension(_explain(point, f"is no {base.__name__}, but {found!r}"))
    declared = [name for name, annotation in get_annotations(base).items() if "ClassVar" in str(annotation)]
    missing = [name for name in declared if not hasattr(found, name)]
    if missing or isabstract(found):
        lacks = missing or sorted(found.__abstractmethods__)
        raise BrokenExtension(_explain(point, f"is a {base.__name__} without {', '.join(lacks)}"))
    return found


def _explain(point: EntryPoint, fault: str) -> str:
    package = "an installed package" if point.dist is None else f"the package {point.dist.name}"
    return f"{package} adds it as {point.value}, which {fault}. Repair or uninstall that package."
