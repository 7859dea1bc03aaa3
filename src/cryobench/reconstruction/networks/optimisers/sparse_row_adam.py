"""PyTorch's SparseAdam on a table of which each step touches a few rows: the moments of all others are frozen.

Its steps are counted over the whole table, so a row's first visit late in training changes it by some three learning
rates, later ones by up to seven. Dense Adam is another method: see ``row_adam``.
Source: ``torch.optim.SparseAdam``, the optimiser of pose tables in cryoDRGN.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from cryobench.reconstruction.networks.optimisers.row_adam import AdamSettings


class SparseRowAdam:
    """A table under ``torch.optim.SparseAdam``, with those methods of ``RowAdam`` that a pose table needs.

    Parameters
    ----------
    values
        (n, d) the table; changed in place.
    settings
        Settings of Adam.
    """

    def __init__(self, values: Float[Tensor, "n d"], settings: AdamSettings) -> None:
        self._table = nn.Parameter(values)
        self._optimiser = torch.optim.SparseAdam([self._table], settings.lr, settings.betas, settings.eps)
        # Allocated at the start, so that it can be stored and restored.
        self._state = self._optimiser.state[self._table]
        self._state.update(step=0, exp_avg=torch.zeros_like(values), exp_avg_sq=torch.zeros_like(values))

    @property
    def values(self) -> Float[Tensor, "n d"]:
        """The table."""
        return self._table.detach()

    @property
    def steps(self) -> int:
        """Steps done."""
        return self._state["step"]

    @steps.setter
    def steps(self, steps: int) -> None:
        self._state["step"] = steps

    @property
    def lr(self) -> float:
        """Learning rate of the next steps."""
        return self._optimiser.param_groups[0]["lr"]

    @lr.setter
    def lr(self, lr: float) -> None:
        self._optimiser.param_groups[0]["lr"] = lr

    def read(self, rows: Int[Tensor, "b"]) -> Float[Tensor, "b d"]:
        """Rows, as differentiable leaves."""
        return self.values[rows].requires_grad_()

    def step(self, rows: Int[Tensor, "b"], gradient: Float[Tensor, "b d"]) -> None:
        """One step, in which only these rows, all different, have a gradient."""
        self._table.grad = torch.sparse_coo_tensor(rows[None], gradient, self._table.shape, check_invariants=False)
        self._optimiser.step()
        self._table.grad = None

    def flush(self) -> Float[Tensor, "n d"]:
        """The whole table as it is now."""
        return self.values

    def state(self) -> dict[str, Tensor]:
        """Table and moments, for a checkpoint."""
        return {"values": self.values, "first": self._state["exp_avg"], "second": self._state["exp_avg_sq"]}
