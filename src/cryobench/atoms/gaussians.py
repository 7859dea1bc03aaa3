"""Sums of Gaussians on a grid, compiled: the density of atoms as a volume.

The density of an atom is that of ChimeraX's molmap (its documentation and version 1.6): a Gaussian of standard
deviation sigma = resolution / (π √2) whose integral is the atomic number, evaluated at the grid points that are,
in each axis, within five sigma of the atom. Neither B-factor nor occupancy enters. At this sigma the Gaussian's
Fourier transform falls to 1/e at the frequency 1/resolution.

The sum is separable, so an atom costs two exponentials per axis: with a = h / sigma (h the grid spacing),
exp(-(u + i a)² / 2) = exp(-u² / 2) · exp(-u a)^i · exp(-(i a)² / 2), in double precision. Every voxel is summed
by one thread in an order that does not depend on the number of threads, so neither do the bits.
"""

import math

import numpy as np
from numba import njit

from cryobench._threads import run_ranges

CUTOFF = 5.0
"""Cutoff of a Gaussian in molmap, in standard deviations and per axis (its option cutoffRange)."""

_SLAB = 4


def sigma_from_resolution(resolution: float) -> float:
    """Standard deviation in Å of an atom at a molmap resolution in Å. ValueError unless it is positive."""
    if not resolution > 0 or not math.isfinite(resolution):
        raise ValueError(f"resolution must be a positive number of Å, got {resolution}.")
    return resolution / (math.pi * math.sqrt(2.0))


@njit(cache=True)
def _fill_axis(position, box_size, step, decay, reach, values):
    """Gaussian of unit amplitude along one axis: values at grid points ``first`` .. ``first + count - 1``.

    ``position`` is in grid units from index 0, ``step`` the grid spacing in sigma, ``decay[i]`` = exp(-(i step)²/2)
    and ``reach`` the cutoff in grid units.
    """
    first = max(math.ceil(position - reach), 0)
    last = min(math.floor(position + reach), box_size - 1)
    if last < first:
        return first, 0
    # Starting from the nearest grid point, whose offset is small, in both directions avoids over- and underflow.
    nearest = min(max(math.floor(position + 0.5), first), last)
    offset = (nearest - position) * step
    centre = math.exp(-0.5 * offset * offset)
    ratio = math.exp(-offset * step)
    factor = centre
    for index in range(nearest, last + 1):
        values[index - first] = factor * decay[index - nearest]
        factor *= ratio
    factor = centre
    for index in range(nearest - 1, first - 1, -1):
        factor /= ratio
        values[index - first] = factor * decay[nearest - index]
    return first, last - first + 1


@njit(cache=True)
def _decay_table(step, reach):
    count = math.ceil(2 * reach) + 3
    table = np.empty(count)
    for index in range(count):
        table[index] = math.exp(-0.5 * (index * step) ** 2)
    return table


def sum_gaussians_volume(positions, weights, order, box_size, pixel_size, sigma, cutoff, volume):
    """Add the density of atoms to ``volume`` [z, y, x], with the origin at index ``box_size // 2``.

    ``order`` sorts the atoms by z. Slabs of planes are the unit of parallel work.
    """
    slabs = -(-box_size // _SLAB)
    run_ranges(_sum_slabs, slabs, positions, weights, order, box_size, pixel_size, sigma, cutoff, volume)


@njit(nogil=True, cache=True)
def _sum_slabs(positions, weights, order, box_size, pixel_size, sigma, cutoff, volume, begin_slab, end_slab):
    reach = cutoff * sigma / pixel_size
    step = pixel_size / sigma
    decay = _decay_table(step, reach)
    amplitude = (2.0 * math.pi) ** -1.5 * sigma**-3
    half = box_size // 2
    atoms = len(order)
    sorted_z = np.empty(atoms)
    for index in range(atoms):
        sorted_z[index] = positions[order[index], 2] / pixel_size + half
    for slab in range(begin_slab, end_slab):
        bottom = slab * _SLAB
        top = min(bottom + _SLAB, box_size) - 1
        along_x = np.empty(len(decay))
        along_y = np.empty(len(decay))
        along_z = np.empty(len(decay))
        begin = np.searchsorted(sorted_z, bottom - reach, side="left")
        end = np.searchsorted(sorted_z, top + reach, side="right")
        for index in range(begin, end):
            atom = order[index]
            first_z, count_z = _fill_axis(sorted_z[index], box_size, step, decay, reach, along_z)
            from_z = max(first_z, bottom)
            to_z = min(first_z + count_z - 1, top)
            if to_z < from_z:
                continue
            first_x, count_x = _fill_axis(
                positions[atom, 0] / pixel_size + half, box_size, step, decay, reach, along_x
            )
            first_y, count_y = _fill_axis(
                positions[atom, 1] / pixel_size + half, box_size, step, decay, reach, along_y
            )
            scale = weights[atom] * amplitude
            for plane in range(from_z, to_z + 1):
                scale_z = scale * along_z[plane - first_z]
                for row in range(count_y):
                    scale_y = scale_z * along_y[row]
                    line = volume[plane, first_y + row]
                    for column in range(count_x):
                        line[first_x + column] += np.float32(scale_y * along_x[column])
