"""Sums of slices into several channels at once: K numerators and their second-moment weights in one pass.

For a model that is linear in K coefficients per particle, as y = C P Σ_k z_k V_k + noise, the normal equations of the
volumes need, at every voxel, Σ z_k insert(a) for each k and Σ z_k z_l insert(b) for each pair k ≤ l. All of them lie
interleaved in a voxel, so that a pixel's taps are computed once.
"""

import torch
from jaxtyping import Complex64, Float, Float32
from torch import Tensor

from cryobench.imaging.grid import FourierVolume, friedel_symmetrise
from cryobench.imaging.layout import GridLayout, fold
from cryobench.imaging.slices import _check_radius, _check_rotations, choose_body


class MomentAccumulator:
    """Running sums over batches of particles; ``totals`` returns them as full-spectrum volumes at any time.

    Parameters
    ----------
    box_size
        Size of the grid to insert into, unpadded, with the trilinear kernel, which keeps weights non-negative.
    n_numerators, n_weights
        Channels of each kind.
    radius
        Entries with |k| > radius are left out. Default and maximum: (box_size − 1) // 2.
    device
        Device of the sums and of the computation.
    """

    def __init__(
        self,
        box_size: int,
        *,
        n_numerators: int,
        n_weights: int,
        radius: float | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self._layout = GridLayout(box_size)
        self._radius = _check_radius(radius, self._layout)
        self._numerators = n_numerators
        channels = 2 * n_numerators + n_weights
        self.values: Float32[Tensor, "z y x c"] = torch.zeros(*self._layout.shape, channels, device=device)
        """Sums over half-slices: those of several accumulators of one shape may be added."""

    def add(
        self,
        numerator: Complex64[Tensor, "n y h"],
        weight: Float[Tensor, "n y h"],
        rotations: Float[Tensor, "n 3 3"],
        *,
        numerator_factors: Float[Tensor, "n k"],
        weight_factors: Float[Tensor, "n c"],
    ) -> None:
        """Add f_ik a_i to each numerator k and g_ic b_i to each weight c. Not differentiable.

        Parameters
        ----------
        numerator, weight
            Half-slices a, for example CTF · data, and b, for example CTF².
        rotations
            Particle from reference.
        numerator_factors, weight_factors
            f and g.

        Raises
        ------
        ValueError
            If shapes disagree or a rotation is not orthonormal.
        """
        _check_rotations(rotations, self.values.device)
        size, n = self._layout.box_size, len(rotations)
        expected = {
            "numerator": (numerator, (n, size, size // 2 + 1)),
            "weight": (weight, (n, size, size // 2 + 1)),
            "numerator_factors": (numerator_factors, (n, self._numerators)),
            "weight_factors": (weight_factors, (n, self.values.shape[3] - 2 * self._numerators)),
        }
        for name, (values, shape) in expected.items():
            if tuple(values.shape) != shape:
                raise ValueError(f"{name} must have shape {shape}, got {tuple(values.shape)}.")
        choose_body(self.values.device).accumulate_interleaved(
            (numerator.detach(), weight.detach().float()),
            self.values,
            (numerator_factors.detach(), weight_factors.detach()),
            rotations.detach().float(),
            self._layout,
            self._radius,
        )

    def merge(self, other: "MomentAccumulator") -> None:
        """Add the sums of another accumulator of the same grid and channels."""
        if other._layout != self._layout or other.values.shape != self.values.shape:
            raise ValueError(f"cannot merge sums on {other._layout} into sums on {self._layout}.")
        self.values += other.values.to(self.values.device)

    def totals(self) -> tuple[FourierVolume, FourierVolume]:
        """Stacks of numerators (complex64) and of weights (float32), summed over full slices."""
        numerators, weights = (
            friedel_symmetrise(FourierVolume(sums, self._layout.box_size)) for sums in self._channels()
        )
        return numerators, weights

    def half_spectra(self) -> tuple[Complex64[Tensor, "z y h k"], Float32[Tensor, "z y h c"]]:
        """The same in native order, each frequency once, for voxel-wise solution and back-transform."""
        numerators, weights = (fold(sums, self._layout) for sums in self._channels())
        return numerators, weights

    def _channels(self) -> tuple[Complex64[Tensor, "z y x k"], Float32[Tensor, "z y x c"]]:
        pairs = 2 * self._numerators
        shape = (*self.values.shape[:3], self._numerators, 2)
        return torch.view_as_complex(self.values[..., :pairs].reshape(shape).contiguous()), self.values[..., pairs:]
