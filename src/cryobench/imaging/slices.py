"""Central slices of volumes, and their adjoint: one signature, three bodies.

``extract_slices`` reads V at the points k R of every pixel k of an image (projection-slice theorem),
``insert_slices`` adds pixels there: its exact adjoint in the real inner product Re Σ conj(a) b over *stored*
entries, those of half-slices on the one side and those of ``FourierVolume.values`` on the other. Bodies: compiled
for the CPU, Triton on CUDA, plain PyTorch on any other device. Both are differentiable, in the rotations too.

Half-slices are (y, x // 2 + 1) in native FFT order with the phase origin at the centre voxel, so
``fourier.ifft_images`` of an extracted slice is the projection of the volume along z after rotating it by R.
"""

from types import ModuleType
from typing import Any

import torch
from jaxtyping import Complex64, Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from cryobench._errors import MissingDependency
from cryobench.imaging.grid import FourierVolume
from cryobench.imaging.interpolation import Kernel
from cryobench.imaging.kernels import reference
from cryobench.imaging.kernels.cpu.slices import body as cpu
from cryobench.imaging.layout import GridLayout

_ORTHONORMAL = 1e-4


def extract_slices(
    volume_ft: FourierVolume,
    rotations: Float[Tensor, "n 3 3"],
    *,
    radius: float | None = None,
    volume_index: Int[Tensor, "n"] | None = None,
) -> Complex64[Tensor, "n *k y h"]:
    """Central slices of a volume, of K volumes at each pose, or of one chosen volume per particle.

    Parameters
    ----------
    volume_ft
        From ``volume_to_fourier``, on the device of the computation.
    rotations
        (n, 3, 3), particle from reference: the value at k = (kx, ky, 0) is V(k R) with k as a row.
    radius
        Entries with |k| > radius (in index units) are 0. Default and maximum: (box_size − 1) // 2.
    volume_index
        (n,) volume of a stack that each particle shows.

    Returns
    -------
    (n, y, h) for a single volume or with ``volume_index``; (n, k, y, h) for a stack.

    Raises
    ------
    ValueError
        If a rotation is not orthonormal, the radius or an index is out of range, or devices differ.
    """
    layout, values = volume_ft.layout, volume_ft.values
    if not values.is_complex():
        raise TypeError("slices need a complex spectrum; this FourierVolume holds real weights.")
    radius = _check_radius(radius, layout)
    _check_rotations(rotations, values.device)
    if volume_index is not None:
        if not volume_ft.is_stack:
            raise ValueError("volume_index needs a stack of volumes; volume_ft holds a single one.")
        _check_index(volume_index, len(rotations), volume_ft.n_volumes)
    return _Extract.apply(values, rotations.float(), layout, radius, volume_index)


def insert_slices(
    slices: Complex64[Tensor, "n *k y h"],
    rotations: Float[Tensor, "n 3 3"],
    *,
    box_size: int,
    kernel: Kernel = "trilinear",
    padding: int = 1,
    radius: float | None = None,
    n_volumes: int | None = None,
    volume_index: Int[Tensor, "n"] | None = None,
    weights: Float[Tensor, "*#n y h"] | Float[Tensor, "h"] | None = None,
) -> FourierVolume:
    """Adjoint of ``extract_slices``: add slices to the grid with the interpolation weights.

    For reconstruction use ``SliceAccumulator``, which also adds the Friedel mates of the half-spectrum.

    Parameters
    ----------
    slices
        (n, y, h) into a single volume or, with ``volume_index``, into one of ``n_volumes``;
        (n, k, y, h) into K volumes at one pose each.
    rotations
        (n, 3, 3), particle from reference.
    box_size, kernel, padding
        Grid to insert into.
    radius
        Entries with |k| > radius are left out. Default and maximum: (box_size − 1) // 2.
    n_volumes, volume_index
        Number of volumes, and (n,) volume to which each slice is added; both or neither.
    weights
        Real factors for the slices' entries, broadcast against (n, y, h), for example ``friedel_weights``.

    Raises
    ------
    ValueError
        If shapes disagree, a rotation is not orthonormal, or radius or index is out of range.
    """
    layout = GridLayout(box_size, padding, kernel)
    radius = _check_radius(radius, layout)
    _check_rotations(rotations, slices.device)
    if tuple(slices.shape[-2:]) != (box_size, box_size // 2 + 1) or len(slices) != len(rotations):
        raise ValueError(
            f"half-slices of a box of {box_size} at {len(rotations)} poses have shape ({len(rotations)}, "
            f"{box_size}, {box_size // 2 + 1}), or with an axis of volumes in second place; "
            f"got {tuple(slices.shape)}."
        )
    if (n_volumes is None) != (volume_index is None):
        raise ValueError("give n_volumes and volume_index together, or neither.")
    if volume_index is not None and n_volumes is not None:
        if slices.ndim != 3:
            raise ValueError("with volume_index, slices have shape (n, y, h).")
        _check_index(volume_index, len(rotations), n_volumes)
    if weights is not None:
        slices = slices * (weights if slices.ndim == 3 or weights.ndim == 1 else weights[..., None, :, :])
    total = n_volumes if slices.ndim == 3 else slices.shape[1]
    values = _Insert.apply(slices, rotations.float(), layout, radius, volume_index, total)
    return FourierVolume(values, box_size, padding, kernel)


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


class _Extract(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        values: Tensor,
        rotations: Tensor,
        layout: GridLayout,
        radius: float,
        volume_index: Tensor | None,
    ) -> Tensor:
        ctx.save_for_backward(values, rotations)
        ctx.options = (layout, radius, volume_index)
        return choose_body(values.device).extract(values, rotations, layout, radius, volume_index)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *gradients: Tensor
    ) -> tuple[Tensor | None, ...]:
        values, rotations = ctx.saved_tensors
        body = choose_body(values.device)
        to_values = to_rotations = None
        if ctx.needs_input_grad[0]:
            volumes = values.shape[3] if values.ndim == 4 else None
            to_values = body.insert(gradients[0], rotations, *ctx.options, volumes)
        if ctx.needs_input_grad[1]:
            to_rotations = body.rotation_gradient(gradients[0], values, rotations, *ctx.options)
        return to_values, to_rotations, None, None, None


class _Insert(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        slices: Tensor,
        rotations: Tensor,
        layout: GridLayout,
        radius: float,
        volume_index: Tensor | None,
        n_volumes: int | None,
    ) -> Tensor:
        ctx.save_for_backward(slices, rotations)
        ctx.options = (layout, radius, volume_index)
        return choose_body(slices.device).insert(slices, rotations, layout, radius, volume_index, n_volumes)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *gradients: Tensor
    ) -> tuple[Tensor | None, ...]:
        slices, rotations = ctx.saved_tensors
        body = choose_body(slices.device)
        to_slices = to_rotations = None
        if ctx.needs_input_grad[0]:
            to_slices = body.extract(gradients[0], rotations, *ctx.options)
        if ctx.needs_input_grad[1]:
            # Re ⟨g, insert(s, R)⟩ = Re ⟨extract(g, R), s⟩: the same gradient with the roles exchanged.
            to_rotations = body.rotation_gradient(slices, gradients[0], rotations, *ctx.options)
        return to_slices, to_rotations, None, None, None, None


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


def _check_index(volume_index: Tensor, n: int, n_volumes: int) -> None:
    if len(volume_index) != n:
        raise ValueError(f"volume_index has {len(volume_index)} entries for {n} rotations.")
    if n and (int(volume_index.min()) < 0 or int(volume_index.max()) >= n_volumes):
        raise ValueError(
            f"volume_index must be in [0, {n_volumes}), found {int(volume_index.min())} to {int(volume_index.max())}."
        )
