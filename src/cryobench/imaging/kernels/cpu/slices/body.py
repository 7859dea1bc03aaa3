"""The slice operators on CPU tensors: no checks; distributes the compiled kernels over threads."""

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from cryobench._threads import count_threads, run_parts
from cryobench.imaging.interpolation import tap_polynomials
from cryobench.imaging.kernels.cpu.slices.accumulate import insert_entries
from cryobench.imaging.kernels.cpu.slices.extract import compile_extract
from cryobench.imaging.kernels.cpu.slices.interleaved import compile_interleaved
from cryobench.imaging.layout import GridLayout

_BLOCKS = (8, 4, 2, 1)
_FLOATS = 32  # of a voxel that are updated at once
_PARTS_PER_THREAD = 4


def extract(values: Tensor, rotations: Tensor, layout: GridLayout, radius: float) -> Tensor:
    """Slices (n, y, h), or (n, k, y, h) from a stack. complex64."""
    n, size = len(rotations), layout.box_size
    planes = values.shape[3] if values.ndim == 4 else 1
    # NumPy requests huge pages, torch does not: a quarter of the time for stacks.
    images = np.empty((n, planes, size, size // 2 + 1), dtype=np.complex64)
    grid = torch.view_as_real(values.detach().resolve_conj().contiguous()).numpy().reshape(-1)
    polynomials = tap_polynomials(layout.kernel, layout.padding).astype(np.float32)
    scaled, *geometry = _common(rotations, layout, radius)
    for first, block in _blocks(planes):
        kernel = compile_extract(layout.taps, block, planes == block)
        run_parts(
            lambda i0, i1, kernel=kernel, first=first: kernel(
                grid,
                2 * planes,
                scaled,
                polynomials,
                *geometry,
                images,
                images.view(np.float32).reshape(-1),
                first,
                i0,
                i1,
            ),
            _image_parts(n),
        )
    slices = torch.from_numpy(images)
    return slices if values.ndim == 4 else slices[:, 0]


def accumulate(
    data: tuple[Tensor, Tensor],
    grids: tuple[Tensor, Tensor],
    entries: tuple[Tensor, Tensor, Tensor],
    rotations: Tensor,
    layout: GridLayout,
    radius: float,
) -> None:
    """Add the entries (image, volume, factor) of (numerator, weight) (n, y, h) to their grids (k, z, y, x).

    Numerators are complex64, weights float32. In place.
    """
    numerator, weight = data
    images = _pairs(numerator.contiguous()), weight.detach().contiguous().numpy()
    flat = [grid.reshape(len(grid), -1) for grid in (_pairs(grids[0]), grids[1].numpy())]
    rest = (*_common(rotations, layout, radius), *flat)
    listed = [entry.numpy() for entry in entries]
    parts = _entry_parts(listed[1], layout)
    run_parts(
        insert_entries,
        [(*images, *(entry[part] for entry in listed), *rest, low, high) for part, low, high in parts],
    )


def accumulate_interleaved(
    data: tuple[Tensor, Tensor],
    grid: Tensor,
    factors: tuple[Tensor, Tensor],
    rotations: Tensor,
    layout: GridLayout,
    radius: float,
) -> None:
    """Add numerators (n, y, h) complex64 and weights (n, y, h) float32 to a grid (z, y, x, 2 k + c), in place.

    Floats 2 k and 2 k + 1 of a voxel are the parts of volume k and get ``factors[0]`` (n, k) times the numerator; the
    rest are weights and get ``factors[1]`` (n, c) times the weight. The x = 0 column is halved.
    """
    numerator, weight = data
    to_numerator, to_weight = (values.detach().float().numpy() for values in factors)
    n, total = len(rotations), grid.shape[3]
    pairs = 2 * to_numerator.shape[1]
    spread = np.zeros((n, 3, total), dtype=np.float32)
    spread[:, 0, 0:pairs:2] = to_numerator
    spread[:, 1, 1:pairs:2] = to_numerator
    spread[:, 2, pairs:] = to_weight
    images, weights = _pairs(numerator.contiguous()), weight.detach().contiguous().numpy()
    common = _common(rotations, layout, radius)
    for first in range(0, total, _FLOATS):
        width = min(_FLOATS, total - first)
        kernel = compile_interleaved(width, width == total)
        part = np.ascontiguousarray(spread[:, :, first : first + width])
        arguments = (images, weights, part, *common, total, first, grid.numpy().reshape(-1))
        run_parts(lambda low, high, kernel=kernel, arguments=arguments: kernel(*arguments, low, high), _slabs(layout))


def _blocks(volumes: int) -> list[tuple[int, int]]:
    """Volumes cut into blocks of 8, 4, 2 and 1, largest first, as (first volume, length)."""
    blocks, first = [], 0
    for length in _BLOCKS:
        while volumes - first >= length:
            blocks.append((first, length))
            first += length
    return blocks


def _image_parts(n: int) -> list[tuple[int, int]]:
    count = min(n, _PARTS_PER_THREAD * count_threads())
    bounds = [n * part // max(count, 1) for part in range(count + 1)]
    return list(pairwise(bounds))


def _slabs(layout: GridLayout) -> list[tuple[int, int]]:
    """Slabs of z planes of equal work: uniform directions put samples on planes in proportion to M − |z|."""
    threads = count_threads()
    planes = layout.shape[0]
    count = 1 if threads == 1 else min(_PARTS_PER_THREAD * threads, planes)
    share = np.arange(1, count) / count
    position = np.where(share < 0.5, np.sqrt(share / 2), 1 - np.sqrt((1 - share) / 2))
    bounds = sorted({0, planes, *np.rint(position * planes).astype(int).tolist()})
    slabs = list(pairwise(bounds))
    return sorted(slabs, key=lambda slab: abs(slab[0] + slab[1] - planes))


def _entry_parts(volumes: np.ndarray, layout: GridLayout) -> list[tuple[slice, int, int]]:
    """Entries, listed volume by volume, and slabs that can be processed in parallel.

    A volume is one piece of work; one with many of the entries is cut into slabs.
    """
    bounds = np.flatnonzero(np.diff(volumes, prepend=-1, append=-1))
    parts: list[tuple[slice, int, int]] = []
    for first, last in pairwise(bounds.tolist()):
        alone = 2 * count_threads() * (last - first) <= len(volumes) or count_threads() == 1
        slabs = [(0, layout.shape[0])] if alone else _slabs(layout)
        parts.extend((slice(first, last), low, high) for low, high in slabs)
    return sorted(parts, key=lambda part: part[0].start - part[0].stop)


def _common(rotations: Tensor, layout: GridLayout, radius: float) -> tuple[np.ndarray, np.ndarray, int, int, int]:
    """Rotations times padding; ends of rows within the radius; index of frequency 0; voxels in a plane and a row."""
    scaled = (rotations.detach().to(torch.float32) * layout.padding).contiguous().numpy()
    _, rows, columns = layout.shape
    return scaled, layout.row_ends(radius), layout.center, rows * columns, columns


def _pairs(tensor: Tensor) -> np.ndarray:
    """Complex numbers as pairs of float32."""
    return torch.view_as_real(tensor.detach().resolve_conj()).numpy()
