"""States of iterations as named arrays and plain facts, for a checkpoint, and back.

A state is a dataclass of tensors, arrays, plain values, None, and further dataclasses of these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np
import torch

State = TypeVar("State")


def pack_state(state: Any, prefix: str = "") -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays by dotted name of the field, and the other fields as plain values. TypeError for anything else."""
    arrays: dict[str, np.ndarray] = {}
    facts: dict[str, Any] = {}
    for each in fields(state):
        name, value = f"{prefix}{each.name}", getattr(state, each.name)
        if isinstance(value, torch.Tensor):
            arrays[name] = value.detach().cpu().numpy()
        elif isinstance(value, np.ndarray):
            arrays[name] = value
        elif is_dataclass(value):
            inner = pack_state(value, f"{name}.")
            arrays |= inner[0]
            facts |= inner[1]
        elif value is None or isinstance(value, bool | int | float | str):
            facts[name] = value
        else:
            raise TypeError(
                f"{name} of {type(state).__name__} is a {type(value).__name__}: override pack and unpack."
            )
    return arrays, facts


def unpack_state(
    kind: type[State],
    arrays: Mapping[str, np.ndarray],
    facts: Mapping[str, Any],
    *,
    device: torch.device | str = "cpu",
    prefix: str = "",
) -> State:
    """State from the output of ``pack_state``; tensors are put on the device."""
    hints = get_type_hints(kind)
    values: dict[str, Any] = {}
    for each in fields(kind):  # pyright: ignore[reportArgumentType]
        name, hint = f"{prefix}{each.name}", _without_none(hints[each.name])
        if name in arrays:
            values[each.name] = arrays[name] if hint is np.ndarray else torch.from_numpy(arrays[name]).to(device)
        elif name in facts:
            values[each.name] = facts[name]
        else:
            values[each.name] = unpack_state(hint, arrays, facts, device=device, prefix=f"{name}.")
    return kind(**values)


def _without_none(hint: Any) -> Any:
    if get_origin(hint) in (Union, UnionType):
        (hint,) = (each for each in get_args(hint) if each is not type(None))
    return hint
