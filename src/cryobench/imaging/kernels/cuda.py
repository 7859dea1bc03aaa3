"""The slice operators on CUDA, written in Triton: gathers for extraction, atomic adds for insertion.

One program handles a block of pixels of one image, and in extraction a block of volumes; the values of all volumes of
a voxel are contiguous, so that neighbouring lanes read neighbouring addresses. Only pixels within the radius are
listed. Atomic adds have no fixed order: insertion on CUDA is reproducible up to rounding, not to the bit.

With ``TRITON_INTERPRET=1`` in the environment before Triton is imported, the same kernels run on CPU tensors.
"""

# Triton takes plain numbers for its compile-time parameters and iterates static_range itself.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false

import torch
import triton
import triton.language as tl
from torch import Tensor

from cryobench.imaging.interpolation import tap_polynomials
from cryobench.imaging.layout import GridLayout

_PIXELS = 64
_VOLUMES = 8


@triton.jit
def _tap_weight(polynomials, tap, fraction, COEFFICIENTS: tl.constexpr):
    """Weight of one tap: its polynomial at fraction − ½, by Horner's rule."""
    weight = fraction * 0.0 + tl.load(polynomials + tap * COEFFICIENTS)
    for power in tl.static_range(1, COEFFICIENTS):
        weight = weight * (fraction - 0.5) + tl.load(polynomials + tap * COEFFICIENTS + power)
    return weight


@triton.jit
def _locate(rotation, kx, ky, center, plane, row, TAPS: tl.constexpr):
    """Voxel of a pixel's first tap, the fractional coordinates, and −1 where the point was mirrored."""
    ux = kx * tl.load(rotation) + ky * tl.load(rotation + 3)
    uy = kx * tl.load(rotation + 1) + ky * tl.load(rotation + 4)
    uz = kx * tl.load(rotation + 2) + ky * tl.load(rotation + 5)
    sign = tl.where(ux < 0, -1.0, 1.0)
    ux, uy, uz = ux * sign, uy * sign, uz * sign
    x0, y0, z0 = tl.floor(ux), tl.floor(uy), tl.floor(uz)
    below: tl.constexpr = TAPS // 2 - 1
    z_index = z0.to(tl.int64) + (center - below)
    y_index = y0.to(tl.int64) + (center - below)
    voxel = z_index * plane + y_index * row + x0.to(tl.int64)
    return voxel, ux - x0, uy - y0, uz - z0, sign


@triton.jit
def _extract_kernel(
    values,
    rotations,
    polynomials,
    pixels,
    frequencies,
    slices,
    n_pixels,
    n_volumes,
    voxel_stride,
    center,
    plane,
    row,
    volume_stride,
    TAPS: tl.constexpr,
    COEFFICIENTS: tl.constexpr,
    PIXELS: tl.constexpr,
    VOLUMES: tl.constexpr,
):
    image = tl.program_id(0).to(tl.int64)
    pixel = tl.program_id(1) * PIXELS + tl.arange(0, PIXELS)
    volume = tl.program_id(2) * VOLUMES + tl.arange(0, VOLUMES)
    inside = pixel < n_pixels
    mask = inside[:, None] & (volume < n_volumes)[None, :]
    kx = tl.load(frequencies + 2 * pixel, mask=inside, other=0.0)
    ky = tl.load(frequencies + 2 * pixel + 1, mask=inside, other=0.0)
    voxel, fx, fy, fz, sign = _locate(rotations + 9 * image, kx, ky, center, plane, row, TAPS)
    start = voxel * voxel_stride
    re = tl.zeros((PIXELS, VOLUMES), tl.float32)
    im = tl.zeros((PIXELS, VOLUMES), tl.float32)
    for tz in range(TAPS):
        wz = _tap_weight(polynomials, tz, fz, COEFFICIENTS)
        for ty in range(TAPS):
            wzy = wz * _tap_weight(polynomials, ty, fy, COEFFICIENTS)
            for tx in tl.static_range(TAPS):
                weight = wzy * _tap_weight(polynomials, tx, fx, COEFFICIENTS)
                at = start + (tz * plane + ty * row + tx) * voxel_stride
                address = values + at[:, None] + 2 * volume[None, :]
                re += weight[:, None] * tl.load(address, mask=mask, other=0.0)
                im += weight[:, None] * tl.load(address + 1, mask=mask, other=0.0)
    target = tl.load(pixels + pixel, mask=inside, other=0)
    first = image * n_volumes * volume_stride
    out = slices + first + 2 * target[:, None] + volume[None, :] * volume_stride
    tl.store(out, re, mask=mask)
    tl.store(out + 1, im * sign[:, None], mask=mask)


@triton.jit
def _insert_kernel(
    source,
    entry_images,
    entry_offsets,
    entry_factors,
    rotations,
    polynomials,
    pixels,
    frequencies,
    values,
    n_pixels,
    voxel_stride,
    center,
    plane,
    row,
    image_stride,
    TAPS: tl.constexpr,
    COEFFICIENTS: tl.constexpr,
    COMPONENTS: tl.constexpr,
    PIXELS: tl.constexpr,
):
    entry = tl.program_id(0)
    image = tl.load(entry_images + entry)
    pixel = tl.program_id(1) * PIXELS + tl.arange(0, PIXELS)
    inside = pixel < n_pixels
    kx = tl.load(frequencies + 2 * pixel, mask=inside, other=0.0)
    ky = tl.load(frequencies + 2 * pixel + 1, mask=inside, other=0.0)
    voxel, fx, fy, fz, sign = _locate(rotations + 9 * image, kx, ky, center, plane, row, TAPS)
    start = voxel * voxel_stride + tl.load(entry_offsets + entry)
    origin = tl.load(pixels + pixel, mask=inside, other=0)
    address = source + image * image_stride + COMPONENTS * origin
    factor = tl.where(kx == 0.0, 0.5, 1.0) * tl.load(entry_factors + entry)
    re = tl.load(address, mask=inside, other=0.0) * factor
    im = re
    if COMPONENTS == 2:
        im = tl.load(address + 1, mask=inside, other=0.0) * (factor * sign)
    for tz in range(TAPS):
        wz = _tap_weight(polynomials, tz, fz, COEFFICIENTS)
        for ty in range(TAPS):
            wzy = wz * _tap_weight(polynomials, ty, fy, COEFFICIENTS)
            for tx in tl.static_range(TAPS):
                weight = wzy * _tap_weight(polynomials, tx, fx, COEFFICIENTS)
                target = values + start + (tz * plane + ty * row + tx) * voxel_stride
                tl.atomic_add(target, weight * re, mask=inside, sem="relaxed")
                if COMPONENTS == 2:
                    tl.atomic_add(target + 1, weight * im, mask=inside, sem="relaxed")


def extract(values: Tensor, rotations: Tensor, layout: GridLayout, radius: float) -> Tensor:
    """Slices (n, y, h), or (n, k, y, h) from a stack. complex64."""
    planes = values.shape[3] if values.ndim == 4 else 1
    n, size, device = len(rotations), layout.box_size, values.device
    slices = torch.zeros(n, planes, size, size // 2 + 1, dtype=torch.complex64, device=device)
    pixels, frequencies, polynomials = _tables(layout, radius, device)
    if n and len(pixels):
        block = min(_VOLUMES, triton.next_power_of_2(planes))
        _extract_kernel[(n, triton.cdiv(len(pixels), _PIXELS), triton.cdiv(planes, block))](
            torch.view_as_real(values.detach().resolve_conj().contiguous()),
            rotations.detach().contiguous(),
            polynomials,
            pixels,
            frequencies,
            torch.view_as_real(slices),
            len(pixels),
            planes,
            2 * planes,
            *_geometry(layout),
            2 * size * (size // 2 + 1),
            TAPS=layout.taps,
            COEFFICIENTS=polynomials.shape[1],
            PIXELS=_PIXELS,
            VOLUMES=block,
        )
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

    Numerators are complex64, weights float32. In place. The x = 0 column is halved: ``friedel_symmetrise`` adds the
    other half.
    """
    images, volumes, factors = entries
    for values, grid in zip(data, grids, strict=True):
        target = torch.view_as_real(grid) if grid.is_complex() else grid
        components = 2 if grid.is_complex() else 1
        offsets = volumes * (components * grid[0].numel())
        _scatter(values, (images, offsets, factors), rotations, layout, radius, target, voxel_stride=components)


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
    n, pairs = len(rotations), 2 * factors[0].shape[1]
    for values, own, first in zip(data, factors, (0, pairs), strict=True):
        channels = own.shape[1]
        offsets = first + (2 if values.is_complex() else 1) * torch.arange(channels, device=own.device)
        entries = (
            torch.arange(n, device=own.device).repeat(channels),
            offsets.repeat_interleave(n),
            own.detach().float().T.reshape(-1),
        )
        _scatter(values, entries, rotations, layout, radius, grid, voxel_stride=grid.shape[3])


def _scatter(
    source: Tensor,
    entries: tuple[Tensor, Tensor, Tensor],
    rotations: Tensor,
    layout: GridLayout,
    radius: float,
    target: Tensor,
    *,
    voxel_stride: int,
) -> None:
    """Launch the insertion of (n, y, h), complex or real, into a grid, entry by entry (image, offset, factor)."""
    pixels, frequencies, polynomials = _tables(layout, radius, source.device)
    components = 2 if source.is_complex() else 1
    images, offsets, factors = entries
    if not len(images) or not len(pixels):
        return
    source = source.resolve_conj().contiguous()
    _insert_kernel[(len(images), triton.cdiv(len(pixels), _PIXELS))](
        torch.view_as_real(source) if source.is_complex() else source,
        images,
        offsets,
        factors,
        rotations.detach().contiguous(),
        polynomials,
        pixels,
        frequencies,
        target,
        len(pixels),
        voxel_stride,
        *_geometry(layout),
        components * source[0].numel(),
        TAPS=layout.taps,
        COEFFICIENTS=polynomials.shape[1],
        COMPONENTS=components,
        PIXELS=_PIXELS,
    )


def _tables(layout: GridLayout, radius: float, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Pixels within the radius (flat), their frequencies (kx, ky) times padding, and the taps' polynomials."""
    size = layout.box_size
    row_ends = torch.as_tensor(layout.row_ends(radius))
    y, x = torch.nonzero(torch.arange(size // 2 + 1) < row_ends[:, None], as_tuple=True)
    frequencies = torch.stack([x, torch.where(2 * y < size, y, y - size)], dim=-1).float() * layout.padding
    polynomials = torch.as_tensor(tap_polynomials(layout.kernel, layout.padding).copy()).float()
    return (y * (size // 2 + 1) + x).to(device), frequencies.to(device), polynomials.to(device)


def _geometry(layout: GridLayout) -> tuple[int, int, int]:
    _, rows, columns = layout.shape
    return layout.center, rows * columns, columns
