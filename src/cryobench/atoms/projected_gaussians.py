"""Sums of Gaussians on images, compiled: the projection of atoms along z.

The density of an atom is that of ``gaussians``; its integral along z is a two-dimensional Gaussian, a product of two
one-dimensional ones, each cut off at five sigma. These are read from a table of 1,024 positions within a pixel,
linearly interpolated (error below 2e-7 of the peak), and summed in single precision, with a similar rounding
error. An image is made by one thread, atom by atom in order, so its bits depend neither on the number of threads
nor on other images.
"""

import math
from functools import lru_cache

import numpy as np
from jaxtyping import Float32
from numba import njit

_POSITIONS = 1024
_LANES = 8


@lru_cache(maxsize=8)
def tabulate_gaussian(pixel_size: float, sigma: float, cutoff: float) -> Float32[np.ndarray, "positions pixels"]:
    """Row p: a Gaussian of unit peak, p / 1024 px to the right of pixel ``floor(reach)`` of the row.

    ``reach`` = cutoff · sigma / pixel_size. Rows are zero-padded to whole vectors; read-only.
    """
    reach = math.floor(cutoff * sigma / pixel_size)
    pixels = 2 * reach + 2
    table = np.zeros((_POSITIONS + 1, -(-pixels // _LANES) * _LANES), dtype=np.float32)
    offset = np.arange(pixels) - reach - np.arange(_POSITIONS + 1)[:, None] / _POSITIONS
    table[:, :pixels] = np.exp(-0.5 * (offset * pixel_size / sigma) ** 2)
    table.setflags(write=False)
    return table


@njit(cache=True, nogil=True)
def _fill_axis(fraction, reach, table, values):
    """Gaussian along one axis about the point ``fraction`` (0 to 1) px after pixel floor(reach)."""
    half = int(reach)
    position = fraction * _POSITIONS
    row = min(int(position), _POSITIONS - 1)
    weight = np.float32(position - row)
    for index in range(table.shape[1]):
        lower = table[row, index]
        values[index] = lower + weight * (table[row + 1, index] - lower)
    # The outermost two pixels are within reach of some fractions only.
    if fraction > reach - half:
        values[0] = np.float32(0.0)
    if fraction < half + 1 - reach:
        values[2 * half + 1] = np.float32(0.0)


@njit(cache=True, nogil=True)
def sum_gaussians_image(positions, weights, rotation, shift, pixel_size, sigma, cutoff, table, image):
    """Add to ``image`` [y, x] the atoms (a, 3) rotated, displaced by minus the shift (Å) and integrated along z.

    ``table`` is from `tabulate_gaussian`. Of atoms outside the image only the part inside is added.
    """
    box_size = len(image)
    reach = cutoff * sigma / pixel_size
    half = int(reach)
    width = table.shape[1]
    amplitude = 1.0 / (2.0 * math.pi * sigma * sigma)
    centre = box_size // 2
    # A border receives what falls outside, so that no bounds need checking.
    border = width + 1
    total = np.zeros((box_size + 2 * border, box_size + 2 * border), dtype=np.float32)
    along_x = np.empty(width, dtype=np.float32)
    along_y = np.empty(width, dtype=np.float32)
    for atom in range(len(positions)):
        x, y, z = positions[atom, 0], positions[atom, 1], positions[atom, 2]
        turned_x = rotation[0, 0] * x + rotation[0, 1] * y + rotation[0, 2] * z
        turned_y = rotation[1, 0] * x + rotation[1, 1] * y + rotation[1, 2] * z
        at_x = (turned_x - shift[0]) / pixel_size + centre
        at_y = (turned_y - shift[1]) / pixel_size + centre
        if min(at_x, at_y) < -reach or max(at_x, at_y) > box_size - 1 + reach:
            continue
        pixel_x, pixel_y = math.floor(at_x), math.floor(at_y)
        _fill_axis(at_x - pixel_x, reach, table, along_x)
        _fill_axis(at_y - pixel_y, reach, table, along_y)
        scale = np.float32(weights[atom] * amplitude)
        first_x = int(pixel_x) - half + border
        first_y = int(pixel_y) - half + border
        for row in range(2 * half + 2):
            height = scale * along_y[row]
            line = total[first_y + row, first_x : first_x + width]
            for column in range(width):
                line[column] += height * along_x[column]
    for row in range(box_size):
        for column in range(box_size):
            image[row, column] += total[border + row, border + column]
