"""Projection of volumes in real space by trilinear interpolation, and its gradients, on the CPU.

A volume has a border of one voxel of zeros, so that every sample within a voxel of it has its eight taps. Each
image is computed separately, by one thread, in a fixed order.
"""

import numpy as np
from numba import njit

from cryobench.imaging.kernels.cpu.taps import FLAGS


@njit(nogil=True, cache=True, fastmath=FLAGS)
def project(volumes, maps, offsets, images, first, last):
    """Sums along z of samples of bordered volumes (b, t + 2, t + 2, t + 2) into ``images`` (b, j, n, n), initially
    zero.

    ``maps`` (b, j, 3, 3) map (x, y, z) in px from the centre to voxels; ``offsets`` (b, 3) are the centre's voxel
    (x, y, z) in the bordered volume; a single volume is used for all images. All float32.
    """
    f4 = np.float32
    end = f4(volumes.shape[1] - 1)
    count, size = maps.shape[1], images.shape[2]
    for i in range(first, last):
        volume = volumes[i if volumes.shape[0] > 1 else 0]
        for j in range(count):
            m = maps[i, j]
            for row in range(size):
                y = f4(row - size // 2)
                for column in range(size):
                    x = f4(column - size // 2)
                    u0 = m[0, 0] * x + m[0, 1] * y + offsets[i, 0]
                    v0 = m[1, 0] * x + m[1, 1] * y + offsets[i, 1]
                    w0 = m[2, 0] * x + m[2, 1] * y + offsets[i, 2]
                    total = f4(0)
                    for depth in range(size):
                        z = f4(depth - size // 2)
                        u, v, w = u0 + m[0, 2] * z, v0 + m[1, 2] * z, w0 + m[2, 2] * z
                        if u > 0 and v > 0 and w > 0 and u < end and v < end and w < end:
                            a, b, c = np.int64(u), np.int64(v), np.int64(w)
                            p, q, r = u - f4(a), v - f4(b), w - f4(c)
                            low = volume[c, b, a] + p * (volume[c, b, a + 1] - volume[c, b, a])
                            high = volume[c, b + 1, a] + p * (volume[c, b + 1, a + 1] - volume[c, b + 1, a])
                            near = low + q * (high - low)
                            low = volume[c + 1, b, a] + p * (volume[c + 1, b, a + 1] - volume[c + 1, b, a])
                            high = volume[c + 1, b + 1, a] + p * (
                                volume[c + 1, b + 1, a + 1] - volume[c + 1, b + 1, a]
                            )
                            far = low + q * (high - low)
                            total += near + r * (far - near)
                    images[i, j, row, column] = total


@njit(nogil=True, cache=True, fastmath=FLAGS)
def project_back(volumes, maps, offsets, gradients, by_volumes, by_maps, by_offsets, first, last):
    """Gradients of ``project``, for incoming ``gradients`` (b, j, n, n), added to those by volumes, maps and offsets.

    ``by_volumes`` has the shape of ``volumes``, one for each image; those by maps and offsets are float64.
    """
    f4 = np.float32
    one, end = f4(1), f4(volumes.shape[1] - 1)
    count, size = maps.shape[1], gradients.shape[2]
    for i in range(first, last):
        volume, by_volume = volumes[i], by_volumes[i]
        for j in range(count):
            m = maps[i, j]
            for row in range(size):
                y = f4(row - size // 2)
                for column in range(size):
                    g = gradients[i, j, row, column]
                    x = f4(column - size // 2)
                    u0 = m[0, 0] * x + m[0, 1] * y + offsets[i, 0]
                    v0 = m[1, 0] * x + m[1, 1] * y + offsets[i, 1]
                    w0 = m[2, 0] * x + m[2, 1] * y + offsets[i, 2]
                    slope_u, slope_v, slope_w = f4(0), f4(0), f4(0)
                    along_u, along_v, along_w = f4(0), f4(0), f4(0)
                    for depth in range(size):
                        z = f4(depth - size // 2)
                        u, v, w = u0 + m[0, 2] * z, v0 + m[1, 2] * z, w0 + m[2, 2] * z
                        if u > 0 and v > 0 and w > 0 and u < end and v < end and w < end:
                            a, b, c = np.int64(u), np.int64(v), np.int64(w)
                            p, q, r = u - f4(a), v - f4(b), w - f4(c)
                            v000, v001 = volume[c, b, a], volume[c, b, a + 1]
                            v010, v011 = volume[c, b + 1, a], volume[c, b + 1, a + 1]
                            v100, v101 = volume[c + 1, b, a], volume[c + 1, b, a + 1]
                            v110, v111 = volume[c + 1, b + 1, a], volume[c + 1, b + 1, a + 1]
                            low0, high0 = v000 + p * (v001 - v000), v010 + p * (v011 - v010)
                            low1, high1 = v100 + p * (v101 - v100), v110 + p * (v111 - v110)
                            near, far = low0 + q * (high0 - low0), low1 + q * (high1 - low1)
                            du0 = (v001 - v000) + q * ((v011 - v010) - (v001 - v000))
                            du1 = (v101 - v100) + q * ((v111 - v110) - (v101 - v100))
                            du = du0 + r * (du1 - du0)
                            dv = (high0 - low0) + r * ((high1 - low1) - (high0 - low0))
                            dw = far - near
                            slope_u += du
                            slope_v += dv
                            slope_w += dw
                            along_u += z * du
                            along_v += z * dv
                            along_w += z * dw
                            g1 = g * r
                            g0 = g - g1
                            g01, g11 = g0 * q, g1 * q
                            g00, g10 = g0 - g01, g1 - g11
                            by_volume[c, b, a] += g00 * (one - p)
                            by_volume[c, b, a + 1] += g00 * p
                            by_volume[c, b + 1, a] += g01 * (one - p)
                            by_volume[c, b + 1, a + 1] += g01 * p
                            by_volume[c + 1, b, a] += g10 * (one - p)
                            by_volume[c + 1, b, a + 1] += g10 * p
                            by_volume[c + 1, b + 1, a] += g11 * (one - p)
                            by_volume[c + 1, b + 1, a + 1] += g11 * p
                    slope_u, slope_v, slope_w = g * slope_u, g * slope_v, g * slope_w
                    by_offsets[i, 0] += slope_u
                    by_offsets[i, 1] += slope_v
                    by_offsets[i, 2] += slope_w
                    by_maps[i, j, 0, 0] += slope_u * x
                    by_maps[i, j, 0, 1] += slope_u * y
                    by_maps[i, j, 0, 2] += g * along_u
                    by_maps[i, j, 1, 0] += slope_v * x
                    by_maps[i, j, 1, 1] += slope_v * y
                    by_maps[i, j, 1, 2] += g * along_v
                    by_maps[i, j, 2, 0] += slope_w * x
                    by_maps[i, j, 2, 1] += slope_w * y
                    by_maps[i, j, 2, 2] += g * along_w
