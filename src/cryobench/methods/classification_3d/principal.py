"""Principal volumes of the particles at low resolution, and the particles' coordinates along them.

The principal volumes V_j of y_i = C_i P_i (μ + Σ_j z_ij V_j) + ε_i are found by subspace iteration from random subset
differences,

    z_i = (G_i + I)⁻¹ b_i,    G_i = Re ⟨C P V_j, C P V_l⟩ / σ²,    b_i = Re ⟨C P V_j, y_i − C P μ⟩ / σ²
    V_j = Σ_i z'_ij P*(C (y_i − C P μ) / σ²) / Σ_i P*(C² / σ²),    z' = z whitened over the particles

(probabilistic PCA with the second moments of z taken as independent of the pose), in a box cut to the radius.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cryobench._progress import Progress, Silent
from cryobench.imaging.accumulate import SliceAccumulator
from cryobench.imaging.grid import FourierVolume, fourier_to_volume, volume_to_fourier
from cryobench.imaging.moments import MomentAccumulator
from cryobench.imaging.slices import extract_slices
from cryobench.methods._shared.backprojection import regularise
from cryobench.methods._shared.passes import Passes, Rows, Sums
from cryobench.methods._shared.spectra import HalfDisc, Packed, ParticleSpectra
from cryobench.methods.classification_3d.volumes import largest_sphere
from cryobench.rng import stream

ROUNDS = 6
_DAMPING = 0.1


@dataclass(frozen=True)
class _Frame:
    """What the coordinates are relative to."""

    radius: int
    noise: np.ndarray
    """(radius + 1,)."""
    mean: FourierVolume | None = None

    @property
    def disc(self) -> HalfDisc:
        return HalfDisc(2 * self.radius + 2, self.radius)


def principal_coordinates(
    passes: Passes, n_components: int, radius: int, seed: int, *, progress: Progress | None = None
) -> np.ndarray:
    """Coordinates (n, d) of the particles along the principal volumes up to ``radius``, see above.

    Scaled so that the squared distance of two particles is the mean of the squared difference of their images
    over the noise power.
    """
    sphere = largest_sphere(2 * radius + 2).to(passes.device)
    frame = _find_frame(passes, radius, sphere)
    coordinates = stream(seed, "principal volumes").standard_normal((len(passes), n_components)).astype(np.float32)
    gram = np.eye(n_components)
    with (progress or Silent()).task("principal volumes", total=ROUNDS + 2) as task:
        sums, _ = passes.run(_insert_coordinates, frame, own=(coordinates,))
        volumes = _solve(sums, len(passes), sphere)
        task.advance()
        for last in [False] * ROUNDS + [True]:
            sums, rows = passes.run(_project, frame, volumes, not last)
            coordinates, gram = rows["coordinates"], (sums["gram"] / len(passes)).numpy()
            volumes = volumes if last else _solve(sums, len(passes), sphere)
            task.advance()
    return coordinates @ np.linalg.cholesky(gram + 1e-6 * np.trace(gram) * np.eye(len(gram))).astype(np.float32)


def _find_frame(passes: Passes, radius: int, sphere: Tensor) -> _Frame:
    """Mean and noise: once with the power of the images for that of the noise, then with what the mean leaves."""
    noise = least = passes.mean_power[: radius + 1]
    weights = len(passes) * HalfDisc(2 * radius + 2, radius).shell_weights
    mean = None
    for _ in range(2):
        sums, _ = passes.run(_insert_mean, _Frame(radius, noise))
        mean = volume_to_fourier(fourier_to_volume(regularise(*sums["sums"].totals())) * sphere)
        sums, _ = passes.run(_leave_over, _Frame(radius, noise, mean))
        noise = np.maximum(sums["power"] / weights, 1e-3 * least)
    return _Frame(radius, noise, mean)


class _Parts:
    """Particles of a share on the small disc."""

    def __init__(self, spectra: ParticleSpectra, frame: _Frame) -> None:
        self.disc, self.device, self.mean = frame.disc, spectra.device, frame.mean
        inside = (spectra.disc.frequencies**2).sum(axis=1) <= frame.radius**2
        self._inside = torch.from_numpy(np.flatnonzero(inside)).to(self.device)
        self._index = torch.from_numpy(self.disc.index).to(self.device)
        self.inverse = torch.from_numpy((1 / frame.noise)[self.disc.shells]).float().to(self.device)

    def cut(self, packed: Packed) -> tuple[Tensor, Tensor]:
        """Data and CTF of a batch."""
        return packed.data[:, self._inside], packed.ctf[:, self._inside]

    def slices(self, volume_ft: FourierVolume, rotations: Tensor) -> Tensor:
        """Packed slices (m, p) or (m, k, p)."""
        return extract_slices(volume_ft, rotations).flatten(-2)[..., self._index]

    def residual(self, packed: Packed) -> tuple[Tensor, Tensor]:
        """What the mean leaves of a batch, and its CTF."""
        data, ctf = self.cut(packed)
        assert self.mean is not None
        return data - ctf * self.slices(self.mean, packed.rotations), ctf

    def new_sums(self, n_components: int) -> MomentAccumulator:
        return MomentAccumulator(
            self.disc.box_size, n_numerators=n_components, n_weights=1, radius=self.disc.radius, device=self.device
        )

    def add(self, sums: MomentAccumulator, residual: Tensor, ctf: Tensor, rotations: Tensor, own: Tensor) -> None:
        """Add residuals times coordinates ``own`` (m, d)."""
        scaled = ctf * self.inverse
        numerator, weight = self.disc.unpack(scaled * residual), self.disc.unpack(scaled * ctf)
        ones = torch.ones(len(own), 1, device=self.device)
        sums.add(numerator, weight, rotations, numerator_factors=own, weight_factors=ones)


def _insert_mean(spectra: ParticleSpectra, frame: _Frame) -> tuple[Sums, Rows]:
    parts = _Parts(spectra, frame)
    sums = SliceAccumulator(parts.disc.box_size, device=spectra.device)
    for packed in spectra.batches():
        data, ctf = parts.cut(packed)
        scaled = ctf * parts.inverse
        sums.add(parts.disc.unpack(scaled * data), parts.disc.unpack(scaled * ctf), packed.rotations)
    return {"sums": sums}, {}


def _leave_over(spectra: ParticleSpectra, frame: _Frame) -> tuple[Sums, Rows]:
    """Power of what the mean leaves of the particles, shell by shell."""
    parts, total = _Parts(spectra, frame), np.zeros(frame.radius + 1)
    for packed in spectra.batches():
        total += parts.disc.sum_shells(parts.residual(packed)[0].abs().square()).sum(0).cpu().numpy()
    return {"power": total}, {}


def _insert_coordinates(spectra: ParticleSpectra, frame: _Frame, coordinates: np.ndarray) -> tuple[Sums, Rows]:
    """Sums for principal volumes from given coordinates (n, d)."""
    parts, d = _Parts(spectra, frame), coordinates.shape[1]
    sums, moment = parts.new_sums(d), torch.zeros(d, d, dtype=torch.float64)
    for packed in spectra.batches():
        own = torch.from_numpy(coordinates[packed.indices]).to(spectra.device)
        parts.add(sums, *parts.residual(packed), packed.rotations, own)
        moment += (own.T @ own).double().cpu()
    return {"values": sums.values, "moment": moment}, {}


def _project(spectra: ParticleSpectra, frame: _Frame, volumes: FourierVolume, insert: bool) -> tuple[Sums, Rows]:
    """Coordinates under given volumes, the sum of the Gram matrices of their images, and, with ``insert``, the sums
    and second moments from which the next volumes follow."""
    parts, d = _Parts(spectra, frame), volumes.n_volumes
    coordinates = np.empty((len(spectra), d), dtype=np.float32)
    gram_total, moment = torch.zeros(d, d, dtype=torch.float64), torch.zeros(d, d, dtype=torch.float64)
    sums = parts.new_sums(d)
    # In the log-likelihood an entry and its mate count together: twice the real inner product.
    scale = 2 * torch.from_numpy(parts.disc.weights).to(spectra.device) * parts.inverse
    assert frame.mean is not None
    # Mean and principal volumes in one gather.
    together = volumes.with_values(torch.cat([frame.mean.values[..., None], volumes.values], dim=-1).contiguous())
    for packed in spectra.batches():
        data, ctf = parts.cut(packed)
        predicted = parts.slices(together, packed.rotations) * ctf[:, None]
        residual, images = data - predicted[:, 0], predicted[:, 1:]
        weighted = torch.view_as_real(images * scale).flatten(-2)
        gram = weighted @ torch.view_as_real(images).flatten(-2).mT
        match = weighted @ torch.view_as_real(residual).flatten(-2)[..., None]
        own = torch.linalg.solve(gram + torch.eye(d, device=spectra.device), match)[..., 0]
        coordinates[packed.indices] = own.cpu().numpy()
        gram_total += gram.double().sum(0).cpu()
        moment += (own.T @ own).double().cpu()
        if insert:
            parts.add(sums, residual, ctf, packed.rotations, own)
    return {"values": sums.values, "moment": moment, "gram": gram_total}, {"coordinates": coordinates}


def _solve(sums: dict, n: int, sphere: Tensor) -> FourierVolume:
    """Principal volumes of whitened coordinates, from sums over coordinates and their second moments."""
    moment, d = sums["moment"], len(sums["moment"])
    totals = MomentAccumulator(sphere.shape[-1], n_numerators=d, n_weights=1, device=sphere.device)
    totals.values = sums["values"]
    numerator, weight = totals.totals()
    count = weight.multiplicities()
    shells = weight.shell_indices().flatten()
    number = torch.zeros(int(shells.max()) + 1, device=sphere.device).index_add_(0, shells, count.flatten())
    summed = torch.zeros_like(number).index_add_(0, shells, (weight.values[..., 0] * count).flatten())
    typical = (summed / number.clamp(min=1))[shells].reshape(count.shape)
    denominator = weight.values + _DAMPING * typical[..., None]
    values = torch.where(denominator > 0, numerator.values / denominator.clamp(min=1e-30), 0)
    moment = moment / n
    jitter = 1e-6 * moment.trace() * torch.eye(d, dtype=moment.dtype)
    # Z' = Z L⁻ᵀ has ZᵀZ / n = 1; the sums Σ z' … are the given ones times L⁻ᵀ.
    whitening = torch.linalg.inv(torch.linalg.cholesky(moment + jitter)).T
    values = values @ whitening.to(values.device, values.dtype)
    return volume_to_fourier(fourier_to_volume(numerator.with_values(values)) * sphere)
