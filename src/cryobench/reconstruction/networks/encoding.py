"""Gaussian encoding of frequencies: plane waves at random positions in real space.

    φ = B k,   features = [sin φ ; cos φ],   B: m × 3 fixed numbers N(0, σ²) · n / 2,   k in cycles per pixel

There is no 2π: each feature is a wave of a point at B / 2π, some σ n / 4π pixels from the centre.
Source: Zhong et al., Nature Methods 18 (2021) 176 (cryoDRGN), after Tancik et al., NeurIPS 2020.
"""

import numpy as np
import torch
from jaxtyping import Bool, Complex, Float, Int
from torch import Tensor

from cryobench.imaging.half_disc import HalfDisc
from cryobench.rng import stream


def draw_frequencies(box_size: int, count: int, seed: int, *, deviation: float = 0.5) -> Float[Tensor, "m 3"]:
    """B (3 ``count``, 3) for a box, from the named stream "encoding"."""
    drawn = stream(seed, "encoding").standard_normal((3 * count, 3))
    return torch.from_numpy(drawn * deviation * (box_size / 2)).float()


def encode_points(frequencies: Float[Tensor, "m 3"], points: Float[Tensor, "*p 3"]) -> Float[Tensor, "*p m2"]:
    """Features (..., 2 m) of points k (..., 3) in cycles per pixel."""
    with torch.autocast(points.device.type, enabled=False):  # phases need full precision
        phases = points.to(frequencies.dtype) @ frequencies.T
    return torch.cat([torch.sin(phases), torch.cos(phases)], dim=-1)


class SliceEncoder:
    """Features of the points of central slices, kx u + ky v, by products of two tables.

    φ = kx (B u) + ky (B v) with u and v the first two rows of a rotation, so e^{iφ} is the product of an entry of a
    table over kx and one over ky: n + 1 sines a frequency instead of one for each point.

    Parameters
    ----------
    frequencies
        Of the encoding, B.
    disc
        Its entries, except the zero frequency, are the points.
    count
        Number of its first entries, including the zero frequency; None for all.
    """

    def __init__(self, frequencies: Float[Tensor, "m 3"], disc: HalfDisc, count: int | None = None) -> None:
        self._frequencies = frequencies
        device = frequencies.device
        self._columns, self._rows = (torch.from_numpy(axis).to(device) for axis in disc.frequencies[1:count].T)
        self._reach = torch.arange(-disc.radius, disc.radius + 1, device=device) / disc.box_size
        self._offset, self._box_size = disc.radius, disc.box_size

    @property
    def n_points(self) -> int:
        """Number of entries of the half-disc, without the zero frequency."""
        return len(self._columns)

    def encode(self, rotations: Float[Tensor, "b 3 3"]) -> tuple[Float[Tensor, "b p m"], Float[Tensor, "b p m"]]:
        """sin φ and cos φ (b, p, m) float32 of each entry of the half-disc except the zero frequency."""
        with torch.autocast(rotations.device.type, enabled=False):  # phases need full precision
            along = rotations[:, :2] @ self._frequencies.T  # (b, 2, m): B u and B v
        phases = self._reach[:, None] * along[:, :, None, :]  # (b, 2, 2 r + 1, m)
        images, _, reach, _ = phases.shape
        first = (torch.arange(images, device=phases.device) * reach + self._offset)[:, None]
        tables = [function(phases[:, axis]).flatten(0, 1) for axis in (0, 1) for function in (torch.sin, torch.cos)]
        at = [(steps + first).flatten() for steps in (self._columns, self._columns, self._rows, self._rows)]
        sine_x, cosine_x, sine_y, cosine_y = (
            table.index_select(0, places) for table, places in zip(tables, at, strict=True)
        )
        sine = torch.addcmul(sine_x * cosine_y, cosine_x, sine_y)
        cosine = torch.addcmul(cosine_x * cosine_y, sine_x, sine_y, value=-1)
        return sine.unflatten(0, (images, -1)), cosine.unflatten(0, (images, -1))

    def waves(self, rotations: Float[Tensor, "b 3 3"]) -> Complex[Tensor, "b 2 w m"]:
        """The tables of e^{iφ} (b, 2, 2 r + 1, m) complex64 along x and along y, from −r to r."""
        along = rotations[:, :2] @ self._frequencies.T
        phases = self._reach[:, None] * along[:, :, None, :]
        return torch.polar(torch.ones_like(phases), phases)

    def features(
        self, waves: Complex[Tensor, "b 2 w m"], flips: Bool[Tensor, "b p"] | None
    ) -> Float[Tensor, "b q e"]:
        """Features cos φ_1, sin φ_1, cos φ_2, … (b, p, 2 m) float32 from the tables of some images.

        ``flips`` (b, p) marks points evaluated at −k; None: features at all k, then at all −k, (b, 2 p, 2 m).
        """
        images, _, reach, waves_each = waves.shape
        first = (torch.arange(images, device=waves.device) * reach + self._offset)[:, None]
        sign = 1 if flips is None else 1 - 2 * flips.long()
        along_x, along_y = (
            waves[:, axis].reshape(-1, waves_each).index_select(0, (steps * sign + first).flatten())
            for axis, steps in enumerate((self._columns, self._rows))
        )
        product = along_x.mul_(along_y).reshape(images, -1, waves_each)
        found = torch.view_as_real(product).flatten(2)
        if flips is not None:
            return found
        return torch.cat([found, torch.view_as_real(product.conj_physical()).flatten(2)], dim=1)

    def by_rotations(
        self, features: Float[Tensor, "b q e"], gradient: Float[Tensor, "b q e"], flips: Bool[Tensor, "b p"] | None
    ) -> Float[Tensor, "b 3 3"]:
        """Gradient by rotations, from that by ``features`` (in their layout); slices do not depend on the third row.

        A phase is ± (kx B u + ky B v), and its gradient cos φ ∂/∂sin φ − sin φ ∂/∂cos φ.
        """
        waves, by_waves = (torch.view_as_complex(each.unflatten(-1, (-1, 2))) for each in (features, gradient))
        by_phases = (waves.conj() * by_waves).imag
        steps = torch.stack([self._columns, self._rows]).to(by_phases) / self._box_size
        if flips is None:
            one, other = by_phases.chunk(2, dim=1)
            along = steps @ (one - other)
        else:
            along = torch.where(flips[:, None], -steps, steps) @ by_phases
        return torch.nn.functional.pad(along @ self._frequencies, (0, 0, 0, 1))

    def depths(self, rotations: Float[Tensor, "b 3 3"]) -> Float[Tensor, "b p"]:
        """(b, p) z coordinate of each point, in index units."""
        return self._columns * rotations[:, 0, 2:3] + self._rows * rotations[:, 1, 2:3]


def centred_points(radius: float, reach: int | None = None) -> Int[np.ndarray, "p 3"]:
    """(p, 3) integer (x, y, z) with x ≥ 0 and |k| ≤ radius: one of each Friedel pair, and the whole x = 0 plane.

    ``reach`` is the largest coordinate; None for all within the radius.
    """
    reach = int(np.floor(radius)) if reach is None else reach
    full = np.arange(-reach, reach + 1)
    z, y, x = np.meshgrid(full, full, np.arange(reach + 1), indexing="ij")
    inside = x**2 + y**2 + z**2 <= radius**2
    return np.stack([x[inside], y[inside], z[inside]], axis=1)
