"""Local comparison of band-limited volumes: bands of frequencies, windows in space, both partitions of unity.

A window of half-width R resolves only frequencies 1 / (2 R) apart, so shells are combined in bands
of that width. The power of a difference in band b and window w is Σ_x p_w(x) |band_b[difference](x)|², with windows
p_w = Π cos²(π (x − x_w) / 2R) at a stride of R, which sum to one. The published windowed transforms contain the same,
but need one transform per window. A volume assembled from others, each used in some bands and windows, is
Σ_b Σ_w p_w band_b[volume of b and w].

Spectra are real, (…, 2, z, y, x) with real and imaginary part, on −r … r, −r … r, 0 … r (x = 0 plane complete). Only
samples in the box around the mask are needed, and few for low bands: so the transform to space is three products with
real matrices instead of an FFT, each of which leaves the two parts in the layout of the next.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Float, Int, Num
from scipy import ndimage
from torch import Tensor

_Matrices: TypeAlias = tuple[Float[Tensor, "_ _"], Float[Tensor, "_ _"], Float[Tensor, "_ _"]]
"""One along each of z, y and x."""


@dataclass(frozen=True, eq=False)
class Band:
    """Frequencies of neighbouring shells, and the samples of a volume cut to them."""

    outer: int
    """Its largest |k|, in index units."""
    inside: Tensor
    """(z, y, x) 1 in the band, 0 elsewhere, on −outer … outer, −outer … outer, 0 … outer."""
    waves: _Matrices
    """Transforms along z, y and x, from frequencies to samples, see ``_wave_matrices``."""
    pooling: _Matrices
    """(windows, samples) along z, y and x, with the volume of a sample."""
    mask: Tensor
    """(z, y, x) square of the mask on the samples."""
    voxel_waves: _Matrices
    """As ``waves``, to every voxel of the region."""


class LocalWindows:
    """Bands and windows over the box around a mask.

    Parameters
    ----------
    mask
        (z, y, x), 0 where nothing is compared.
    radius
        Largest |k| of the spectra, in index units.
    window_px
        Half-width of a window, and its stride.

    Raises
    ------
    ValueError
        If the mask is empty or the half-width is below a voxel.
    """

    def __init__(
        self, mask: Float[np.ndarray, "z y x"], radius: int, window_px: float, *, device: str | torch.device = "cpu"
    ) -> None:
        if not (mask > 0).any():
            raise ValueError("the mask is zero everywhere: there is no region to compare volumes in.")
        if window_px < 1:
            raise ValueError(f"windows need a half-width of at least a voxel, got {window_px:.2f}.")
        self.box_size, self.radius = len(mask), radius
        self.region: tuple[slice, ...] = ndimage.find_objects((mask > 0).astype(np.int8))[0]
        """Part of the box around the mask."""
        self._device = device
        self._mask = mask
        ends = [(part.start, part.stop - 1) for part in self.region]
        self._centres = [_window_centres(*end, window_px) for end in ends]
        self._window_px = window_px
        width = self.box_size / (2 * window_px)
        n_bands = max(1, round((radius + 0.5) / width))
        bounds = np.unique(np.rint(np.linspace(0, radius + 1, n_bands + 1)).astype(int))
        self.bands = [self._make_band(int(low), int(high), ends) for low, high in pairwise(bounds)]
        self.windows: tuple[int, int, int] = tuple(len(centres) for centres in self._centres)  # pyright: ignore
        """Numbers of windows along z, y and x."""
        along_z, along_y, along_x = self._matrices(self._voxels(), 1.0)
        self._spreading = (along_z.T.contiguous(), along_y.T.contiguous(), along_x.T.contiguous())

    @property
    def shells(self) -> list[tuple[int, int]]:
        """First and last shell of each band."""
        starts = [0, *(band.outer + 1 for band in self.bands[:-1])]
        return [(start, band.outer) for start, band in zip(starts, self.bands, strict=True)]

    def measure_power(self, spectra: Float[Tensor, "k 2 z y x"], band: Band) -> Float[Tensor, "k a b c"]:
        """Power of K spectra cut to a band, within the mask, in every window."""
        samples = _to_samples(self._cut(spectra, band), band.waves)
        return _along_axes(samples.square_().mul_(band.mask), band.pooling, order=(2, 1, 0))

    def put_together(
        self, spectra: Float[Tensor, "k 2 z y x"], band: Band, chosen: Float[Tensor, "k a b c"]
    ) -> Float[Tensor, "u v w"]:
        """(z, y, x) on the voxels of the region: sum of K spectra cut to a band, each in the windows where chosen."""
        samples = _to_samples(self._cut(spectra, band), band.voxel_waves)
        return torch.einsum("kzyx,kzyx->zyx", samples, _along_axes(chosen, self._spreading, order=(0, 1, 2)))

    def embed(self, values: Float[Tensor, "u v w"]) -> Float[np.ndarray, "z y x"]:
        """A whole box with values in the region and 0 elsewhere."""
        volume = np.zeros((self.box_size,) * 3, dtype=np.float32)
        volume[self.region] = values.cpu().numpy()
        return volume

    def _voxels(self) -> list[Int[np.ndarray, "_"]]:
        return [np.arange(part.start, part.stop) for part in self.region]

    def _cut(self, spectra: Float[Tensor, "k 2 z y x"], band: Band) -> Float[Tensor, "k 2 u v w"]:
        low, high = self.radius - band.outer, self.radius + band.outer + 1
        return spectra[..., low:high, low:high, : band.outer + 1] * band.inside

    def _make_band(self, first: int, end: int, ends: list[tuple[int, int]]) -> Band:
        outer, size = end - 1, self.box_size
        # |band|² holds frequencies to 2·outer; aliases must stay clear of the windows' own, to box / R.
        step = max(1.0, size / (2 * (outer + 0.5) + size / self._window_px))
        points = [
            np.linspace(low, high, int(np.ceil((high - low) / step)) + 1) if high > low else np.array([float(low)])
            for low, high in ends
        ]
        steps = [float(np.diff(axis)[0]) if len(axis) > 1 else 1.0 for axis in points]
        grid = np.stack(np.meshgrid(*points, indexing="ij"))
        weight = ndimage.map_coordinates(self._mask.astype(np.float32), grid, order=1, mode="nearest") ** 2
        full = torch.arange(-outer, outer + 1)
        squared = full[:, None, None] ** 2 + full[:, None] ** 2 + torch.arange(outer + 1) ** 2
        shells = (squared.double().sqrt() + 0.5).floor()
        inside = ((shells >= first) & (shells < end)).float().to(self._device)
        return Band(
            outer,
            inside,
            self._waves(points, outer),
            self._matrices(points, float(np.prod(steps))),
            torch.from_numpy(weight).float().to(self._device),
            self._waves(self._voxels(), outer),
        )

    def _waves(self, points: list[Num[np.ndarray, "_"]], outer: int) -> _Matrices:
        along_z, along_y, along_x = _wave_matrices(points, outer, self.box_size)
        return along_z.to(self._device), along_y.to(self._device), along_x.to(self._device)

    def _matrices(self, points: list[Num[np.ndarray, "_"]], volume: float) -> _Matrices:
        matrices = []
        for centres, axis in zip(self._centres, points, strict=True):
            away = (axis - centres[:, None]) / self._window_px
            matrices.append(np.where(np.abs(away) < 1, np.cos(np.pi / 2 * away) ** 2, 0.0))
        matrices[0] = matrices[0] * volume
        along_z, along_y, along_x = (torch.from_numpy(matrix).float().to(self._device) for matrix in matrices)
        return along_z, along_y, along_x


def _window_centres(first: int, last: int, half_width: float) -> Float[np.ndarray, "c"]:
    """Centres at a stride of the half-width, symmetric about the middle of first … last; windows there sum to one."""
    count = int(np.ceil((last - first) / half_width)) + 1
    return (first + last) / 2 + (np.arange(count) - (count - 1) / 2) * half_width


def _wave_matrices(points: list[Num[np.ndarray, "_"]], outer: int, size: int) -> list[Float[Tensor, "_ _"]]:
    """Products along z, y and x of exp(2πi k x / n), x counted from the centre voxel, on adjacent parts.

    Along z and y from (part, frequency) to (sample, part); along x from (part, frequency) to the real samples, the
    Friedel mates of x > 0 being their conjugates.
    """
    matrices = []
    for axis, points_of in enumerate(points):
        frequencies = np.arange(-outer if axis < 2 else 0, outer + 1)
        phase = 2 * np.pi / size * np.outer(points_of - size // 2, frequencies)
        real, imaginary = np.cos(phase), np.sin(phase)
        to_real = np.concatenate([real, -imaginary], axis=1)
        if axis < 2:
            to_imaginary = np.concatenate([imaginary, real], axis=1)
            matrix = np.stack([to_real, to_imaginary], axis=1).reshape(2 * len(points_of), -1)
        else:
            matrix = to_real * np.tile(np.where(frequencies > 0, 2.0, 1.0), 2)
        matrices.append(torch.from_numpy(matrix).float())
    return matrices


def _to_samples(spectra: Float[Tensor, "k 2 z y x"], waves: _Matrices) -> Float[Tensor, "k u v w"]:
    """Real samples from half-spectra."""
    along_z, along_y, along_x = waves
    k, _, planes, rows, columns = spectra.shape
    values = torch.matmul(along_z, spectra.reshape(k, 2 * planes, rows * columns))
    values = torch.matmul(along_y, values.reshape(k, -1, 2 * rows, columns))
    return values.reshape(k, values.shape[1], -1, 2 * columns) @ along_x.T


def _along_axes(
    values: Float[Tensor, "k z y x"], matrices: _Matrices, *, order: tuple[int, ...]
) -> Float[Tensor, "k u v w"]:
    """Values multiplied by a matrix along each axis, the most reducing one first."""
    for axis in order:
        matrix = matrices[axis]
        if axis == 2:
            values = values @ matrix.T
        elif axis == 1:
            values = torch.matmul(matrix, values)
        else:
            k, planes, rows, columns = values.shape
            values = torch.matmul(matrix, values.reshape(k, planes, rows * columns)).reshape(k, -1, rows, columns)
    return values
