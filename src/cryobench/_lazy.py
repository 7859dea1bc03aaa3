"""Names of a package that are imported when they are asked for, so that importing the package loads nothing heavy."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def late_names(package: str, late: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """``__getattr__`` and ``__dir__`` (PEP 562) of a package.

    Parameters
    ----------
    package
        Its ``__name__``.
    late
        Names and the module that has each; a module ``package.NAME`` stands for itself.
    """

    def get(name: str) -> Any:
        if name not in late:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = import_module(late[name])
        return module if late[name] == f"{package}.{name}" else getattr(module, name)

    def list_all() -> list[str]:
        return sorted([*vars(import_module(package)), *late])

    return get, list_all
