"""Rigid transforms of volumes: rotation, mirror, shift.

A point x of the volume, (x, y, z) from voxel ``n // 2`` in Å, goes to x' = R S x + t, where S is the identity or,
for a mirrored volume, diag(1, 1, −1): z is reversed first. A voxel gets the value at its origin, and 0 if
that is outside the box.

The value between voxels is that of the volume's own Fourier series: zero-padded to twice the sampling (exact), then
read with interpolating cubic B-splines, whose error at frequency f (cycles per voxel) is about (f / (2 − f))⁴ of the
amplitude, 1.2 % at Nyquist and 0.04 % at half of it. Only frequencies |k| < n / 2 are kept, which every rotation
keeps within the box's band: the corners of the spectrum would be aliased.

Source: Unser, "Splines: a perfect fit for signal and image processing", IEEE Signal Process. Mag. 16 (1999) 22.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from cryobench._threads import run_ranges
from cryobench._types import Volume
from cryobench.fourier import fft_volume, fourier_pad, frequency_axis, ifft_volume
from cryobench.volumes.resample_kernel import interpolate_moved

MIRROR = np.diag([1.0, 1.0, -1.0])
"""S: the reversal of z applied to a mirrored volume before its rotation."""
MIRROR.setflags(write=False)

_ORTHONORMAL = 1e-4
_FACTOR = 2
_MARGIN = 3


def rotate_volume(
    volumes: Float[Tensor, "*k z y x"],
    rotations: Float[Tensor, "*n 3 3"] | Float[np.ndarray, "*n 3 3"],
    shifts: Float[Tensor, "*n 3"] | Float[np.ndarray, "*n 3"] | None = None,
    *,
    pixel_size: float = 1.0,
    mirrored: bool = False,
) -> Float[Tensor, "*k z y x"]:
    """Rotated and shifted volumes, float32, on the same grid and device.

    Frequencies with |k| ≥ n / 2 (index units) are dropped, even by the identity. Computed on the CPU, not
    differentiable; the result does not depend on the number of threads.

    Parameters
    ----------
    volumes
        (z, y, x), or (k, z, y, x); cubic, even or odd size, centred on ``n // 2``.
    rotations
        (3, 3) for all, or (k, 3, 3), one each: x' = R x for (x, y, z), so that it is volume-to-result.
    shifts
        (3,) or (k, 3), (x, y, z) in Å: added after the rotation. None for no shift.
    pixel_size
        Å. With the default 1, ``shifts`` are in voxels.
    mirrored
        Reverse z before rotating.

    Raises
    ------
    ValueError
        If a volume is not cubic, an array has another shape or is not finite, or a rotation is not orthonormal or
        holds a reflection.
    """
    if volumes.ndim not in (3, 4) or len(set(volumes.shape[-3:])) != 1:
        raise ValueError(f"expected one volume (n, n, n) or several (k, n, n, n), got {tuple(volumes.shape)}.")
    batch = volumes if volumes.ndim == 4 else volumes[None]
    matrices = _spread("rotations", rotations, (3, 3), len(batch))
    displacements = _spread("shifts", np.zeros(3) if shifts is None else shifts, (3,), len(batch)) / pixel_size
    _check_rotations(matrices)
    moved = [
        _move(volume, matrix, displacement, mirrored=mirrored)
        for volume, matrix, displacement in zip(batch.detach().cpu().float(), matrices, displacements, strict=True)
    ]
    result = torch.stack(moved) if moved else batch.float()
    return (result if volumes.ndim == 4 else result[0]).to(volumes.device)


def mirror_volume(volume: Float[np.ndarray, "z y x"]) -> Float[np.ndarray, "z y x"]:
    """Mirror image of a volume (z, y, x): z goes to −z about the centre voxel n // 2."""
    flipped = volume[::-1]
    return np.ascontiguousarray(np.roll(flipped, 1, axis=0) if len(volume) % 2 == 0 else flipped)


def _move(
    volume: Volume, rotation: Float[np.ndarray, "3 3"], shift: Float[np.ndarray, "3"], *, mirrored: bool
) -> Volume:
    """One volume, transformed with a shift in voxels."""
    size = volume.shape[-1]
    coefficients = np.pad(_spline_coefficients(volume).numpy(), _MARGIN, mode="wrap")
    # Inverse transform of a voxel: x = S Rᵀ (x' − t), about the centre.
    back = MIRROR @ rotation.T if mirrored else rotation.T
    centre = size // 2
    offset = centre - back @ (centre + shift)
    # The centre of the fine grid, index (2n) // 2, is that of the box.
    origin = _MARGIN + _FACTOR * size // 2 - _FACTOR * centre
    moved = np.empty((size,) * 3, dtype=np.float32)
    back = np.ascontiguousarray(back)
    run_ranges(interpolate_moved, size, coefficients, float(_FACTOR), float(origin), back, offset, moved)
    return torch.from_numpy(moved)


def _spline_coefficients(volume: Volume) -> Float[Tensor, "fz fy fx"]:
    """Coefficients, on the twice finer grid, of the spline through the volume's Fourier series (|k| < n / 2)."""
    size = volume.shape[-1]
    full, half = (frequency_axis(size, half=part) for part in (False, True))
    squared = full[:, None, None] ** 2 + full[:, None] ** 2 + half**2
    # Samples of the B-spline are (1, 4, 1) / 6, so their transform at f cycles per fine voxel is (2 + cos 2πf) / 3.
    through, through_half = (3 / (2 + torch.cos(2 * torch.pi * axis / _FACTOR)) for axis in (full, half))
    gain = through[:, None, None] * through[:, None] * through_half
    spectrum = fft_volume(volume) * torch.where(squared < 0.25 * (1 - 1e-6), gain, 0.0)
    return fourier_pad(ifft_volume(spectrum, size), _FACTOR * size, dimensions=3)


def _spread(name: str, values: Tensor | np.ndarray, shape: tuple[int, ...], count: int) -> np.ndarray:
    array = np.asarray(values.detach().cpu() if isinstance(values, Tensor) else values, dtype=np.float64)
    if array.shape not in (shape, (count, *shape)):
        raise ValueError(f"{name} of {count} volumes have shape {shape} or {(count, *shape)}, got {array.shape}.")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite numbers, got {array.tolist()}.")
    return np.broadcast_to(array, (count, *shape))


def _check_rotations(matrices: Float[np.ndarray, "n 3 3"]) -> None:
    difference = np.abs(matrices @ matrices.swapaxes(1, 2) - np.eye(3)).max(axis=(1, 2))
    for index in np.flatnonzero(~(difference <= _ORTHONORMAL)):
        raise ValueError(
            f"rotations must be orthonormal to {_ORTHONORMAL}; number {index} is {matrices[index].tolist()}."
        )
    for index in np.flatnonzero(np.linalg.det(matrices) < 0):
        raise ValueError(
            f"rotation {index} has determinant -1: it includes a reflection. Give the proper rotation R of R S, "
            "S = diag(1, 1, -1), and mirrored=True."
        )
