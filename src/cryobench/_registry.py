"""Registries: literal dictionaries from a name to where its object is, extended by installed entry points.

Nothing is imported before it is asked for, so listing names is quick and an optional dependency is needed only
by what uses it.
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
    """The line that lists it, as the object itself says it, so that a list imports nothing."""


def list_names(table: Mapping[str, Entry], group: str, base: str) -> list[str]:
    """Names in the table, in its order, then those of the entry-point group that can be loaded, alphabetically."""
    broken = list_broken(table, group, base)
    return [*table, *(name for name in _points(table, group) if name not in broken)]


def list_broken(table: Mapping[str, Entry], group: str, base: str) -> dict[str, str]:
    """Why extensions of an entry-point group cannot be loaded, by name; those that can are not in it."""
    reasons = {}
    for name, point in _points(table, group).items():
        try:
            _load(point, base)
        except BrokenExtension as error:
            reasons[name] = str(error)
    return reasons


def load_named(kind: str, name: str, table: Mapping[str, Entry], group: str, base: str) -> Any:
    """The object a name stands for. The table wins over entry points of the same name.

    Parameters
    ----------
    kind
        In words, such as "method".
    table, group
        Names of this package, and the entry-point group of others.
    base
        "module:CLASS" of what an extension must be: a class derived from it, or an object of it. It is imported where
        there are extensions.

    Raises
    ------
    UnknownName
        If no ``kind`` has this name; the message suggests a near one.
    BrokenExtension
        If another package adds it, and it cannot be loaded or is not what it should be.
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
    """What an entry point names. BrokenExtension, saying which package, whatever loading it raises or gives."""
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
    return f"{package} adds it as {point.value}, which {fault}. Mend or uninstall that package."
