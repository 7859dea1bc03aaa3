"""Slice extraction on the CPU: gather the taps of every pixel, for a block of volumes at once.

A kernel is specialised for its taps (2 or 4), for how many interleaved volumes it handles (a block of 1, 2, 4 or
8) and for whether the block is all there is in a voxel, so that LLVM turns the innermost loop into vector code.
"""

from collections.abc import Callable
from functools import cache

import numpy as np
from numba import njit

from cryobench.imaging.kernels.cpu.taps import FLAGS, mix_planes, wide_taps


@cache
def compile_linear(block: int, dense: bool) -> Callable[..., None]:
    """Trilinear extraction of ``block`` volumes whose values are contiguous within a voxel.

    Arguments of the compiled function: the grid as float32; floats from voxel to voxel; per image the offset of
    its first volume in a voxel; rotations times padding; (unused) polynomials; columns of each row within the
    radius; index of frequency 0 along z and y and along x; voxels in a plane and in a row; the images
    (n, k, y, h, 2); the first k to write; first and last image.
    """
    width = 2 * block
    f4 = np.float32
    u8 = np.uint64

    @njit(nogil=True, cache=True, fastmath=FLAGS)
    def extract(
        grid, stride, offsets, rotations, polynomials, row_ends, center, center_x, plane, row, images, first, i0, i1
    ):
        size = images.shape[2]
        half = images.shape[3]
        line = np.empty(half * width, np.float32)
        signs = np.empty(half, np.float32)
        step = u8(width) if dense else u8(stride)
        middle = f4(center)
        for i in range(i0, i1):
            r = rotations[i]
            offset = u8(offsets[i])
            for y in range(size):
                ky = f4(y if 2 * y < size else y - size)
                start_x, start_y, start_z = ky * r[1, 0], ky * r[1, 1], ky * r[1, 2]
                end = row_ends[y]
                for x in range(end):
                    kx = f4(x)
                    ux = start_x + kx * r[0, 0]
                    uy = start_y + kx * r[0, 1]
                    uz = start_z + kx * r[0, 2]
                    sign = f4(1)
                    if ux < f4(0):
                        sign = f4(-1)
                    ux *= sign
                    uy *= sign
                    uz *= sign
                    # Truncation of a positive number is its floor; the fraction keeps full precision.
                    x0, y0, z0 = np.int32(ux), np.int32(uy + middle), np.int32(uz + middle)
                    fx, fy, fz = ux - f4(x0), uy - (f4(y0) - middle), uz - (f4(z0) - middle)
                    gx, gy, gz = f4(1) - fx, f4(1) - fy, f4(1) - fz
                    w00, w01, w10, w11 = gz * gy, gz * fy, fz * gy, fz * fy
                    a = u8(z0 * plane + y0 * row + x0) * step + offset
                    b = a + u8(row) * step
                    c = a + u8(plane) * step
                    d = b + u8(plane) * step
                    if dense and block == 1:
                        re0 = w00 * grid[a] + w01 * grid[b] + w10 * grid[c] + w11 * grid[d]
                        a, b, c, d = a + u8(1), b + u8(1), c + u8(1), d + u8(1)
                        im0 = w00 * grid[a] + w01 * grid[b] + w10 * grid[c] + w11 * grid[d]
                        a, b, c, d = a + u8(1), b + u8(1), c + u8(1), d + u8(1)
                        re1 = w00 * grid[a] + w01 * grid[b] + w10 * grid[c] + w11 * grid[d]
                        a, b, c, d = a + u8(1), b + u8(1), c + u8(1), d + u8(1)
                        im1 = w00 * grid[a] + w01 * grid[b] + w10 * grid[c] + w11 * grid[d]
                        images[i, first, y, x, 0] = gx * re0 + fx * re1
                        images[i, first, y, x, 1] = sign * (gx * im0 + fx * im1)
                    else:
                        signs[x] = sign
                        for j in range(width):
                            k = u8(j)
                            near = w00 * grid[a + k] + w01 * grid[b + k] + w10 * grid[c + k] + w11 * grid[d + k]
                            k += step
                            far = w00 * grid[a + k] + w01 * grid[b + k] + w10 * grid[c + k] + w11 * grid[d + k]
                            line[x * width + j] = gx * near + fx * far
                for k in range(block):
                    if not (dense and block == 1):
                        for x in range(end):
                            images[i, first + k, y, x, 0] = line[x * width + 2 * k]
                            images[i, first + k, y, x, 1] = signs[x] * line[x * width + 2 * k + 1]
                    for x in range(end, half):
                        images[i, first + k, y, x, 0] = f4(0)
                        images[i, first + k, y, x, 1] = f4(0)

    return extract


@cache
def compile_wide(block: int, dense: bool) -> Callable[..., None]:
    """Four-tap extraction; arguments as in ``compile_linear``."""
    width = 2 * block
    narrow = dense and block <= 2  # the four x taps fit in one or two vectors: sum rows first, columns last
    f4 = np.float32
    u8 = np.uint64

    @njit(nogil=True, cache=True, fastmath=FLAGS)
    def extract(
        grid, stride, offsets, rotations, polynomials, row_ends, center, center_x, plane, row, images, first, i0, i1
    ):
        size = images.shape[2]
        half = images.shape[3]
        line = np.empty(half * width, np.float32)
        signs = np.empty(half, np.float32)
        columns = np.empty(4 * width, np.float32)
        step = u8(width) if dense else u8(stride)
        plane_step, row_step = u8(plane) * step, u8(row) * step
        middle = f4(center)
        for i in range(i0, i1):
            r = rotations[i]
            offset = u8(offsets[i])
            for y in range(size):
                ky = f4(y if 2 * y < size else y - size)
                start_x, start_y, start_z = ky * r[1, 0], ky * r[1, 1], ky * r[1, 2]
                end = row_ends[y]
                for x in range(end):
                    kx = f4(x)
                    ux = start_x + kx * r[0, 0]
                    uy = start_y + kx * r[0, 1]
                    uz = start_z + kx * r[0, 2]
                    sign = f4(1)
                    if ux < f4(0):
                        sign = f4(-1)
                    signs[x] = sign
                    ux *= sign
                    uy *= sign
                    uz *= sign
                    x0, y0, z0 = np.int32(ux), np.int32(uy + middle), np.int32(uz + middle)
                    xa, xb, xc, xd = wide_taps(polynomials, ux - f4(x0))
                    y_taps = wide_taps(polynomials, uy - (f4(y0) - middle))
                    z_taps = wide_taps(polynomials, uz - (f4(z0) - middle))
                    # The first tap along x is one entry below floor(ux), which the border (center_x = 1) offsets.
                    a = u8((z0 - 1) * plane + (y0 - 1) * row + x0) * step + offset
                    if narrow:
                        for j in range(4 * width):
                            columns[j] = mix_planes(grid, a + u8(j), plane_step, row_step, y_taps, z_taps)
                        for j in range(width):
                            line[x * width + j] = (
                                xa * columns[j]
                                + xb * columns[width + j]
                                + xc * columns[2 * width + j]
                                + xd * columns[3 * width + j]
                            )
                    else:
                        for j in range(width):
                            p = a + u8(j)
                            total = xa * mix_planes(grid, p, plane_step, row_step, y_taps, z_taps)
                            p += step
                            total += xb * mix_planes(grid, p, plane_step, row_step, y_taps, z_taps)
                            p += step
                            total += xc * mix_planes(grid, p, plane_step, row_step, y_taps, z_taps)
                            p += step
                            total += xd * mix_planes(grid, p, plane_step, row_step, y_taps, z_taps)
                            line[x * width + j] = total
                for k in range(block):
                    for x in range(end):
                        images[i, first + k, y, x, 0] = line[x * width + 2 * k]
                        images[i, first + k, y, x, 1] = signs[x] * line[x * width + 2 * k + 1]
                    for x in range(end, half):
                        images[i, first + k, y, x, 0] = f4(0)
                        images[i, first + k, y, x, 1] = f4(0)

    return extract
