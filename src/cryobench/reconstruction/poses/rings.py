"""In-plane rotation of slices without interpolation: on rings of samples, a rotation permutes samples.

A slice rotated in-plane by ψ is the slice itself at angles larger by ψ. On rings of integer radius ρ whose number
of samples is a multiple of that of the in-plane angles, it is the same samples in another order, so one evaluation of
a view direction serves all of its in-plane angles; half a ring serves a Friedel pair, and the slice seen from behind
is the same one read backwards. Images are sampled on the rings once: their weighted data by the Fourier series of the
box, their weights, which are smooth, from the four entries around. A sample represents its part of the ring's area,

    Σ_k f(k) over the half-disc  ≈  Σ_ρ Σ_α (2πρ / n_ρ) f(ρ, α) over half the rings,

which is exact along rings for products of band-limited images, and keeps the scale of a log-likelihood.
cryoDRGN2 and cryoDRGN-AI rotate slices by bilinear interpolation instead.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Complex, Complex64, Float, Float32, Int
from torch import Tensor

from cryobench.imaging.half_disc import HalfDisc
from cryobench.imaging.shift_scores import ShiftGrid
from cryobench.reconstruction.poses.orientations import OrientationGrid
from cryobench.reconstruction.poses.search_values import Matched


class Rings:
    """Samples of half-rings of all view directions of a grid's first level, and scores of images against them.

    Parameters
    ----------
    grid
        Of orientations, with an even number of in-plane angles.
    shifts
        Shifts of the first level.
    disc
        Half-disc of the packed images.
    count
        Entries of the disc in matched images.
    radius
        Radius of the outermost ring, in index units.

    Raises
    ------
    ValueError
        If the number of in-plane angles is odd.
    """

    def __init__(self, grid: OrientationGrid, shifts: ShiftGrid, disc: HalfDisc, count: int, radius: int) -> None:
        if grid.n_inplane % 2:
            raise ValueError(f"slices on rings need an even number of in-plane angles, got {grid.n_inplane}.")
        self._grid, self._shifts, self._disc, self._count = grid, shifts, disc, count
        radii = np.arange(1, radius + 1)
        self._steps = np.ceil(2 * np.pi * radii / grid.n_inplane).astype(int)
        """(radius,) samples of each ring between neighbouring in-plane angles."""
        self._halves = self._steps * grid.n_inplane // 2
        """(radius,) samples of half of each ring."""
        self._radii = np.repeat(radii, self._halves)
        self._ends = np.cumsum(self._halves)
        self._within = np.arange(self._ends[-1]) - np.repeat(self._ends - self._halves, self._halves)
        self._angles = np.pi * self._within / np.repeat(self._halves, self._halves)
        self._areas = np.pi * self._radii / np.repeat(self._halves, self._halves)

    @cached_property
    def _planes(self) -> tuple[Int[np.ndarray, " s"], Int[np.ndarray, " d"], Bool[np.ndarray, " d"]]:
        """Pixels with sampled planes; the plane of each direction, and whether it is read backwards."""
        directions = self._grid.base[0][:: self._grid.n_inplane]
        opposite = self._grid.opposite(0, directions)
        pixels, planes = np.unique(np.minimum(directions, opposite), return_inverse=True)
        return pixels, planes, opposite < directions

    @cached_property
    def points(self) -> Float32[np.ndarray, "s p 3"]:
        """Frequencies, in cycles per pixel, at which slices are needed: half-rings in the planes of the views."""
        angles = self._angles + np.pi / self._grid.n_inplane
        inplane = np.stack([np.cos(angles), np.sin(angles)], axis=1) * (self._radii / self._disc.box_size)[:, None]
        pixels = self._planes[0]
        without_turn = self._grid.directions(0, pixels)
        return (inplane @ without_turn[:, :2]).astype(np.float32)

    def sample(self, matched: Matched) -> tuple[Complex64[Tensor, "b p"], Float32[Tensor, "b p"]]:
        """Data and weights of images at the samples, times the area of each sample."""
        device = matched.data.device
        here, there, nearby, coefficients = (torch.from_numpy(each).to(device) for each in self._sampling)
        data = matched.data @ here + matched.data.conj() @ there
        weights = (matched.weights[:, nearby] * coefficients).sum(-1)
        areas = torch.from_numpy(self._areas.astype(np.float32)).to(device)
        return data * areas, weights * areas

    def score(
        self, planes: Complex64[Tensor, "s p"], data: Complex64[Tensor, " p"], weights: Float32[Tensor, " p"]
    ) -> Float32[Tensor, "r t"]:
        """Scores of every orientation and shift of the first level for an image, from samples of its slices."""
        device = data.device
        order, sign, planes_of = (torch.from_numpy(each).to(device) for each in self._order)
        turned = planes.real[planes_of[:, None, None], order], planes.imag[planes_of[:, None, None], order] * sign
        power = (turned[0].square() + turned[1].square()) @ weights
        moved = data * self._phases.to(device)
        one, other = turned[0] @ moved.real.T, turned[1] @ moved.imag.T
        # The second half of the angles reads the other half of the rings, the complex conjugates.
        scores = torch.cat([one + other, one - other], dim=1)
        return scores.sub_(torch.cat([power, power], dim=1)[..., None]).flatten(0, 1)

    @cached_property
    def _phases(self) -> Complex[Tensor, "t p"]:
        """Phases that translate an image by every shift."""
        turns = -2 * np.pi / self._disc.box_size * (self._shifts.pairs @ self._samples.T)
        return torch.from_numpy(np.exp(1j * turns).astype(np.complex64))

    @property
    def _samples(self) -> Float[np.ndarray, "p 2"]:
        """Positions of the samples, in index units."""
        return self._radii[:, None] * np.stack([np.cos(self._angles), np.sin(self._angles)], axis=1)

    @cached_property
    def _order(self) -> tuple[Int[np.ndarray, "d a p"], Float[np.ndarray, "d a p"], Int[np.ndarray, " d"]]:
        """Samples of each direction's plane at half the angles, signs of imaginary parts, and planes."""
        _, planes, backwards = self._planes
        halves, steps = (np.repeat(each, self._halves) for each in (self._halves, self._steps))
        read = self._within + steps * np.arange(self._grid.n_inplane // 2)[:, None]
        read = np.where(backwards[:, None, None], -read - steps, read) % (2 * halves)
        beyond = read >= halves
        first = np.repeat(self._ends - self._halves, self._halves)
        return read - halves * beyond + first, np.where(beyond, -1, 1).astype(np.float32), planes

    @cached_property
    def _sampling(
        self,
    ) -> tuple[
        Complex[np.ndarray, "c p"], Complex[np.ndarray, "c p"], Int[np.ndarray, "p 4"], Float[np.ndarray, "p 4"]
    ]:
        """Factors of data and of its conjugate; the entries around each sample, and their weights."""
        size, samples = self._disc.box_size, self._samples
        entries = self._disc.frequencies[: self._count]
        reach = int(np.abs(entries).max())
        axis = np.arange(size) - size // 2
        wanted = samples[..., None] - np.arange(-reach, reach + 1)
        kernels = np.exp(-2j * np.pi / size * wanted[..., None] * axis).mean(-1)
        rows = np.arange(len(samples))[:, None]
        here, there = (
            kernels[rows, 0, sign * entries[:, 0] + reach] * kernels[rows, 1, sign * entries[:, 1] + reach]
            for sign in (1, -1)
        )
        here[:, 0] = there[:, 0] = 0  # the zero frequency is its own Friedel mate, and is not compared
        nearby, coefficients = self._find_nearby(samples, entries)
        return here.T.astype(np.complex64), there.T.astype(np.complex64), nearby, coefficients

    def _find_nearby(
        self, samples: Float[np.ndarray, "p 2"], entries: Int[np.ndarray, "c 2"]
    ) -> tuple[Int[np.ndarray, "p 4"], Float[np.ndarray, "p 4"]]:
        """Entries around samples, and their weights: none of the zero frequency and beyond the disc."""
        known = {pair: row for row, pair in enumerate(map(tuple, entries.tolist())) if row}
        corners = np.floor(samples).astype(int)[:, None] + np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
        coefficients = np.maximum(1 - np.abs(corners - samples[:, None]), 0).prod(-1)
        rows = [[known.get((x, y), known.get((-x, -y), 0)) for x, y in each] for each in corners.tolist()]
        found = np.array(rows)
        coefficients = np.where(found, coefficients + 1e-9, 0)
        return found, (coefficients / coefficients.sum(1, keepdims=True)).astype(np.float32)
