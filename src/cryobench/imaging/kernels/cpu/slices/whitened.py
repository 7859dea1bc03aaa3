"""Slices of K volumes as rows of whitened images (``methods.recovar.whitened``), from one gather per voxel."""

import numpy as np
from numba import njit

from cryobench.imaging.kernels.cpu.taps import FLAGS
from cryobench.imaging.kernels.cpu.voxel import gather_voxel, turn


@njit(nogil=True, cache=True, fastmath=FLAGS)
def fill_rows(grid, plane, row, center, center_x, rotations, frequencies, factors, rows, first, last):
    """Rows of particles ``first`` … ``last``, from the grid as one row of floats."""
    u8 = np.uint64
    count, volumes = frequencies.shape[0], rows.shape[2]
    stride = 2 * volumes
    row_step = u8(row) * u8(stride)
    plane_step = u8(plane) * u8(stride)
    taken = np.empty(stride, np.float32)
    for i in range(first, last):
        for p in range(count):
            place = turn(rotations[i], frequencies[p, 0], frequencies[p, 1])
            gather_voxel(grid, stride, plane_step, row_step, place, center, center_x, taken)
            factor = factors[i, p]
            for k in range(volumes):
                rows[i, 2 * p, k] = factor * taken[2 * k]
                rows[i, 2 * p + 1, k] = factor * taken[2 * k + 1]
