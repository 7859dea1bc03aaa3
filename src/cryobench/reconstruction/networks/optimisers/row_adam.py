"""Adam on a table of which each step touches a few rows: equal to dense Adam up to rounding, at the cost of those
rows.

Dense Adam updates every row at every step: without a gradient, by the rest of its first moment. For a row last
touched at step t₀, the updates of steps t₀ + j that it missed are

    −lr · m β₁ʲ / (1 − β₁^{t₀+j}) / ( √(v β₂ʲ / (1 − β₂^{t₀+j})) + ε ),   j = 1 …

which are applied before the row is read; after some 220 steps they vanish. A row that was never
touched never changes. This is not ``torch.optim.SparseAdam``, which freezes the moments of untouched rows: with the
same learning rate it moves rows 5 to 30 times less, which is another method.
Source: Kingma & Ba, ICLR 2015, algorithm 1.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

_LASTING = 220
"""Steps after which the first moment is below rounding (0.9 ** 220 < 1e-10)."""
_AT_ONCE = 1 << 14
"""Entries of the table updated at once, each for all the steps it missed."""


@dataclass(frozen=True)
class AdamSettings:
    """Learning rate and decays."""

    lr: float
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8


class RowAdam:
    """A table with the state of Adam for each of its rows.

    Parameters
    ----------
    values
        (n, ...) the table; changed in place.
    settings
        Settings of Adam.
    """

    def __init__(self, values: Float[Tensor, "n *d"], settings: AdamSettings) -> None:
        self.values = values
        self._settings = settings
        self._first, self._second = torch.zeros_like(values), torch.zeros_like(values)
        self._last = torch.zeros(len(values), dtype=torch.int64, device=values.device)
        self.steps = 0
        """Steps done."""

    def read(self, rows: Int[Tensor, "b"]) -> Float[Tensor, "b *d"]:
        """Rows as dense Adam would have them now, as differentiable leaves."""
        self._catch_up(rows)
        return self.values[rows].detach().clone().requires_grad_()

    def step(self, rows: Int[Tensor, "b"], gradient: Float[Tensor, "b *d"]) -> None:
        """One step of Adam in which only these rows, all different, have a gradient; read them before."""
        self.steps += 1
        (beta1, beta2), step = self._settings.betas, self.steps
        self._catch_up(rows, until=step - 1)
        first = self._first[rows].mul_(beta1).add_(gradient, alpha=1 - beta1)
        second = self._second[rows].mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        bias1, bias2 = 1 - beta1**step, 1 - beta2**step
        change = first / bias1 / ((second / bias2).sqrt_() + self._settings.eps)
        self.values[rows] -= self._settings.lr * change
        self._first[rows], self._second[rows], self._last[rows] = first, second, step

    def flush(self) -> Float[Tensor, "n d"]:
        """The whole table as dense Adam would have it now."""
        self._catch_up(torch.arange(len(self.values), device=self.values.device))
        return self.values

    def peek(self, rows: Int[Tensor, "b"]) -> Float[Tensor, "b *d"]:
        """Rows as dense Adam would have them now, without changing the state."""
        tables = (self.values, self._first, self._second, self._last)
        before = [table[rows] for table in tables]
        self._catch_up(rows)
        found = self.values[rows]
        for table, kept in zip(tables, before, strict=True):
            table[rows] = kept
        return found

    def state(self) -> dict[str, Tensor]:
        """Table and moments, for a checkpoint."""
        return {"values": self.values, "first": self._first, "second": self._second, "last": self._last}

    def _catch_up(self, rows: Int[Tensor, "b"], until: int | None = None) -> None:
        until = self.steps if until is None else until
        last = self._last[rows]
        behind = (last > 0) & (last < until)
        if not bool(behind.any()):
            return
        rows, last = rows[behind], last[behind]
        at_once = max(1, _AT_ONCE // self.values[0].numel())
        for start in range(0, len(rows), at_once):
            stretch = slice(start, start + at_once)
            self._make_up(rows[stretch], last[stretch], until)

    def _make_up(self, rows: Int[Tensor, "b"], last: Int[Tensor, "b"], until: int) -> None:
        gaps, (beta1, beta2) = until - last, self._settings.betas
        first, second = self._first[rows], self._second[rows]
        shape = (-1, len(rows), *[1] * (self.values.ndim - 1))
        missed = torch.arange(1, min(int(gaps.max()), _LASTING) + 1, device=rows.device)[:, None]
        at, decays = (last + missed).double(), missed.double()
        scale = torch.where(gaps >= missed, beta1**decays / (1 - beta1**at), 0.0).to(first).reshape(shape)
        spread = (beta2**decays / (1 - beta2**at)).to(first).reshape(shape)
        changes = scale * first / ((second * spread).sqrt_() + self._settings.eps)
        self.values[rows] -= self._settings.lr * changes.sum(0)
        decay1, decay2 = ((beta ** gaps.double()).to(first).reshape(shape[1:]) for beta in (beta1, beta2))
        self._first[rows], self._second[rows], self._last[rows] = first * decay1, second * decay2, until
