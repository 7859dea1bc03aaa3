"""Projection in real space: a volume rotated by trilinear interpolation and summed over z, with gradients.

For methods whose volumes are real-space grids. It blurs where a Fourier slice does not, but needs no
transform of the volume, and allows a volume finer than the images: its ``t`` samples span the same length as their
``n`` pixels, both centred on index // 2.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from cryobench._threads import run_ranges
from cryobench.imaging.kernels.cpu.real_space import project, project_back


def project_volumes(
    volumes: Float[Tensor, "b t t t"],
    maps: Float[Tensor, "b j 3 3"],
    offsets: Float[Tensor, "b 3"],
    box_size: int,
) -> Float[Tensor, "b j n n"]:
    """Sums over z of n³ samples of each volume, at the points M p + offset of j maps for p on the images' grid.

    For an undeformed volume M is the transpose of the particle's rotation. Samples outside a volume are zero. On the
    CPU each image's bits depend on nothing else; on CUDA those of gradients may differ from run to run.

    Parameters
    ----------
    maps
        M, from the particle's frame to the volume's.
    offsets
        (x, y, z) in px of the images.
    box_size
        n.
    """
    if volumes.device.type == "cpu" and volumes.dtype == torch.float32:
        return _Projection.apply(volumes, maps, offsets, box_size)  # pyright: ignore[reportReturnType]
    return project_reference(volumes, maps, offsets, box_size)


def project_reference(
    volumes: Float[Tensor, "b t t t"],
    maps: Float[Tensor, "b j 3 3"],
    offsets: Float[Tensor, "b 3"],
    box_size: int,
) -> Float[Tensor, "b j n n"]:
    """The same by PyTorch's own sampling, on any device."""
    return _sample(volumes, maps, offsets, box_size).sum(2)


def sample_volumes(volumes: Float[Tensor, "b t t t"], box_size: int) -> Float[Tensor, "b n n n"]:
    """Volumes at the points of the images' grid, whose sums over z are ``project_volumes`` by the identity."""
    count = len(volumes)
    rest = torch.eye(3, device=volumes.device).expand(count, 1, 3, 3)
    return _sample(volumes, rest, volumes.new_zeros(count, 3), box_size)[:, 0]


def _sample(volumes: Tensor, maps: Tensor, offsets: Tensor, box_size: int) -> Float[Tensor, "b j n n n"]:
    images, count, side = *maps.shape[:2], volumes.shape[-1]
    # In units of grid_sample an index i of n is 2 (i − n // 2) / n, plus half a sample for an even n.
    lag, lead = _half_step(box_size), _half_step(side)
    shifts = 2 / box_size * offsets[:, None] + lead - lag * maps.sum(-1)
    affine = torch.cat([maps, shifts[..., None]], dim=-1).flatten(0, 1)
    grid = functional.affine_grid(affine, [images * count, 1, *(box_size,) * 3], align_corners=False)
    # The maps of a volume are concatenated along z, so that it is not copied for each.
    grid = grid.reshape(images, count * box_size, box_size, box_size, 3)
    samples = functional.grid_sample(volumes[:, None], grid, align_corners=False)
    return samples.reshape(images, count, box_size, box_size, box_size)


class _Projection(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, volumes: Tensor, maps: Tensor, offsets: Tensor, size: int) -> Tensor:
        side = volumes.shape[-1]
        bordered = functional.pad(volumes.detach(), (1,) * 6).contiguous()
        voxels = (maps.detach() * (side / size)).contiguous()
        centres = (offsets.detach() * (side / size) + (side // 2 + 1)).contiguous()
        images = torch.zeros(*maps.shape[:2], size, size)
        arrays = [each.numpy() for each in (bordered, voxels, centres)]
        run_ranges(project, len(images), *arrays, images.numpy())
        ctx.save_for_backward(bordered, voxels, centres)
        ctx.scale = side / size
        return images

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore
        bordered, voxels, centres = ctx.saved_tensors
        by_volumes, gradient = torch.zeros_like(bordered), gradient.contiguous()
        by_maps, by_centres = torch.zeros_like(voxels, dtype=torch.float64), torch.zeros(len(centres), 3).double()
        arrays = [each.numpy() for each in (bordered, voxels, centres, gradient, by_volumes, by_maps, by_centres)]
        run_ranges(project_back, len(gradient), *arrays)
        inner = (slice(None), *(slice(1, -1),) * 3)
        return by_volumes[inner], (by_maps * ctx.scale).float(), (by_centres * ctx.scale).float(), None


def spread_images(
    images: Float[Tensor, "b n n"], rotations: Float[Tensor, "b 3 3"], points: Float[Tensor, "p 3"]
) -> Float[Tensor, "b p"]:
    """Values of images, each constant along its z, at points (x, y, z) of the reference in px from the centre.

    Bilinear; zero beyond an image.
    """
    size = images.shape[-1]
    grid = points @ rotations[:, :2].mT * (2 / size) + _half_step(size)
    return functional.grid_sample(images[:, None], grid[:, None], align_corners=False)[:, 0, 0]


def grid_points(box_size: int) -> Float[Tensor, "p 3"]:
    """(x, y, z) of the voxels of a box in px from its centre, in the order of a flattened (z, y, x)."""
    axis = torch.arange(box_size, dtype=torch.float32) - box_size // 2
    z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
    return torch.stack([x, y, z], dim=-1).reshape(-1, 3)


def _half_step(size: int) -> float:
    """Coordinate of index size // 2 in the units of grid_sample: 1 / n for an even n, 0 for an odd one."""
    return (1 - size % 2) / size
