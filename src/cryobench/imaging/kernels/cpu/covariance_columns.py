"""One column of a covariance, of one half-set and some images: the parts of RECOVAR's sums that depend on the column.

``methods.recovar.covariance_columns`` gives the equations and the same in plain PyTorch; tested against dense sums.
"""

import numpy as np
from numba import njit

from cryobench.imaging.kernels.cpu.simd import scatter_plane
from cryobench.imaging.kernels.cpu.taps import FLAGS, linear_taps

_MOST_NEAR = 128
_ROOT_3 = 1.7320508


def noise_margin(reach: int, width: float) -> int:
    """Largest distance along an axis of a voxel that ``compare_column`` adds noise to from the column's frequency."""
    return int(np.ceil(reach * 2**0.5 + width * 3**0.5)) + 2


@njit(nogil=True, cache=True, fastmath=FLAGS)
def compare_column(
    column, images, residual, ctf, rotations, lookup, deviation, overlap, width, number, parts, powers, noise
):
    """Residuals of some images at one column's frequency, and the noise that is correlated with them.

    ``column`` (3,) float32 (x, y, z); ``images`` indices in the batch; ``residual`` (m, p) complex64, ``ctf`` (m, p);
    ``lookup`` (2r + 1, 2r + 1) by (ky, kx) 1 + packed index, negative where the Friedel mate is stored, 0 for none;
    ``deviation`` (p,) root of the noise power; ``overlap`` (m, d, 2 d) the squared image masks' spectra near 0, real
    and imaginary parts in turn; ``width`` of the triangular kernel.

    Written: Re a and Im a to ``parts`` (m, 2 c) at ``number`` and c + ``number``, Σ K C² to ``powers`` (m, c). Added:
    the covariance C n of the noise to ``noise`` (b, b, b, 2), voxels (z, y, x) around the column's frequency rounded.
    """
    f4, u8 = np.float32, np.uint64
    one, half = f4(1), f4(0.5)
    radius = lookup.shape[0] // 2
    count = powers.shape[1]
    span_mask = overlap.shape[1]
    reach = span_mask // 2
    limit = width * f4(_ROOT_3)
    near_x = np.empty(_MOST_NEAR, np.int64)
    near_y = np.empty(_MOST_NEAR, np.int64)
    gain = np.empty(_MOST_NEAR, np.float32)
    side = 2 * (int(limit) + 1 + reach) + 1
    window = np.empty((side, 2 * side), np.float32)
    box = noise.shape[0]
    flat = noise.reshape(-1)
    begin = np.empty(3, np.float32)
    for axis in range(3):
        begin[axis] = np.round(column[axis]) - f4(box // 2)
    values = np.empty(4, np.float32)
    for i in images:
        r = rotations[i]
        # The column's frequency in the frame of the image.
        qx = r[0, 0] * column[0] + r[0, 1] * column[1] + r[0, 2] * column[2]
        qy = r[1, 0] * column[0] + r[1, 1] * column[1] + r[1, 2] * column[2]
        qz = r[2, 0] * column[0] + r[2, 1] * column[1] + r[2, 2] * column[2]
        if abs(qz) >= limit:
            continue
        span = np.sqrt(limit * limit - qz * qz)
        first_x, first_y = int(np.ceil(qx - span)), int(np.ceil(qy - span))
        last_x, last_y = int(np.floor(qx + span)), int(np.floor(qy + span))
        n_near = 0
        a_re, a_im, h = f4(0), f4(0), f4(0)
        for py in range(max(first_y, -radius), min(last_y, radius) + 1):
            for px in range(max(first_x, -radius), min(last_x, radius) + 1):
                entry = lookup[py + radius, px + radius]
                if entry == 0:
                    continue
                fx, fy = f4(px), f4(py)
                weight = one
                for axis in range(3):
                    offset = abs(fx * r[0, axis] + fy * r[1, axis] - column[axis]) / width
                    weight *= max(one - offset, f4(0))
                if weight <= f4(0):
                    continue
                p = abs(entry) - 1
                c = ctf[i, p]
                value = residual[i, p]
                a_re += weight * c * value.real
                a_im += weight * c * (value.imag if entry > 0 else -value.imag)
                h += weight * c * c
                near_x[n_near] = px
                near_y[n_near] = py
                gain[n_near] = weight * c * deviation[p]
                n_near += 1
        if h <= f4(0):
            continue
        parts[i, number] = a_re
        parts[i, count + number] = a_im
        powers[i, number] = h
        # Noise at the points of the window: the sum over near points of the overlaps, which are displaced copies.
        begin_x, begin_y = first_x - reach, first_y - reach
        wide, high = last_x + reach - begin_x + 1, last_y + reach - begin_y + 1
        window[:high, : 2 * wide] = 0
        for q in range(n_near):
            at_x, at_y = 2 * (near_x[q] - reach - begin_x), near_y[q] - reach - begin_y
            for y in range(span_mask):
                target, source = window[at_y + y, at_x : at_x + 2 * span_mask], overlap[i, y]
                for x in range(2 * span_mask):
                    target[x] += gain[q] * source[x]
        for y in range(max(0, -radius - begin_y), min(high, radius + 1 - begin_y)):
            for x in range(max(0, -radius - begin_x), min(wide, radius + 1 - begin_x)):
                entry = lookup[begin_y + y + radius, begin_x + x + radius]
                if entry == 0:
                    continue
                p = abs(entry) - 1
                # E ε_p Re a = (n+ + n-) / 2, E ε_p Im a = i (n+ - n-) / 2: a point and its mate are both visited.
                scale = half * deviation[p] * ctf[i, p]
                kx, ky = f4(begin_x + x), f4(begin_y + y)
                u = kx * r[0, 0] + ky * r[1, 0] - begin[0]
                v = kx * r[0, 1] + ky * r[1, 1] - begin[1]
                w = kx * r[0, 2] + ky * r[1, 2] - begin[2]
                x0, y0, z0 = int(u), int(v), int(w)
                fu, fv, fw = u - f4(x0), v - f4(y0), w - f4(z0)
                re, im = scale * window[y, 2 * x], scale * window[y, 2 * x + 1]
                values[0], values[1] = (one - fu) * re, (one - fu) * im
                values[2], values[3] = fu * re, fu * im
                start = u8(2 * ((z0 * box + y0) * box + x0))
                row, plane = u8(2 * box), u8(2 * box * box)
                taps = linear_taps(fv)
                scatter_plane(2, 2, 1, flat, start, row, u8(2), taps, one - fw, values)
                scatter_plane(2, 2, 1, flat, start + plane, row, u8(2), taps, fw, values)
