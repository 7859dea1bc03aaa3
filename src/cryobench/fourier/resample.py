"""Change of sampling by cropping or zero-padding a spectrum: band-limited, exact, even and odd sizes.

Both keep the *values* of a function that is band-limited to the smaller grid (they are samples of the same
function at another spacing), about the same centre voxel ``n // 2``.
"""

from itertools import product

import torch
from jaxtyping import Float
from scipy.fft import next_fast_len
from torch import Tensor

from cryobench.fourier.grids import frequency_axis
from cryobench.fourier.raw import forward, inverse, multiply


def fourier_crop(values: Float[Tensor, "*batch_grid"], box_size: int, *, dimensions: int) -> Float[Tensor, "*"]:
    """Resample the last ``dimensions`` axes (2 or 3, all of one size) to fewer, ``box_size``, samples.

    For an even ``box_size`` the Nyquist planes, where a real signal has no unique continuation, are set to zero.
    ValueError if ``box_size`` exceeds the present size.
    """
    old = values.shape[-1]
    if box_size > old:
        raise ValueError(f"cannot crop from {old} to {box_size} samples: use fourier_pad to enlarge.")
    if box_size == old:
        return values.clone()
    return invert_cropped(forward(values, tuple(range(-dimensions, 0))), old, box_size, dimensions)


def invert_cropped(spectrum: Tensor, old: int, new: int, dimensions: int) -> Tensor:
    """The ``new``-sample function of the low frequencies of a half-spectrum taken about sample 0 of ``old``."""
    dims = tuple(range(-dimensions, 0))
    kept = spectrum.new_empty(*spectrum.shape[:-dimensions], *(new,) * (dimensions - 1), new // 2 + 1)
    # The low frequencies of each full axis sit at the two ends of the native order.
    ends = ((slice(0, (new + 1) // 2),) * 2, (slice(old - new // 2, old), slice((new + 1) // 2, new)))
    for corner in product(ends, repeat=dimensions - 1):
        given, taken = zip(*corner, strict=True)
        kept[(..., *taken, slice(None))] = spectrum[(..., *given, slice(new // 2 + 1))]
    if new % 2 == 0:
        for dim in dims:
            kept.select(dim, new // 2).zero_()
    spectrum = _move_centre(kept, old, new, dims)
    return inverse(spectrum, new, dims) * (new / old) ** dimensions


def _move_centre(spectrum: Tensor, old: int, new: int, dims: tuple[int, ...]) -> Tensor:
    """Phases that take a spectrum about sample 0 of ``old`` to one whose centre voxel stays the centre of ``new``.

    The centre lies at the fraction (n // 2) / n of the box: at one half for every even size, so that between two
    even sizes there is nothing to do.
    """
    offset = (old // 2) / old - (new // 2) / new
    if offset == 0:
        return spectrum
    for dim in dims:
        frequency = frequency_axis(new, half=dim == -1, device=spectrum.device).double() * new
        phase = torch.polar(torch.ones_like(frequency), 2 * torch.pi * offset * frequency).to(spectrum.dtype)
        spectrum = multiply(spectrum, phase.reshape(-1, *[1] * (-1 - dim)))
    return spectrum


def fourier_pad(values: Float[Tensor, "*batch_grid"], box_size: int, *, dimensions: int) -> Float[Tensor, "*"]:
    """Resample the last ``dimensions`` axes (2 or 3, all of one size) to more, ``box_size``, samples.

    The Nyquist planes of an even input are dropped, as in ``fourier_crop``, of which this is the inverse for
    what it kept. ValueError if ``box_size`` is below the present size.
    """
    old = values.shape[-1]
    if box_size < old:
        raise ValueError(f"cannot pad from {old} to {box_size} samples: use fourier_crop to reduce.")
    if box_size == old:
        return values.clone()
    dims = tuple(range(-dimensions, 0))
    spectrum = forward(torch.fft.ifftshift(values, dim=dims), dims)
    if old % 2 == 0:
        for dim in dims:
            spectrum.select(dim, old // 2).zero_()
    padded = torch.zeros(
        *values.shape[:-dimensions],
        *(box_size,) * (dimensions - 1),
        box_size // 2 + 1,
        dtype=spectrum.dtype,
        device=values.device,
    )
    # The kept frequencies of each axis sit at the two ends of the native order.
    padded_view = padded[..., : spectrum.shape[-1]]
    index = torch.cat([torch.arange((old + 1) // 2), torch.arange(box_size - old // 2, box_size)])
    index = index.to(values.device)
    if dimensions == 2:
        padded_view[..., index, :] = spectrum
    else:
        padded_view[..., index[:, None], index[None, :], :] = spectrum
    enlarged = inverse(padded, box_size, dims)
    return torch.fft.fftshift(enlarged, dim=dims) * (box_size / old) ** dimensions


def fast_even_size(least: int) -> int:
    """Smallest even number with prime factors 2, 3 and 5 that is at least ``least``."""
    return 2 * next_fast_len(-(-least // 2), real=True)  # pyright: ignore[reportOperatorIssue]
