"""Central slices of volumes: one signature, three bodies.

``extract_slices`` reads V at the points k R of every pixel k of an image (projection-slice theorem).
``SliceAccumulator`` and ``MomentAccumulator`` add pixels there with the same weights: but for the halved column
x = 0, the exact adjoint in the real inner product Re Σ conj(a) b over *stored* entries, those of half-slices on the
one side and those of ``FourierVolume.values`` on the other. Bodies: compiled for the CPU, Triton on CUDA, plain
PyTorch on any other device.

Half-slices are (y, x // 2 + 1) in native FFT order with the phase origin at the centre voxel, so
``fourier.ifft_images`` of an extracted slice is the projection of the volume along z after rotating it by R.
"""

from types import ModuleType

import torch
from jaxtyping import Complex64, Float
from torch import Tensor

from cryobench._errors import MissingDependency
from cryobench.imaging.grid import FourierVolume
from cryobench.imaging.kernels import reference
from cryobench.imaging.kernels.cpu.slices import body as cpu
from cryobench.imaging.layout import GridLayout

_ORTHONORMAL = 1e-4


def extract_slices(
    volume_ft: FourierVolume, rotations: Float[Tensor, "n 3 3"], *, radius: float | None = None
) -> Complex64[Tensor, "n *k y h"]:
    """Central slices of a volume, or of K volumes at each pose. Not differentiable.

    Parameters
    ----------
    volume_ft
        From ``volume_to_fourier``, on the device of the computation.
    rotations
        (n, 3, 3), particle from reference: the value at k = (kx, ky, 0) is V(k R) with k as a row.
    radius
        Entries with |k| > radius (in index units) are 0. Default and maximum: (box_size − 1) // 2.

    Returns
    -------
    (n, y, h) for a single volume; (n, k, y, h) for a stack.

    Raises
    ------
    ValueError
        If a rotation is not orthonormal, the radius is out of range, or devices differ.
    """
    layout, values = volume_ft.layout, volume_ft.values
    if not values.is_complex():
        raise TypeError("slices need a complex spectrum; this FourierVolume holds real weights.")
    radius = _check_radius(radius, layout)
    _check_rotations(rotations, values.device)
    return choose_body(values.device).extract(values, rotations.float(), layout, radius)


def choose_body(device: torch.device) -> ModuleType:
    """Module of the kernels for a device. MissingDependency if CUDA is requested without Triton."""
    if device.type == "cpu":
        return cpu
    if device.type == "cuda":
        try:
            from cryobench.imaging.kernels import cuda
        except ImportError as error:
            raise MissingDependency(
                "slices on a CUDA device need Triton, which is not installed: pip install triton, "
                "or move the data to the CPU."
            ) from error
        return cuda
    return reference


def _check_radius(radius: float | None, layout: GridLayout) -> float:
    if radius is None:
        return layout.max_radius
    if not 0 <= radius <= layout.max_radius:
        raise ValueError(f"radius must be in [0, {layout.max_radius}] for a box of {layout.box_size}, got {radius}.")
    return radius


def _check_rotations(rotations: Tensor, device: torch.device) -> None:
    if rotations.device != device:
        raise ValueError(f"rotations are on {rotations.device}, the data on {device}: move one of them.")
    fixed = rotations.detach()
    difference = (fixed @ fixed.mT - torch.eye(3, dtype=fixed.dtype, device=device)).abs().amax(dim=(1, 2))
    bad = ~(difference <= _ORTHONORMAL)
    if bad.any():
        first = int(bad.nonzero()[0])
        raise ValueError(
            f"rotations must be orthonormal to {_ORTHONORMAL}; number {first} is {fixed[first].tolist()}."
        )
