"""Sums of slices for reconstruction: numerator and weight of one or K volumes in one pass.

For particles with CTF-weighted data a (n, y, h), CTF² weights b (n, y, h) and poses R, the least-squares volume
is F / (W + 1/τ²) with F = Σ insert(a) and W = Σ insert(b), both over the *full* slices. Half-slices are enough:
their x = 0 column is halved on insertion, and the Friedel mates are added in the totals.
"""

import torch
from jaxtyping import Complex64, Float
from torch import Tensor

from cryobench.imaging.grid import FourierVolume, friedel_symmetrise
from cryobench.imaging.layout import GridLayout
from cryobench.imaging.slices import _check_radius, _check_rotations, choose_body


class SliceAccumulator:
    """Running sums over batches of particles; ``totals`` returns them as full-spectrum volumes at any time.

    Parameters
    ----------
    box_size, padding
        Grid to insert into, with the trilinear kernel, which keeps weights non-negative.
    n_volumes
        Classes, or None for a single volume without an axis of volumes.
    radius
        Entries with |k| > radius are left out. Default and maximum: (box_size − 1) // 2.
    device
        Device of the sums and of the computation.
    """

    def __init__(
        self,
        box_size: int,
        *,
        padding: int = 1,
        n_volumes: int | None = None,
        radius: float | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self._layout = GridLayout(box_size, padding)
        self._radius = _check_radius(radius, self._layout)
        self._single = n_volumes is None
        volumes = 1 if n_volumes is None else n_volumes
        # Volumes consecutive, not interleaved: most particles belong to one class only.
        self._numerator = torch.zeros(volumes, *self._layout.shape, dtype=torch.complex64, device=device)
        self._weight = torch.zeros(volumes, *self._layout.shape, device=device)

    def add(
        self,
        numerator: Complex64[Tensor, "n y h"],
        weight: Float[Tensor, "n y h"],
        rotations: Float[Tensor, "n 3 3"],
        *,
        class_weights: Float[Tensor, "n k"] | None = None,
        threshold: float = 1e-3,
    ) -> None:
        """Add a batch: γ_ik a_i to numerator k and γ_ik b_i to weight k. Not differentiable.

        Parameters
        ----------
        numerator
            Half-slices a, for example CTF · data.
        weight
            Their weights b, for example CTF².
        rotations
            Particle from reference.
        class_weights
            γ, needed if there are several volumes. The taps of a pixel are computed once per particle and class.
        threshold
            Class weights below it in magnitude are skipped.

        Raises
        ------
        ValueError
            If shapes disagree or a rotation is not orthonormal.
        """
        _check_rotations(rotations, self._numerator.device)
        expected = (len(rotations), self._layout.box_size, self._layout.box_size // 2 + 1)
        for name, values in (("numerator", numerator), ("weight", weight)):
            if tuple(values.shape) != expected:
                raise ValueError(f"{name} must have shape {expected}, got {tuple(values.shape)}.")
        entries = _list_entries(class_weights, len(rotations), len(self._numerator), threshold)
        choose_body(self._numerator.device).accumulate(
            (numerator.detach(), weight.detach().float()),
            (self._numerator, self._weight),
            tuple(entry.to(numerator.device) for entry in entries),
            rotations.detach().float(),
            self._layout,
            self._radius,
        )

    def merge(self, other: "SliceAccumulator") -> None:
        """Add the sums of another accumulator of the same grid and numbers of volumes."""
        if other._layout != self._layout or other._weight.shape != self._weight.shape:
            raise ValueError(f"cannot merge sums on {other._layout} into sums on {self._layout}.")
        self._numerator += other._numerator.to(self._numerator.device)
        self._weight += other._weight.to(self._weight.device)

    @property
    def box_size(self) -> int:
        """Box size of the volumes."""
        return self._layout.box_size

    @property
    def sums(self) -> tuple[Tensor, Tensor]:
        """Numerators and weights (k, z, y, x) as stored: to keep, or to change in place."""
        return self._numerator, self._weight

    def totals(self) -> tuple[FourierVolume, FourierVolume]:
        """Numerator (complex64) and weight (float32) summed over full slices; stacks if there are several volumes."""
        if self._single:
            return self.totals_of(0)
        return self._complete(self._numerator.movedim(0, -1)), self._complete(self._weight.movedim(0, -1))

    def totals_of(self, index: int) -> tuple[FourierVolume, FourierVolume]:
        """Numerator and weight of one of K volumes, so that not all need be completed at once."""
        return self._complete(self._numerator[index]), self._complete(self._weight[index])

    def _complete(self, sums: Tensor) -> FourierVolume:
        return friedel_symmetrise(FourierVolume(sums, self._layout.box_size, self._layout.padding))


def _list_entries(factors: Tensor | None, n: int, volumes: int, threshold: float) -> tuple[Tensor, Tensor, Tensor]:
    """Particle, volume and factor of every term, volume by volume, particles in order."""
    if factors is None:
        if volumes != 1:
            raise ValueError(f"class_weights of shape ({n}, {volumes}) are needed to weight {volumes} volumes.")
        return torch.arange(n), torch.zeros(n, dtype=torch.int64), torch.ones(n)
    if tuple(factors.shape) != (n, volumes):
        raise ValueError(f"class_weights must have shape ({n}, {volumes}), got {tuple(factors.shape)}.")
    transposed = factors.detach().float().T
    chosen, which = torch.nonzero(transposed.abs() >= threshold, as_tuple=True)
    return which.contiguous(), chosen.contiguous(), transposed[chosen, which].contiguous()
