"""States of iterations as arrays and facts, and back."""

from dataclasses import dataclass, field

import numpy as np
import pytest
import torch

from cryobench.reconstruction.engine import Checkpoint
from cryobench.reconstruction.engine.state import pack_state, unpack_state


@dataclass(frozen=True)
class Inner:
    values: np.ndarray
    name: str
    weight: float | None = None


@dataclass(frozen=True)
class Outer:
    tensor: torch.Tensor
    inner: Inner
    complex_tensor: torch.Tensor
    count: int
    on: bool
    absent: torch.Tensor | None = None
    maybe: Inner | None = None
    also: Inner | None = None
    scalar: torch.Tensor = field(default_factory=lambda: torch.tensor(2.5))


def make():
    inner = Inner(np.arange(3, dtype=np.int32), "first", None)
    return Outer(
        torch.arange(6, dtype=torch.float32).reshape(2, 3),
        inner,
        torch.complex(torch.ones(2), torch.zeros(2)),
        4,
        True,
        also=Inner(np.zeros((0, 2)), "empty", 0.1 + 0.2),
    )


def test_nested_states_come_back_as_they_were_through_a_checkpoint(tmp_path):
    state = make()
    arrays, facts = pack_state(state)
    assert {"tensor", "inner.values", "also.values", "scalar"} <= set(arrays)
    assert facts["inner.name"] == "first"
    kept = Checkpoint(tmp_path, {})
    kept.keep("state", arrays, facts)
    back = unpack_state(Outer, *kept.find("state"))
    for name in ("tensor", "complex_tensor", "scalar"):
        one, other = getattr(back, name), getattr(state, name)
        assert isinstance(one, torch.Tensor)
        assert one.dtype == other.dtype
        assert torch.equal(one, other)
    assert isinstance(back.inner.values, np.ndarray)
    assert back.inner.values.dtype == np.int32
    np.testing.assert_array_equal(back.inner.values, [0, 1, 2])
    assert (back.count, back.on, back.absent, back.maybe) == (4, True, None, None)
    assert (back.also.name, back.also.weight, back.also.values.shape) == ("empty", 0.1 + 0.2, (0, 2))
    assert back.inner.weight is None


def test_gradients_are_left_behind():
    arrays, _ = pack_state(Outer(torch.ones(2, requires_grad=True), make().inner, torch.ones(1), 1, False))
    np.testing.assert_array_equal(arrays["tensor"], [1, 1])


@dataclass
class Listed:
    values: list


def test_other_fields_are_named():
    with pytest.raises(TypeError, match="values of Listed is a list: override pack and unpack"):
        pack_state(Listed([1]))
