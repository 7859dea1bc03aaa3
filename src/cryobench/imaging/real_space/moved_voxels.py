"""Projections of a volume whose voxels are moved by a mesh: positions are projected, then spread in two dimensions.

    x_v = Σ_a b_va p_a        p_a the projected positions of the four vertices of the voxel's element, b fixed
    image = Σ_v V_v k(· − x_v)

with a bilinear kernel k of unit sum on pixels half as wide as the volume's voxels, the response of which, sinc² along
each axis, is divided out of the spectrum (``kernel_response``). Linear in V; the adjoint gathers bilinearly. Nothing
is rotated or interpolated in three dimensions, and voxels without density cost nothing.
Bodies: compiled for the CPU, plain PyTorch elsewhere.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from cryobench._threads import run_parts, run_ranges
from cryobench.imaging.half_disc import HalfDisc
from cryobench.imaging.kernels.cpu import moved_voxels as cpu

FINENESS = 2
"""Pixels of the images per voxel width."""
_GROUPS = 8
"""Parts of a batch whose sums over images are added in order, for any number of threads."""


@dataclass(frozen=True, eq=False)
class BoundVoxels:
    """Voxels bound to the elements of a mesh, in the order of the elements."""

    elements: np.ndarray
    """(t, 4) int32 vertices."""
    starts: np.ndarray
    """(t + 1,) int64: the voxels of element i are starts[i] … starts[i + 1] − 1."""
    weights: np.ndarray
    """(m, 4) float32, barycentric: they sum to one."""
    voxels: np.ndarray
    """(m,) int64 index of each voxel in the flattened volume (z, y, x)."""
    box_size: int
    """Box size of the volume."""

    def __len__(self) -> int:
        return len(self.voxels)

    def vertices_of(self) -> np.ndarray:
        """(m, 4) vertices of each voxel's element."""
        return np.repeat(self.elements, np.diff(self.starts), axis=0)

    def take(self, volume: Tensor) -> Tensor:
        """Values (m,) of a volume (z, y, x) at the voxels."""
        return volume.flatten()[torch.from_numpy(self.voxels).to(volume.device)]

    def put(self, values: Tensor) -> Tensor:
        """Volume (z, y, x) of values (m,), zero elsewhere."""
        volume = values.new_zeros(self.box_size**3)
        volume[torch.from_numpy(self.voxels).to(values.device)] = values
        return volume.reshape((self.box_size,) * 3)


def project_voxels(positions: Float[Tensor, "n v 2"], values: Float[Tensor, "m"], bound: BoundVoxels) -> Tensor:
    """Images (n, s, s), s = ``FINENESS`` times the box, of voxels moved with the vertices; differentiable in both.

    Parameters
    ----------
    positions
        (n, v, 2) of the vertices in each image, (x, y) in its pixels; the centre of the box is at s // 2.
    values
        (m,) densities of the voxels.
    bound
        Binding of the voxels to the vertices.
    """
    return _Projection.apply(positions, values, bound)  # pyright: ignore[reportReturnType]


def kernel_response(disc: HalfDisc) -> np.ndarray:
    """(p,) response of the spreading kernel at the frequencies of a half-disc of the images."""
    return np.prod(np.sinc(disc.frequencies / disc.box_size) ** 2, axis=1)


def spread_voxels(positions: Tensor, values: Tensor, bound: BoundVoxels) -> Tensor:
    """``project_voxels`` without gradients."""
    if values.device.type != "cpu":
        return spread_by_index(positions, values, bound)
    size = FINENESS * bound.box_size
    images = torch.zeros(len(positions), size, size)
    arrays = (positions.detach().contiguous().numpy(), bound.elements, bound.starts, bound.weights)
    run_ranges(cpu.spread, len(images), *arrays, values.detach().contiguous().numpy(), images.numpy())
    return images


def gather_voxels(
    positions: Tensor, values: Tensor, images: Tensor, bound: BoundVoxels, *, of_positions: bool
) -> tuple[Tensor, Tensor | None]:
    """Adjoint (m,) of ``spread_voxels`` at images, and on request the gradient (n, v, 2) by the positions."""
    if values.device.type != "cpu":
        return gather_by_index(positions, values, images, bound, of_positions=of_positions)
    by_values = np.zeros((min(_GROUPS, len(images)), len(bound)), dtype=np.float32)
    by_positions = torch.zeros_like(positions) if of_positions else positions.new_zeros(0, *positions.shape[1:])
    arrays = (positions.detach().contiguous().numpy(), bound.elements, bound.starts, bound.weights)
    rest = (values.detach().contiguous().numpy(), images.detach().contiguous().numpy())
    parts = [
        (*arrays, *rest, own, by_positions.numpy(), group, len(images), len(by_values))
        for group, own in enumerate(by_values)
    ]
    run_parts(cpu.gather, parts)
    return torch.from_numpy(by_values.sum(axis=0)), by_positions if of_positions else None


def spread_by_index(positions: Tensor, values: Tensor, bound: BoundVoxels) -> Tensor:
    """The same in plain PyTorch: for any device and precision, and as the reference in tests of the kernel."""
    size = FINENESS * bound.box_size
    images = torch.zeros(len(positions), size * size, dtype=values.dtype, device=values.device)
    for index, weight in _taps(positions, bound, size):
        images.scatter_add_(1, index, weight * values)
    return images.reshape(-1, size, size)


def gather_by_index(
    positions: Tensor, values: Tensor, images: Tensor, bound: BoundVoxels, *, of_positions: bool
) -> tuple[Tensor, Tensor | None]:
    """The same in plain PyTorch."""
    with torch.enable_grad():
        free = positions.detach().requires_grad_(of_positions)
        flat = images.flatten(1)
        taken = sum(weight * flat.gather(1, index) for index, weight in _taps(free, bound, images.shape[-1]))
        assert isinstance(taken, Tensor)
        if not of_positions:
            return taken.sum(0), None
        (by_positions,) = torch.autograd.grad((taken * values.detach()).sum(), free)
    return taken.detach().sum(0), by_positions


def _taps(positions: Tensor, bound: BoundVoxels, size: int) -> list[tuple[Tensor, Tensor]]:
    vertices = torch.from_numpy(bound.vertices_of()).long().to(positions.device)
    weights = torch.from_numpy(bound.weights).to(positions)
    at = (positions[:, vertices] * weights[..., None]).sum(2)
    below = at.detach().floor()
    (fx, fy), (x, y) = (at - below).unbind(-1), below.long().unbind(-1)
    return [
        ((y + dy) % size * size + (x + dx) % size, (fx if dx else 1 - fx) * (fy if dy else 1 - fy))
        for dy in (0, 1)
        for dx in (0, 1)
    ]


class _Projection(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, positions: Tensor, values: Tensor, bound: BoundVoxels) -> Tensor:
        ctx.save_for_backward(positions, values)
        ctx.bound = bound
        return spread_voxels(positions, values, bound)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore
        positions, values = ctx.saved_tensors
        of_positions = ctx.needs_input_grad[0]
        by_values, by_positions = gather_voxels(positions, values, gradient, ctx.bound, of_positions=of_positions)
        return by_positions, by_values if ctx.needs_input_grad[1] else None, None
