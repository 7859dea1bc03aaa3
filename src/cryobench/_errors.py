"""Errors that callers may distinguish; further ones are defined next to the code that raises them.

Every message states what was expected, what was found, in which file, and what to do about it.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class CryobenchError(Exception):
    """Base of these errors: the command line prints them without a traceback and exits with status 2."""


class FormatError(CryobenchError, ValueError):
    """A file does not match its name or the files next to it: truncated, of another type, of another length."""


class MissingDependency(CryobenchError, ImportError):
    """An optional program or library that this step needs is not installed."""


class BrokenExtension(CryobenchError, ImportError):
    """An installed package extends cryobench with something that cannot be loaded."""


class UnknownName(CryobenchError, ValueError):
    """A recipe, method, metric or setting of that name does not exist; a similar name is suggested."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(set(known))
        near = get_close_matches(name, names, n=1, cutoff=0.5)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        super().__init__(f"no {kind} named {name!r}.{hint} Known: {', '.join(names)}.")
