"""The run-time checker of the tests: beartype, with an int where a float is annotated (as type checkers allow).

Beartype knows what ``Self`` is only in classes that it decorates whole, so that one annotation is not checked.
"""

from collections.abc import Callable
from typing import Any, Self

from beartype import BeartypeConf, beartype

_check = beartype(conf=BeartypeConf(is_pep484_tower=True))


def check(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function`` with its arguments and result checked at every call."""
    hints = function.__annotations__
    function.__annotations__ = {name: Any if hint is Self else hint for name, hint in hints.items()}
    return _check(function)
