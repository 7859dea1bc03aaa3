"""The slice operators in plain PyTorch: readable, on any device, in single or double precision.

Reference in tests of the compiled bodies. Every pixel gathers from (or scatters to) all its taps with explicit
indices, which takes the memory of taps³ index tensors of the images' size.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from cryobench.imaging.interpolation import tap_polynomials
from cryobench.imaging.layout import GridLayout


def extract(values: Tensor, rotations: Tensor, layout: GridLayout, radius: float) -> Tensor:
    """Slices (n, y, h), or (n, k, y, h) from a stack."""
    flat = values.reshape(-1, values.shape[3] if values.ndim == 4 else 1)
    pixels, mirrored, taps = _locate(rotations, layout, radius)
    total = flat.new_zeros(())
    for index, weight in taps:
        total = total + weight[..., None] * flat[index]
    total = torch.where(mirrored[..., None], total.conj(), total)
    size = layout.box_size
    slices = total.new_zeros(len(rotations), total.shape[-1], size * (size // 2 + 1))
    slices = slices.index_copy(2, pixels, total.movedim(-1, 1))
    slices = slices.reshape(len(rotations), -1, size, size // 2 + 1)
    return slices if values.ndim == 4 else slices[:, 0]


def insert(slices: Tensor, rotations: Tensor, layout: GridLayout, radius: float) -> Tensor:
    """Stored grid (z, y, x) of the inserted slices (n, y, h): the adjoint of ``extract`` from one volume."""
    pixels, mirrored, taps = _locate(rotations, layout, radius)
    chosen = slices.flatten(1)[:, pixels]
    chosen = torch.where(mirrored, chosen.conj(), chosen)
    grid = torch.zeros(layout.shape, dtype=chosen.dtype, device=chosen.device)
    for index, weight in taps:
        grid.view(-1).index_add_(0, index.flatten(), (weight * chosen).flatten())
    return grid


def accumulate(
    data: tuple[Tensor, Tensor],
    grids: tuple[Tensor, Tensor],
    entries: tuple[Tensor, Tensor, Tensor],
    rotations: Tensor,
    layout: GridLayout,
    radius: float,
) -> None:
    """Add the entries (image, volume, factor) of (numerator, weight) (n, y, h) to their grids (k, z, y, x).

    Numerators are complex, weights real. In place. The x = 0 column is halved: ``friedel_symmetrise`` adds the other
    half.
    """
    images, volumes, factors = entries
    for values, grid in zip(data, grids, strict=True):
        halved = torch.ones(values.shape[-1], device=values.device)
        halved[0] = 0.5
        for volume in range(len(grid)):
            chosen = volumes == volume
            which, factor = images[chosen], factors[chosen, None, None] * halved
            spectra = (values[which] * factor).to(torch.complex64)
            total = insert(spectra, rotations[which], layout, radius)
            grid[volume] += total if grid.is_complex() else total.real


def accumulate_interleaved(
    data: tuple[Tensor, Tensor],
    grid: Tensor,
    factors: tuple[Tensor, Tensor],
    rotations: Tensor,
    layout: GridLayout,
    radius: float,
) -> None:
    """Add numerators (n, y, h) and weights (n, y, h) to a grid (z, y, x, 2 k + c) of floats, in place.

    Floats 2 k and 2 k + 1 of a voxel are the parts of volume k and get ``factors[0]`` (n, k) times the numerator; the
    rest are weights and get ``factors[1]`` (n, c) times the weight. The x = 0 column is halved.
    """
    pairs = 2 * factors[0].shape[1]
    halved = torch.ones(data[0].shape[-1], device=grid.device)
    halved[0] = 0.5
    for channel in range(factors[0].shape[1]):
        slices = data[0] * halved * factors[0][:, channel, None, None]
        inserted = insert(slices, rotations, layout, radius)
        grid[..., 2 * channel : 2 * channel + 2] += torch.view_as_real(inserted).to(grid.dtype)
    for channel in range(factors[1].shape[1]):
        slices = (data[1] * halved * factors[1][:, channel, None, None]).to(data[0].dtype)
        grid[..., pairs + channel] += insert(slices, rotations, layout, radius).real.to(grid.dtype)


def _locate(
    rotations: Tensor, layout: GridLayout, radius: float
) -> tuple[Tensor, Tensor, Iterator[tuple[Tensor, Tensor]]]:
    """Pixels within the radius (flat, native order), whether each is mirrored, and index and weight per tap."""
    size, taps, device = layout.box_size, layout.taps, rotations.device
    row_ends = torch.as_tensor(layout.row_ends(radius), device=device)
    columns = torch.arange(size // 2 + 1, device=device)
    y, x = torch.nonzero(columns < row_ends[:, None], as_tuple=True)
    frequencies = torch.stack([x, torch.where(2 * y < size, y, y - size)], dim=-1).to(rotations.dtype)
    points = layout.padding * frequencies @ rotations[:, :2]
    mirrored = points[..., 0] < 0
    points = torch.where(mirrored[..., None], -points, points)
    floor = points.floor()
    fraction = points - floor
    coefficients = torch.as_tensor(tap_polynomials(layout.kernel, layout.padding).copy())
    coefficients = coefficients.to(device=device, dtype=rotations.dtype)
    weights = torch.zeros(*fraction.shape, taps, dtype=rotations.dtype, device=device)
    for power in range(coefficients.shape[1]):
        weights = weights * (fraction[..., None] - 0.5) + coefficients[:, power]
    center = torch.tensor([layout.center_x, layout.center, layout.center], device=device)
    first = floor.long() + center - (taps // 2 - 1)
    _, rows, width = layout.shape

    def iterate() -> Iterator[tuple[Tensor, Tensor]]:
        for dz in range(taps):
            for dy in range(taps):
                for dx in range(taps):
                    z, y, x = first[..., 2] + dz, first[..., 1] + dy, first[..., 0] + dx
                    weight = weights[..., 2, dz] * weights[..., 1, dy] * weights[..., 0, dx]
                    yield (z * rows + y) * width + x, weight

    return y * (size // 2 + 1) + x, mirrored, iterate()
