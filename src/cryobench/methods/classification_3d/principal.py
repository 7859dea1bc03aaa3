"""Principal volumes of the particles at low resolution, and the particles' coordinates along them.

The principal volumes V_j of y_i = C_i P_i (μ + Σ_j z_ij V_j) + ε_i are found by subspace iteration from random subset
differences,

    z_i = (G_i + I)⁻¹ b_i,    G_i = Re ⟨C P V_j, C P V_l⟩ / σ²,    b_i = Re ⟨C P V_j, y_i − C P μ⟩ / σ²
    V_j = Σ_i z'_ij P*(C (y_i − C P μ) / σ²) / Σ_i P*(C² / σ²),    z' = z whitened over the particles

(probabilistic PCA with the second moments of z taken as independent of the pose), in a box cut to the radius of the
spectra.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from cryobench._progress import Progress, Silent
from cryobench.imaging.grid import FourierVolume, fourier_to_volume, volume_to_fourier
from cryobench.imaging.half_disc import HalfDisc
from cryobench.imaging.moments import MomentAccumulator
from cryobench.reconstruction.engine import Passes, Rows, Sums
from cryobench.reconstruction.images import Posed, PosedSpectra, predict_images, subtract_volume
from cryobench.reconstruction.statistics import ClassSums, solve_volumes
from cryobench.rng import stream
from cryobench.volumes.mask import make_largest_sphere

ROUNDS = 6
_DAMPING = 0.1


@dataclass(frozen=True)
class _Frame:
    """Reference of the coordinates."""

    radius: int
    noise: np.ndarray
    """(radius + 1,)."""
    mean: FourierVolume | None = None

    @cached_property
    def disc(self) -> HalfDisc:
        """Half-disc of the box cut to the radius."""
        return HalfDisc(2 * self.radius + 2, self.radius)


def principal_coordinates(
    passes: Passes, n_components: int, seed: int, *, progress: Progress | None = None
) -> Float[np.ndarray, "n d"]:
    """Coordinates (n, d) of the particles along the principal volumes up to the radius of the passes, see the module.

    Scaled so that the squared distance of two particles is the mean squared difference of their images
    over the noise power.
    """
    sphere = make_largest_sphere(2 * passes.disc.radius + 2).to(passes.device)
    frame = _find_frame(passes, sphere)
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


def _find_frame(passes: Passes, sphere: Float[Tensor, "z y x"]) -> _Frame:
    """Mean and noise: first with the power of the images as that of the noise, then with that of the residuals."""
    frame = _Frame(passes.disc.radius, passes.mean_power)
    least, weights = 1e-3 * frame.noise, len(passes) * frame.disc.shell_weights
    for _ in range(2):
        sums, _ = passes.run(_insert_mean, frame)
        frame = replace(frame, mean=volume_to_fourier(solve_volumes(sums["sums"], mask=sphere)[0])[0])
        sums, _ = passes.run(_leave_over, frame)
        frame = replace(frame, noise=np.maximum(sums["power"] / weights, least))
    return frame


class _Cut:
    """Particles of a shard in the small box: their spectra are the same on its half-disc."""

    def __init__(self, spectra: PosedSpectra, frame: _Frame) -> None:
        self.disc, self.device, self._mean, self._spectra = frame.disc, spectra.device, frame.mean, spectra
        self.inverse = frame.disc.spread(1 / frame.noise, self.device)

    def batches(self) -> Iterator[Posed]:
        """Batches of all particles."""
        return self._spectra.batches()

    def residuals(self) -> Iterator[Posed]:
        """Batches of all particles minus the mean."""
        assert self._mean is not None
        for batch in self.batches():
            yield subtract_volume(batch, self._mean, self.disc)

    def new_sums(self, n_components: int) -> MomentAccumulator:
        """Empty sums for principal volumes."""
        return MomentAccumulator(
            self.disc.box_size, n_numerators=n_components, n_weights=1, radius=self.disc.radius, device=self.device
        )

    def add(self, sums: MomentAccumulator, residual: Posed, own: Float[Tensor, "m d"]) -> None:
        """Add residuals times coordinates ``own``."""
        scaled = residual.ctf * self.inverse
        numerator, weight = self.disc.unpack(scaled * residual.data), self.disc.unpack(scaled * residual.ctf)
        ones = torch.ones(len(own), 1, device=self.device)
        sums.add(numerator, weight, residual.rotations, numerator_factors=own, weight_factors=ones)


def _insert_mean(spectra: PosedSpectra, frame: _Frame) -> tuple[Sums, Rows]:
    cut = _Cut(spectra, frame)
    sums = ClassSums(cut, 1, frame.noise)
    for batch in cut.batches():
        sums.add(batch, torch.ones(len(batch), 1, device=spectra.device))
    return {"sums": sums.sums}, {}


def _leave_over(spectra: PosedSpectra, frame: _Frame) -> tuple[Sums, Rows]:
    """Power of the particles' residuals from the mean, shell by shell."""
    cut, total = _Cut(spectra, frame), np.zeros(frame.radius + 1)
    for residual in cut.residuals():
        total += cut.disc.shell_power(residual.data).sum(0).cpu().numpy()
    return {"power": total}, {}


def _insert_coordinates(
    spectra: PosedSpectra, frame: _Frame, coordinates: Float[np.ndarray, "n d"]
) -> tuple[Sums, Rows]:
    """Sums for principal volumes from given coordinates."""
    cut, d = _Cut(spectra, frame), coordinates.shape[1]
    sums, moment = cut.new_sums(d), torch.zeros(d, d, dtype=torch.float64)
    for residual in cut.residuals():
        own = torch.from_numpy(coordinates[residual.indices]).to(spectra.device)
        cut.add(sums, residual, own)
        moment += (own.T @ own).double().cpu()
    return {"values": sums.values, "moment": moment}, {}


def _project(spectra: PosedSpectra, frame: _Frame, volumes: FourierVolume, insert: bool) -> tuple[Sums, Rows]:
    """Coordinates under given volumes, the sum of the Gram matrices of their images, and, with ``insert``, the sums
    and second moments for the next volumes."""
    cut, d = _Cut(spectra, frame), volumes.n_volumes
    coordinates = np.empty((len(spectra), d), dtype=np.float32)
    gram_total, moment = torch.zeros(d, d, dtype=torch.float64), torch.zeros(d, d, dtype=torch.float64)
    sums = cut.new_sums(d)
    # In the log-likelihood an entry and its mate count together: twice the real inner product.
    scale = 2 * torch.from_numpy(cut.disc.weights).to(spectra.device) * cut.inverse
    assert frame.mean is not None
    # Mean and principal volumes in one gather.
    together = volumes.with_values(torch.cat([frame.mean.values[..., None], volumes.values], dim=-1).contiguous())
    for batch in cut.batches():
        predicted = predict_images(together, batch, cut.disc)
        residual, images = replace(batch, data=batch.data - predicted[:, 0]), predicted[:, 1:]
        weighted = torch.view_as_real(images * scale).flatten(-2)
        gram = weighted @ torch.view_as_real(images).flatten(-2).mT
        match = weighted @ torch.view_as_real(residual.data).flatten(-2)[..., None]
        own = torch.linalg.solve(gram + torch.eye(d, device=spectra.device), match)[..., 0]
        coordinates[batch.indices] = own.cpu().numpy()
        gram_total += gram.double().sum(0).cpu()
        moment += (own.T @ own).double().cpu()
        if insert:
            cut.add(sums, residual, own)
    return {"values": sums.values, "moment": moment, "gram": gram_total}, {"coordinates": coordinates}


def _solve(sums: dict, n: int, sphere: Float[Tensor, "z y x"]) -> FourierVolume:
    """Principal volumes of whitened coordinates, from sums over coordinates and their second moments."""
    moment, d = sums["moment"], len(sums["moment"])
    totals = MomentAccumulator(sphere.shape[-1], n_numerators=d, n_weights=1, device=sphere.device)
    totals.values = sums["values"]
    numerator, weight = totals.totals()
    denominator = weight.values + _DAMPING * weight.spread_shells(weight.shell_means())
    values = torch.where(denominator > 0, numerator.values / denominator.clamp(min=1e-30), 0)
    moment = moment / n
    jitter = 1e-6 * moment.trace() * torch.eye(d, dtype=moment.dtype)
    # Z' = Z L⁻ᵀ has ZᵀZ / n = 1; the sums Σ z' … are the given ones times L⁻ᵀ.
    whitening = torch.linalg.inv(torch.linalg.cholesky(moment + jitter)).T
    values = values @ whitening.to(values.device, values.dtype)
    return volume_to_fourier(fourier_to_volume(numerator.with_values(values)) * sphere)
