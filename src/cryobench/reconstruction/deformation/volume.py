"""T(u) V: a volume whose density has been moved by a mesh, with its sum conserved.

Every voxel's density is spread at its new position with the cubic B-spline, whose taps are positive and sum to one at
any position, on a grid twice as fine; the spectrum is cut to that of the box and divided by the spline's response,
sinc⁴ along each axis. The zero frequency, and with it the sum, is that of V.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from cryobench.fourier import fft_volume, fourier_crop, frequency_grid, ifft_volume
from cryobench.imaging.real_space.moved_voxels import FINENESS, BoundVoxels


def move_density(
    positions: Float[Tensor, "v 3"], values: Float[Tensor, "m"], bound: BoundVoxels, pixel_size: float
) -> Float[Tensor, "z y x"]:
    """Volume (z, y, x) of the values of bound voxels, with the vertices at positions in Å, up to |k| = n // 2."""
    size = bound.box_size
    fine = spread_density(positions, values, bound, pixel_size)
    coarse = fourier_crop(fine, size, dimensions=3) * FINENESS**3
    frequencies = frequency_grid(size, 3, device=coarse.device)
    response = torch.sinc(frequencies / FINENESS).pow(4).prod(-1)
    kept = frequencies.square().sum(-1).sqrt() * size <= size // 2
    return ifft_volume(torch.where(kept, fft_volume(coarse) / response, 0), size)


def spread_density(
    positions: Float[Tensor, "v 3"], values: Float[Tensor, "m"], bound: BoundVoxels, pixel_size: float
) -> Float[Tensor, "z y x"]:
    """Densities spread at their moved positions on the fine, periodic grid; the sum is that of the values."""
    size = FINENESS * bound.box_size
    vertices = torch.from_numpy(bound.vertices_of()).long().to(positions.device)
    weights = torch.from_numpy(bound.weights).to(positions)
    places = (positions[vertices] * weights[..., None]).sum(1) * (FINENESS / pixel_size) + size // 2
    below = places.detach().floor()
    first, taps = below.long() - 1, _spline(places - below)
    fine = values.new_zeros(size**3)
    for tap in np.ndindex(4, 4, 4):
        x, y, z = ((first[:, axis] + tap[axis]) % size for axis in range(3))
        weight = taps[:, 0, tap[0]] * taps[:, 1, tap[1]] * taps[:, 2, tap[2]]
        fine = fine.index_add(0, (z * size + y) * size + x, weight * values)
    return fine.reshape((size,) * 3)


def _spline(t: Float[Tensor, "m 3"]) -> Float[Tensor, "m 3 4"]:
    """Weights (..., 4) of the four grid points around fractions (...), measured from the second of them."""
    s = 1 - t
    inner = (4 - 6 * t**2 + 3 * t**3) / 6
    return torch.stack([s**3 / 6, inner, 1 - (s**3 + t**3) / 6 - inner, t**3 / 6], dim=-1)
