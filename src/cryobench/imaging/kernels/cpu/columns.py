"""One column of a covariance, of one half-set and some images: the innermost loop of RECOVAR's least squares.

``methods.recovar.columns`` gives the equations and the same in plain PyTorch; tested against dense sums.
"""

import numpy as np
from numba import njit

from cryobench.imaging.kernels.cpu.simd import scatter_plane
from cryobench.imaging.kernels.cpu.taps import FLAGS, linear_taps
from cryobench.imaging.kernels.cpu.voxel import mirror, turn

CHANNELS = 5
"""Floats per voxel: B for Re a (re, im), B for Im a (re, im), H."""

_MOST_NEAR = 128


@njit(nogil=True, cache=True, fastmath=FLAGS)
def add_columns(
    column, images, residual, ctf, rotations, frequencies, lookup, deviation, overlap, width, center, center_x, grid
):
    """Add some images to the sums of one column, in place.

    ``column`` (3,) float32 (x, y, z); ``images`` indices in the batch; ``residual`` (m, p) complex64, ``ctf`` (m, p);
    ``frequencies`` (p, 2); ``lookup`` (2r + 1, 2r + 1) by (ky, kx) 1 + packed index, negative where the
    Friedel mate is stored, 0 for none; ``deviation`` (p,) root of the noise power;
    ``overlap`` (m, d, d) the squared image masks' spectra near 0; ``width`` of the triangular kernel; ``grid`` flat
    (z, y, x, 5) on the bordered half-grid with origin ``center`` and ``center_x``.
    """
    f4 = np.float32
    u8 = np.uint64
    one, half = f4(1), f4(0.5)
    count = len(frequencies)
    radius = lookup.shape[0] // 2
    reach = overlap.shape[1] // 2
    rows = 2 * center + 1
    row = (center_x + center + 1) * CHANNELS
    plane = rows * row
    near = np.empty(_MOST_NEAR, np.int64)
    near_x = np.empty(_MOST_NEAR, np.int64)
    near_y = np.empty(_MOST_NEAR, np.int64)
    gain = np.empty(_MOST_NEAR, np.float32)
    values = np.empty((count, 4), np.float32)
    doubled = np.empty(2 * CHANNELS, np.float32)
    limit = width * f4(1.7320508)
    for i in images:
        r = rotations[i]
        # The column's frequency in the frame of the image.
        qx = r[0, 0] * column[0] + r[0, 1] * column[1] + r[0, 2] * column[2]
        qy = r[1, 0] * column[0] + r[1, 1] * column[1] + r[1, 2] * column[2]
        qz = r[2, 0] * column[0] + r[2, 1] * column[1] + r[2, 2] * column[2]
        if abs(qz) >= limit:
            continue
        span = np.sqrt(limit * limit - qz * qz)
        n_near = 0
        a_re, a_im, h = f4(0), f4(0), f4(0)
        for py in range(int(np.ceil(qy - span)), int(np.floor(qy + span)) + 1):
            if py < -radius or py > radius:
                continue
            for px in range(int(np.ceil(qx - span)), int(np.floor(qx + span)) + 1):
                if px < -radius or px > radius:
                    continue
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
                near[n_near] = p
                near_x[n_near] = px
                near_y[n_near] = py
                gain[n_near] = weight * c * deviation[p]
                n_near += 1
        if h <= f4(0):
            continue
        for p in range(count):
            c = ctf[i, p]
            re, im = c * residual[i, p].real, c * residual[i, p].imag
            values[p, 0] = re * a_re
            values[p, 1] = im * a_re
            values[p, 2] = re * a_im
            values[p, 3] = im * a_im
        # Contribution of the noise alone: E ε_p Re a = (n+ + n-) / 2, E ε_p Im a = i (n+ - n-) / 2.
        for q in range(n_near):
            for sign in (1, -1):
                for dy in range(-reach, reach + 1):
                    py = sign * near_y[q] + dy
                    if py < -radius or py > radius:
                        continue
                    for dx in range(-reach, reach + 1):
                        px = sign * near_x[q] + dx
                        if px < 0 or px > radius or (px == 0 and py < 0):
                            continue
                        entry = lookup[py + radius, px + radius]
                        if entry == 0:
                            continue
                        p = abs(entry) - 1
                        scale = half * gain[q] * deviation[p] * ctf[i, p]
                        n_re = scale * overlap[i, dy + reach, dx + reach].real
                        n_im = scale * overlap[i, dy + reach, dx + reach].imag
                        values[p, 0] -= n_re
                        values[p, 1] -= n_im
                        if sign > 0:
                            values[p, 2] += n_im
                            values[p, 3] -= n_re
                        else:
                            values[p, 2] -= n_im
                            values[p, 3] += n_re
        for p in range(count):
            (x, y, z), sign = mirror(turn(r, frequencies[p, 0], frequencies[p, 1]))
            x += f4(center_x)
            y += f4(center)
            z += f4(center)
            x0, y0, z0 = int(x), int(y), int(z)
            fx, fy, fz = x - f4(x0), y - f4(y0), z - f4(z0)
            gx, gz = one - fx, one - fz
            c = ctf[i, p]
            # Each entry represents a Friedel pair; the zero frequency only itself.
            scale = half if p == 0 else one
            doubled[0] = values[p, 0] * scale
            doubled[1] = values[p, 1] * sign * scale
            doubled[2] = values[p, 2] * scale
            doubled[3] = values[p, 3] * sign * scale
            doubled[4] = h * c * c * scale
            for channel in range(5):
                doubled[5 + channel] = fx * doubled[channel]
                doubled[channel] *= gx
            start = u8(z0 * plane + y0 * row + x0 * CHANNELS)
            y_taps = linear_taps(fy)
            scatter_plane(5, 2, 1, grid, start, u8(row), u8(CHANNELS), y_taps, gz, doubled)
            scatter_plane(5, 2, 1, grid, start + u8(plane), u8(row), u8(CHANNELS), y_taps, fz, doubled)
