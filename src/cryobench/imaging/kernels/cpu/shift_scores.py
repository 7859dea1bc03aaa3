"""Scores of slices against images over a small grid of shifts, and averages of images over it, without shifting
images.

The grid is a product of shifts along x and along y, so a sum over the entries of a half-disc is computed row by row:
over kx for every shift along x, then over ky. That takes a third of the operations of a sum for every shift.
"""

from collections.abc import Callable
from functools import cache

import numpy as np
from numba import njit

from cryobench.imaging.kernels.cpu.simd import add_turned
from cryobench.imaging.kernels.cpu.taps import FLAGS


@cache
def compile_score(width: int) -> Callable[..., None]:
    """Scores for grids of at most ``width`` shifts per axis.

    Arguments of the compiled function: slices (n, p) complex64; images (b, p) complex64 and weights (b, p) float32 of
    the power of a slice; index (n,) of the image of each slice; phases of the centres along x (n, columns, 2)
    and y (n, rows, 2), and of the offsets from them along x (columns, 2, width) and y (rows, 2, width), in one row
    each, float32; where each row of entries starts (rows + 1,), the position and the column (p,) of each in that
    order; shifts per axis; the result (n, shifts along x, along y) float32; first and last slice.
    """

    @njit(nogil=True, cache=True, fastmath=FLAGS)
    def score(
        slices,
        images,
        weights,
        which,
        centre_x,
        centre_y,
        along_x,
        along_y,
        starts,
        positions,
        columns,
        count,
        result,
        first,
        last,
    ):
        u8 = np.uint64
        row_of = u8(2 * width)
        sums = np.empty(2 * width, np.float32)
        total = np.empty(2 * width * count, np.float32)
        for i in range(first, last):
            image = which[i]
            total[:] = 0
            power = np.float32(0)
            for row in range(len(starts) - 1):
                sums[:] = 0
                for entry in range(starts[row], starts[row + 1]):
                    p, column = positions[entry], columns[entry]
                    a, b = slices[i, p], images[image, p]
                    power += weights[image, p] * (a.real * a.real + a.imag * a.imag)
                    re = a.real * b.real + a.imag * b.imag
                    im = a.real * b.imag - a.imag * b.real
                    c, s = centre_x[i, column, 0], centre_x[i, column, 1]
                    add_turned(width, re * c - im * s, re * s + im * c, along_x, u8(column) * row_of, sums, u8(0))
                c, s = centre_y[i, row, 0], centre_y[i, row, 1]
                for k in range(count):
                    re, im = sums[k], sums[width + k]
                    turned = re * c - im * s, re * s + im * c
                    add_turned(width, turned[0], turned[1], along_y, u8(row) * row_of, total, u8(k) * row_of)
            for k in range(count):
                for j in range(count):
                    result[i, k, j] = total[2 * width * k + j] - power

    return score


@cache
def compile_average(width: int) -> Callable[..., None]:
    """Averages: Σ_t weight(t) times the image translated by t.

    Arguments as for ``compile_score``, with weights (n, shifts along x, along y) float32 instead of the slices,
    without weights of their power, and with complex64 results (n, p).
    """

    @njit(nogil=True, cache=True, fastmath=FLAGS)
    def average(
        weights,
        images,
        which,
        centre_x,
        centre_y,
        along_x,
        along_y,
        starts,
        positions,
        columns,
        count,
        result,
        first,
        last,
    ):
        row_re = np.empty(width, np.float32)
        row_im = np.empty(width, np.float32)
        for i in range(first, last):
            image = which[i]
            for row in range(len(starts) - 1):
                of_row = 2 * width * row
                centre_re, centre_im = centre_y[i, row, 0], centre_y[i, row, 1]
                for k in range(count):
                    c = np.float32(0)
                    s = np.float32(0)
                    for j in range(count):
                        c += weights[i, k, j] * along_y[of_row + j]
                        s += weights[i, k, j] * along_y[of_row + width + j]
                    row_re[k] = c * centre_re - s * centre_im
                    row_im[k] = c * centre_im + s * centre_re
                for entry in range(starts[row], starts[row + 1]):
                    p = positions[entry]
                    column = columns[entry]
                    of_column = 2 * width * column
                    re = np.float32(0)
                    im = np.float32(0)
                    for k in range(count):
                        re += row_re[k] * along_x[of_column + k] - row_im[k] * along_x[of_column + width + k]
                        im += row_re[k] * along_x[of_column + width + k] + row_im[k] * along_x[of_column + k]
                    centre_re, centre_im = centre_x[i, column, 0], centre_x[i, column, 1]
                    c, s = re * centre_re - im * centre_im, re * centre_im + im * centre_re
                    b = images[image, p]
                    result[i, p] = np.complex64(complex(b.real * c - b.imag * s, b.real * s + b.imag * c))

    return average
