"""The expectation step, and the sums for the next components, in one pass over the particles.

With A_i = [C_i P_i V_k] and m_i = C_i P_i μ at the entries of the half-disc, whitened by the noise, the latents z_i
and the scale α_i of a particle maximise

    −Σ w |y_i − α_i (m_i + A_i z_i)|² / σ² − λ |z_i|² / 2 :
    (α² G + λ) z = α (A* y − α A* m),   α = Re ⟨m + A z, y⟩ / |m + A z|²,   G = A* A,

where z is in units of its standard deviation, so that λ = 1 would be the prior of probabilistic PCA and λ = 0.01
is close to least squares. The two equations are solved alternately. The part of the noise of shell s absorbed by a
fit of z, tr[(α² G + λ)⁻¹ G_s], is summed too: without it the noise would be underestimated.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from cryobench._threads import count_threads, run_parts
from cryobench.imaging.grid import FourierVolume
from cryobench.imaging.half_disc import HalfDisc
from cryobench.imaging.kernels.cpu.linear_fit import HIGHEST, LOWEST, ROUNDS, compile_linear_fit
from cryobench.imaging.moments import MomentAccumulator
from cryobench.reconstruction.engine.passes import Rows, Sums
from cryobench.reconstruction.images import Posed, PosedSpectra, predict_images


@dataclass(frozen=True)
class VariabilityModel:
    """Mean and components, ready for slicing, and the noise of the comparison."""

    volumes: FourierVolume
    """Stack of the mean and the K components, each times the standard deviation of its latent."""
    noise: np.ndarray
    """(radius + 1,) power of the noise in each shell, of the unnormalised transform."""
    ridge: float
    """λ."""
    fits_scale: bool
    """Whether a scale is fitted to each particle."""

    @property
    def n_components(self) -> int:
        """K."""
        return self.volumes.n_volumes - 1


@dataclass(frozen=True)
class Fit:
    """Fit of some particles."""

    latents: Tensor
    """(m, k) float64, in standard deviations."""
    precisions: Tensor
    """(m, k, k) float64: α² G + λ."""
    scales: Tensor
    """(m,) float64 α."""
    power: np.ndarray
    """(radius + 1,) Σ w |y − α (m + A z)|² of each shell, over all of them."""
    leverage: np.ndarray
    """(radius + 1,) real degrees of freedom of the latents in each shell."""
    numerator: Tensor
    """(m, y, h) C (y − α (m + A z)) / σ², to insert."""
    weight: Tensor
    """(m, y, h) C² / σ², to insert."""


def fit_particles(batch: Posed, scales: Float[Tensor, "m"], model: VariabilityModel, disc: HalfDisc) -> Fit:
    """Latents and scales of particles, from initial scales; ``disc`` is that of the model's box."""
    body = _fit_compiled if batch.data.device.type == "cpu" else fit_by_slices
    return body(batch, scales, model, disc)


def _fit_compiled(batch: Posed, scales: Float[Tensor, "m"], model: VariabilityModel, disc: HalfDisc) -> Fit:
    n, k, size = len(batch), model.n_components, disc.box_size
    layout, values = model.volumes.layout, model.volumes.values.contiguous()
    kernel = compile_linear_fit(k)
    latents, precisions = np.zeros((n, k)), np.zeros((n, k, k))
    found = scales.double().numpy().copy()
    numerator = np.zeros((n, size * (size // 2 + 1)), dtype=np.complex64)
    weight = np.zeros((n, size * (size // 2 + 1)), dtype=np.float32)
    bounds = np.linspace(0, n, min(4 * count_threads(), n) + 1).astype(int)
    power, leverage = np.zeros((2, len(bounds) - 1, disc.radius + 1))
    common = (
        torch.view_as_real(values).numpy().reshape(-1),
        batch.rotations.numpy(),
        (disc.frequencies * layout.padding).astype(np.float32),
        torch.view_as_real(batch.data).numpy(),
        batch.ctf.numpy(),
        disc.weights,
        disc.spread(1 / model.noise, "cpu").numpy(),
        disc.shells,
        layout.center,
        layout.center_x,
        layout.shape[1] * layout.shape[2],
        layout.shape[2],
        model.ridge,
        model.fits_scale,
        found,
        latents,
        precisions,
    )
    target = (disc.index, disc.multiples, numerator.view(np.float32).reshape(n, -1, 2), weight)
    run_parts(
        lambda part, first, last: kernel(*common, power[part], leverage[part], *target, first, last),
        [(part, *ends) for part, ends in enumerate(pairwise(bounds))],
    )
    shape = (n, size, size // 2 + 1)
    return Fit(
        torch.from_numpy(latents),
        torch.from_numpy(precisions),
        torch.from_numpy(found),
        power.sum(axis=0),
        leverage.sum(axis=0),
        torch.from_numpy(numerator).reshape(shape),
        torch.from_numpy(weight).reshape(shape),
    )


def fit_by_slices(batch: Posed, scales: Float[Tensor, "m"], model: VariabilityModel, disc: HalfDisc) -> Fit:
    """The same from extracted slices: for any device, and as the reference in tests of the kernel."""
    device, k = batch.data.device, model.n_components
    predicted = predict_images(model.volumes, batch, disc)
    inverse = disc.spread(1 / model.noise, device)
    entry_weights = 2 * torch.from_numpy(disc.weights).to(device) * inverse
    planar = torch.view_as_real(predicted).flatten(2)
    weighted = torch.view_as_real(predicted * entry_weights).flatten(2)
    gram = (weighted @ planar.mT).double()
    match = (weighted @ torch.view_as_real(batch.data).flatten(1)[..., None])[..., 0].double()
    scale, latents = scales.to(device).double(), torch.zeros(len(scales), k, dtype=torch.float64, device=device)
    precisions = torch.zeros(len(scales), k, k, dtype=torch.float64, device=device)
    ridge = model.ridge * torch.eye(k, dtype=torch.float64, device=device)
    for turn in range(ROUNDS if model.fits_scale else 1):
        if turn > 0:
            extended = torch.cat([torch.ones_like(latents[:, :1]), latents], dim=1)
            top = (extended * match).sum(1)
            bottom = torch.einsum("na,nab,nb->n", extended, gram, extended)
            scale = torch.where(bottom > 0, (top / bottom.clamp(min=1e-300)).clamp(LOWEST, HIGHEST), 1.0)
        precisions = scale[:, None, None] ** 2 * gram[:, 1:, 1:] + ridge
        target = scale[:, None] * (match[:, 1:] - scale[:, None] * gram[:, 0, 1:])
        latents = torch.linalg.solve(precisions, target)
    gain = scale.float()[:, None]
    left = batch.data - gain * predicted[:, 0]
    residual = left - gain * (latents.float()[:, None].to(predicted.dtype) @ predicted[:, 1:])[:, 0]
    covariance = torch.linalg.inv(precisions).float()
    parts = torch.view_as_real(predicted[:, 1:])
    share = torch.einsum("nkpc,nkl,nlpc->np", parts, covariance, parts) * gain**2
    # ``sum_shells`` weights each entry by w; twice that is the number of real dimensions of an entry and its mate.
    scaled = batch.ctf * inverse
    return Fit(
        latents,
        precisions,
        scale,
        disc.sum_shells(residual.abs().square()).sum(0).cpu().numpy(),
        disc.sum_shells(2 * share * inverse).sum(0).cpu().numpy(),
        disc.unpack(scaled * residual),
        disc.unpack(scaled * batch.ctf),
    )


def second_moments(latents: Float[Tensor, "m k"]) -> Float[Tensor, "m k*(k+1)//2"]:
    """Products z_k z_l (m, k (k + 1) / 2) for k ≤ l, row by row of the upper triangle."""
    first, second = torch.triu_indices(latents.shape[1], latents.shape[1])
    return latents[:, first] * latents[:, second]


def fit_and_sum(spectra: PosedSpectra, model: VariabilityModel, scales: Float[np.ndarray, "n"]) -> tuple[Sums, Rows]:
    """One pass of both steps over a shard: latents and scales, and the sums of the normal equations of V."""
    return _pass(spectra, model, scales, sums=True)


def fit_only(spectra: PosedSpectra, model: VariabilityModel, scales: Float[np.ndarray, "n"]) -> tuple[Sums, Rows]:
    """The expectation step only, with the precision of every latent."""
    return _pass(spectra, model, scales, sums=False)


def _pass(
    spectra: PosedSpectra, model: VariabilityModel, scales: Float[np.ndarray, "n"], *, sums: bool
) -> tuple[Sums, Rows]:
    k, n = model.n_components, len(spectra)
    disc = HalfDisc(model.volumes.box_size, spectra.disc.radius)
    totals = MomentAccumulator(
        disc.box_size, n_numerators=k, n_weights=k * (k + 1) // 2, radius=disc.radius, device=spectra.device
    )
    latents, found = np.empty((n, k)), np.empty(n)
    precisions = np.empty((n if not sums else 0, k, k))
    power, leverage = np.zeros(disc.radius + 1), np.zeros(disc.radius + 1)
    for batch in spectra.batches():
        fit = fit_particles(batch, torch.from_numpy(scales[batch.indices]), model, disc)
        latents[batch.indices] = fit.latents.cpu().numpy()
        found[batch.indices] = fit.scales.cpu().numpy()
        power += fit.power
        leverage += fit.leverage
        if not sums:
            precisions[batch.indices] = fit.precisions.cpu().numpy()
            continue
        seen = (fit.scales[:, None] * fit.latents).float()
        totals.add(
            fit.numerator,
            fit.weight,
            batch.rotations,
            numerator_factors=seen,
            weight_factors=second_moments(seen),
        )
    rows = {"latents": latents, "scales": found}
    if not sums:
        return {"power": power, "leverage": leverage}, rows | {"precisions": precisions}
    return {"power": power, "leverage": leverage, "moments": totals}, rows
