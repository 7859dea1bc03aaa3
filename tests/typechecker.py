"""The run-time checker of the tests: beartype, with an int where a float is annotated (as type checkers allow).

Beartype knows what ``Self`` is only in classes that it decorates whole, so that one annotation is not checked.
Functions without shapes in their annotations are left to the type checker, and others are checked at the first calls
in each test: checking all at every call took a third of the tests' time.
"""

import dataclasses
import inspect
import re
from collections import Counter
from collections.abc import Callable
from functools import cache, partial, wraps
from pathlib import Path
from typing import Any, Self, get_args

import jaxtyping
from beartype import BeartypeConf, beartype
from jaxtyping import AbstractArray, AbstractDtype

_CHECKED_CALLS = 30
"""Calls of a function that are checked in each test."""
_check = beartype(conf=BeartypeConf(is_pep484_tower=True))
_jaxtyped = jaxtyping.jaxtyped
_KINDS = [
    name for name, value in vars(jaxtyping).items() if inspect.isclass(value) and issubclass(value, AbstractDtype)
]
_TYPES = Path(__file__).parents[1] / "src" / "cryobench" / "_types.py"
_NAMED = re.findall(r"^(\w+): TypeAlias", _TYPES.read_text("utf-8"), re.MULTILINE)
_SHAPE = re.compile(rf"\b({'|'.join(_KINDS)})\[|\b({'|'.join(_NAMED)})\b")
"""A shape in an annotation that is text still, or one of the package's names for shapes."""
calls: Counter[Callable[..., Any]] = Counter()
"""Checked calls of each function in the present test, whose fixture clears it."""


def check(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function`` with its arguments and result checked at every call."""
    hints = function.__annotations__
    function.__annotations__ = {name: Any if hint is Self else hint for name, hint in hints.items()}
    return _check(function)


def _has_shape(hint: Any) -> bool:
    if isinstance(hint, str):
        return _SHAPE.search(hint) is not None
    if inspect.isclass(hint) and issubclass(hint, AbstractArray):
        return True
    return any(map(_has_shape, get_args(getattr(hint, "__value__", hint))))


def _check_first_calls(function: Callable[..., Any], typechecker: Callable[..., Any]) -> Callable[..., Any]:
    if not any(map(_has_shape, getattr(function, "__annotations__", {}).values())):
        return function
    make_checked = cache(partial(_jaxtyped, function, typechecker=typechecker))  # at the first call, as it takes time

    @wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        if calls[function] >= _CHECKED_CALLS:
            return function(*arguments, **named)
        calls[function] += 1
        return make_checked()(*arguments, **named)

    return call


def jaxtyped(target: Any = None, *, typechecker: Any) -> Any:
    """``jaxtyping.jaxtyped`` for the first calls of functions, properties and dataclasses with shapes."""
    if target is None:
        return partial(jaxtyped, typechecker=typechecker)
    wrap = partial(_check_first_calls, typechecker=typechecker)
    if inspect.isclass(target):
        if dataclasses.is_dataclass(target):
            target.__init__ = wrap(target.__init__)
        return target
    if isinstance(target, property):
        return property(*(part and wrap(part) for part in (target.fget, target.fset)))
    if isinstance(target, classmethod | staticmethod):
        return type(target)(wrap(target.__func__))
    return wrap(target)
