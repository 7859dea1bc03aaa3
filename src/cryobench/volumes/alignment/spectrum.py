"""Spectra prepared for alignment: the low frequencies of a volume, in a layout for interpolation.

The level at the box's faces is subtracted, so that the volume continues smoothly outside the box (zero).
Then it is cropped in Fourier space to slightly more than the band, masked, divided by the transform of the cubic
B-spline, zero-padded to twice its size and transformed: the gridding method, whose error is the B-spline's images,
below 0.5 % within a third of the box about its centre.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Complex64, Float, Float32, Int32

from cryobench._types import Volume
from cryobench.fourier import fast_even_size, fft_volume, fourier_crop, fourier_pad
from cryobench.volumes.alignment import kernel
from cryobench.volumes.alignment.envelope import Envelope, find_envelope

PADDING = 2
_BORDER = 3


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Frequencies up to ``band`` of a volume of ``box_size`` voxels.

    ``grid`` (z, y, 2x) holds real and imaginary parts alternating; the zero frequency is at ``centre``, ``centre``
    and x = 1, neighbours are half an index unit apart.
    """

    grid: Float32[np.ndarray, "z y x2"]
    centre: int
    band: int
    box_size: int
    centroid: Float[np.ndarray, "3"]
    """Centre of the dense part, (x, y, z) from the box's centre, as a fraction of the box."""

    def sample(self, positions: Float[np.ndarray, "p 3"]) -> Complex64[np.ndarray, "p"]:
        """Values at frequencies (p, 3), (x, y, z) in index units of the box, within the band."""
        values = np.empty((len(positions), 2), dtype=np.float32)
        kernel.sample(self.grid, self.centre, float(PADDING), np.ascontiguousarray(positions), values)
        return values.view(np.complex64)[:, 0]


@dataclass(frozen=True, eq=False)
class Prepared:
    """A volume of ``box_size`` voxels with slightly more than the band's detail, on a coarser grid if that suffices.

    ``values`` (z, y, x) are without background; the envelope has its own grid, no finer.
    """

    values: Volume
    envelope: Envelope
    box_size: int
    band: int

    def spread_envelope(self) -> Volume:
        """The envelope on the grid of the values."""
        return fourier_pad(self.envelope.values, len(self.values), dimensions=3)


def prepare_volume(volume: Volume, band: int) -> Prepared:
    """A cubic volume prepared for spectra with |k| up to ``band`` (index units of its box)."""
    box_size = len(volume)
    # NumPy sums in one order; means of torch depend on the number of threads.
    array = volume.numpy()
    faces = [array.take(index, axis).mean(dtype=np.float64) for axis in range(3) for index in (0, -1)]
    volume = volume - float(np.mean(faces))
    envelope = find_envelope(volume)
    size = min(box_size, fast_even_size(max(5 * band // 2 + 8, len(envelope.values))))
    return Prepared(fourier_crop(volume, size, dimensions=3), envelope, box_size, band)


def make_spectrum(volume: Prepared, mask: Volume) -> Spectrum:
    """Spectrum, for |k| up to the band and half a unit beyond, of a volume times a mask on the same grid."""
    box_size, band, small = volume.box_size, volume.band, volume.values * mask
    size = len(small)
    padded_size = PADDING * size
    axis = torch.sinc((torch.arange(size) - size // 2) / padded_size) ** 4
    corrected = small / (axis[:, None, None] * axis[:, None] * axis)
    padded = torch.zeros((padded_size,) * 3)
    start = padded_size // 2 - size // 2
    inside = slice(start, start + size)
    padded[inside, inside, inside] = corrected * (box_size / size) ** 3
    half = fft_volume(padded)
    reach = PADDING * band + _BORDER
    wrapped = torch.arange(-reach, reach + 1) % padded_size
    kept = half[wrapped[:, None], wrapped][..., : reach + 1]
    below = kept[..., 1:2].flip(0, 1).conj()
    grid = torch.view_as_real(torch.cat([below, kept], dim=-1).resolve_conj().contiguous()).flatten(-2)
    return Spectrum(grid.numpy(), reach, band, box_size, volume.envelope.centre)


def largest_band(box_size: int) -> int:
    """Largest ``band`` of a box of this size."""
    return (box_size - _BORDER) // 2


@dataclass(frozen=True, eq=False)
class Lattice:
    """The integer frequencies of half a ball, innermost band first.

    ``points`` (p, 3), (x, y, z); ``shells`` (p,) the rounded |k|, 1 to the greatest band; ``ends`` how many points
    belong to each of ``bands``.
    """

    points: Int32[np.ndarray, "p 3"]
    shells: Int32[np.ndarray, "p"]
    bands: tuple[int, ...]
    ends: tuple[int, ...]


def make_lattice(bands: tuple[int, ...]) -> Lattice:
    """Half of the frequencies 0.5 ≤ |k| < band + 0.5 of each of ascending bands, ordered by band, then z, y, x."""
    greatest = bands[-1]
    axis = np.arange(-greatest, greatest + 1)
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    points = np.stack([x, y, z], axis=-1).reshape(-1, 3)
    x, y, z = points.T
    shells = np.floor(np.sqrt((points**2).sum(axis=1)) + 0.5).astype(np.int32)
    half = (x > 0) | ((x == 0) & ((y > 0) | ((y == 0) & (z > 0))))
    kept = half & (shells <= greatest)
    points, shells = points[kept], shells[kept]
    level = np.searchsorted(np.array(bands), shells)
    order = np.argsort(level, kind="stable")
    ends = tuple(int((level <= index).sum()) for index in range(len(bands)))
    return Lattice(points[order].astype(np.int32), shells[order], bands, ends)
