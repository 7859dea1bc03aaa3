"""Table of the poses of all particles, refined by gradients: a rotation as six numbers, and a shift.

The six are two vectors a and b that need not be of unit length or orthogonal; the rotation's rows are

    r₁ = a / |a|,   r₂ = (b − (r₁·b) r₁) / |b − (r₁·b) r₁|,   r₃ = r₁ × r₂

so every step gives a rotation, without a singularity. Shifts are relative to those by which the images were
centred already, and start at zero.
Source: Zhou et al., CVPR 2019, arXiv:1812.07035; pose refinement of cryoDRGN, Zhong et al., Nature Methods 18 (2021)
176.
"""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryobench._types import RotationArray, ShiftArray
from cryobench.reconstruction.networks import RowAdam, SparseRowAdam


def rotations_from_rows(rows: Float[Tensor, "b 6"]) -> Float[Tensor, "b 3 3"]:
    """Rotations whose first two rows are these, orthonormalised by Gram-Schmidt; differentiable."""
    one, other = rows[:, :3], rows[:, 3:]
    first = torch.nn.functional.normalize(one, dim=1)
    second = torch.nn.functional.normalize(other - (first * other).sum(1, keepdim=True) * first, dim=1)
    return torch.stack([first, second, torch.linalg.cross(first, second)], dim=1)


class PoseTable:
    """Eight numbers per particle, six of its rotation and two of its shift, under a row-wise Adam.

    Parameters
    ----------
    rotations
        (n, 3, 3) initial rotations.
    make_rows
        Makes the optimiser of a table (n, 8): ``RowAdam``, dense Adam as in cryoDRGN-AI, or ``SparseRowAdam``, as in
        cryoDRGN, with its settings.
    shift_unit
        Unit of the shifts in the table, px: a shift's learning rate in px is the table's times it.
    device
        Device of the table.
    """

    WIDTH = 8
    """Numbers per particle."""

    def __init__(
        self,
        rotations: RotationArray,
        make_rows: Callable[[Float[Tensor, "n 8"]], RowAdam | SparseRowAdam],
        *,
        shift_unit: float = 1.0,
        device: str = "cpu",
    ) -> None:
        values = np.zeros((len(rotations), self.WIDTH), dtype=np.float32)
        values[:, :6] = np.asarray(rotations)[:, :2].reshape(-1, 6)
        self._rows = make_rows(torch.from_numpy(values).to(device))
        self._shift_unit = shift_unit

    @property
    def steps(self) -> int:
        """Steps done."""
        return self._rows.steps

    @steps.setter
    def steps(self, steps: int) -> None:
        self._rows.steps = steps

    def read(self, rows: Int[Tensor, "b"]) -> Float[Tensor, "b 8"]:
        """Rows of some particles, as differentiable leaves."""
        return self._rows.read(rows)

    def peek(self, rows: Int[Tensor, "b"]) -> Float[Tensor, "b 8"]:
        """Rows of some particles, without changing the state."""
        return self._rows.values[rows]

    def write(self, rows: Int[Tensor, "b"], values: Float[Tensor, "b 8"]) -> None:
        """Replace the poses of some particles, before any gradient step."""
        self._rows.values[rows] = values.to(self._rows.values)

    def poses(self, values: Float[Tensor, "b 8"]) -> tuple[Float[Tensor, "b 3 3"], Float[Tensor, "b 2"]]:
        """Rotations and shifts (x, y) in px of rows."""
        return rotations_from_rows(values[:, :6]), values[:, 6:] * self._shift_unit

    def step(self, rows: Int[Tensor, "b"], gradient: Float[Tensor, "b 8"]) -> None:
        """One step of Adam, in which these rows, all different, have a gradient; they must have been read before."""
        self._rows.step(rows, gradient)

    def flush(self) -> tuple[RotationArray, ShiftArray]:
        """Rotations (n, 3, 3), and shifts (n, 2) in px relative to those by which images were centred; float64."""
        rotations, shifts = self.poses(self._rows.flush().double())
        return rotations.cpu().numpy(), shifts.cpu().numpy()

    def state(self) -> dict[str, Tensor]:
        """Table and moments, for a checkpoint."""
        return self._rows.state()
