"""Moved voxels spread onto images, and images gathered at them: an adjoint pair, on the CPU.

A voxel's position is a mean of the four vertices of its element with fixed weights, so that an image's
geometry is given by the positions of the vertices. Voxels are ordered by element: vertices are read once for
all of an element, and gradients by their positions written once. Images are periodic, as slices of spectra are.
"""

import numpy as np
from numba import njit

from cryobench.imaging.kernels.cpu.taps import FLAGS


@njit(nogil=True, cache=True, fastmath=FLAGS, inline="always")
def _find_pixel(place, size):
    """Pixel at or below a position, its neighbour, and the fraction between them."""
    below = np.floor(place)
    fraction = np.float32(place - below)
    first = np.int64(below)
    if first < 0 or first >= size:
        first %= size
    second = first + 1
    if second == size:
        second = 0
    return first, second, fraction


@njit(nogil=True, cache=True, fastmath=FLAGS)
def spread(places, elements, starts, weights, values, images, first, last):
    """Add the voxels' values (m,) to images ``first`` … ``last`` of (n, s, s), which are zero.

    Positions (n, v, 2) of the vertices in pixels of the images (x, y); elements (t, 4) of vertices, the voxels of
    each from ``starts`` (t + 1,) on; weights (m, 4).
    """
    size = images.shape[1]
    for i in range(first, last):
        image, at = images[i], places[i]
        for t in range(len(elements)):
            if starts[t] == starts[t + 1]:
                continue
            a, b, c, d = elements[t, 0], elements[t, 1], elements[t, 2], elements[t, 3]
            ax, bx, cx, dx = at[a, 0], at[b, 0], at[c, 0], at[d, 0]
            ay, by, cy, dy = at[a, 1], at[b, 1], at[c, 1], at[d, 1]
            for m in range(starts[t], starts[t + 1]):
                w0, w1, w2, w3 = weights[m, 0], weights[m, 1], weights[m, 2], weights[m, 3]
                x0, x1, fx = _find_pixel(w0 * ax + w1 * bx + w2 * cx + w3 * dx, size)
                y0, y1, fy = _find_pixel(w0 * ay + w1 * by + w2 * cy + w3 * dy, size)
                upper = values[m] * fy
                lower = values[m] - upper
                image[y0, x0] += lower - lower * fx
                image[y0, x1] += lower * fx
                image[y1, x0] += upper - upper * fx
                image[y1, x1] += upper * fx


@njit(nogil=True, cache=True, fastmath=FLAGS)
def gather(places, elements, starts, weights, values, images, by_values, by_places, first, last, step):
    """Add the values of images at the voxels, for images ``first``, ``first + step``, … before ``last``.

    ``by_values`` (m,) gets the adjoint of ``spread``; ``by_places`` (n, v, 2) the gradient by the positions, or is
    empty if that is not needed.
    """
    size = images.shape[1]
    moves = len(by_places) > 0
    one = np.float32(1)
    for i in range(first, last, step):
        image, at = images[i], places[i]
        for t in range(len(elements)):
            if starts[t] == starts[t + 1]:
                continue
            a, b, c, d = elements[t, 0], elements[t, 1], elements[t, 2], elements[t, 3]
            ax, bx, cx, dx = at[a, 0], at[b, 0], at[c, 0], at[d, 0]
            ay, by, cy, dy = at[a, 1], at[b, 1], at[c, 1], at[d, 1]
            gax = gbx = gcx = gdx = gay = gby = gcy = gdy = np.float32(0)
            for m in range(starts[t], starts[t + 1]):
                w0, w1, w2, w3 = weights[m, 0], weights[m, 1], weights[m, 2], weights[m, 3]
                x0, x1, fx = _find_pixel(w0 * ax + w1 * bx + w2 * cx + w3 * dx, size)
                y0, y1, fy = _find_pixel(w0 * ay + w1 * by + w2 * cy + w3 * dy, size)
                p00, p01, p10, p11 = image[y0, x0], image[y0, x1], image[y1, x0], image[y1, x1]
                lower = p00 + fx * (p01 - p00)
                upper = p10 + fx * (p11 - p10)
                by_values[m] += lower + fy * (upper - lower)
                if moves:
                    gx = values[m] * ((one - fy) * (p01 - p00) + fy * (p11 - p10))
                    gy = values[m] * (upper - lower)
                    gax += w0 * gx
                    gbx += w1 * gx
                    gcx += w2 * gx
                    gdx += w3 * gx
                    gay += w0 * gy
                    gby += w1 * gy
                    gcy += w2 * gy
                    gdy += w3 * gy
            if moves:
                target = by_places[i]
                target[a, 0] += gax
                target[b, 0] += gbx
                target[c, 0] += gcx
                target[d, 0] += gdx
                target[a, 1] += gay
                target[b, 1] += gby
                target[c, 1] += gcy
                target[d, 1] += gdy
