"""Responsibilities of the classes, likelihood, and the sums for new volumes: one pass over the particles.

A particle's own noise is part of the volume it contributed to, so that volume explains it better than it should:
by a_p = γ c² / σ² · ⟨mask⟩ / (W + 1/Tτ²) of the noise at every entry p, since an inserted wave returns
masked. Its squared residual is too small by 2 a_p σ² to first order. Adding that back gives the score the particle
would have under a volume made without it; without the correction particles stay in their initial class.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from cryobench.imaging.accumulate import SliceAccumulator
from cryobench.imaging.class_scores import score_classes
from cryobench.imaging.grid import volume_to_fourier
from cryobench.methods.classification_3d.settings import Classification3DSettings
from cryobench.reconstruction.engine import Passes, Rows, Sums
from cryobench.reconstruction.images import PosedSpectra
from cryobench.reconstruction.statistics import ClassSums, disc_of, scale_batch

LEAST_SCALE, LARGEST_SCALE = 0.5, 2.0


@dataclass(frozen=True)
class Model:
    """K volumes with their populations, and the noise."""

    volumes: Tensor
    """(k, z, y, x) float32, in the box of the radius up to which they were estimated."""
    populations: np.ndarray
    """(k,) sum to 1."""
    noise: np.ndarray
    """(radius + 1,) power of the noise in each shell of the images, of the unnormalised transform."""
    leverage: np.ndarray
    """(r + 1, k) fraction of a particle's own noise in the volumes, per CTF²: ⟨mask⟩ · mean of 1 / (W + 1/Tτ²)."""


@dataclass(frozen=True)
class Memberships:
    """Class memberships of the particles."""

    posteriors: np.ndarray
    """(n, k) float32, the latest responsibilities."""
    held: np.ndarray
    """(n, k) float32, weight of each particle in the sums of which the volumes were made."""
    scales: np.ndarray
    """(n,) float32, mean 1."""

    @classmethod
    def from_posteriors(cls, posteriors: Float[np.ndarray, "n k"], scales: Float[np.ndarray, "n"]) -> "Memberships":
        """Memberships of particles that are in the volumes with their responsibilities as weights."""
        return cls(posteriors, posteriors, scales)


@dataclass(frozen=True)
class Outcome:
    """Result of a pass over all or some particles."""

    sums: SliceAccumulator
    """Sums over those particles, from which volumes are made."""
    posteriors: np.ndarray
    """(n, k) float32 under the model of the pass; rows of particles left out are zero."""
    scales: np.ndarray
    """(n,) float32; unchanged for particles left out."""
    objective: float
    """Leave-one-out log-likelihood of those particles under that model minus noise alone, up to the radius."""
    noise: np.ndarray
    """(radius + 1,) power of the noise; in shells that were not compared, power of the images."""


def compare(
    passes: Passes,
    model: Model,
    members: Memberships,
    settings: Classification3DSettings,
    *,
    radius: int,
    reach: int,
    chosen: Bool[np.ndarray, "n"],
) -> Outcome:
    """Responsibilities of the ``chosen`` particles up to ``radius``, and the resulting sums up to ``reach``."""
    own = (members.held, members.scales, chosen)
    sums, rows = passes.run(_compare, model, settings, radius, reach, own=own)
    alone, used = passes.mean_power[: radius + 1], model.noise[: radius + 1]
    weights = int(chosen.sum()) * passes.disc.shell_weights[: radius + 1]
    noise = passes.mean_power.copy()
    # The noise is at least a thousandth of the power, so that data without noise stay finite.
    noise[: radius + 1] = np.maximum((sums["power"] + sums["change"]) / weights, 1e-3 * alone)
    gain = float((sums["power"] * (1 / used - 1 / alone) + weights * np.log(used / alone)).sum())
    return Outcome(sums["sums"], rows["posteriors"], rows["scales"], sums["likelihood"] - gain, noise)


def _compare(
    spectra: PosedSpectra,
    model: Model,
    settings: Classification3DSettings,
    radius: int,
    reach: int,
    held: Float[np.ndarray, "n k"],
    scales: Float[np.ndarray, "n"],
    chosen: Bool[np.ndarray, "n"],
) -> tuple[Sums, Rows]:
    device, n_classes = spectra.device, len(model.populations)
    volume_ft = volume_to_fourier(model.volumes.to(device))
    disc = disc_of(volume_ft.box_size)
    sums = ClassSums(spectra, n_classes, model.noise, reach=reach, threshold=settings.posterior_threshold)
    posteriors = np.zeros((len(spectra), n_classes), dtype=np.float32)
    found = scales.copy()
    inverse = torch.from_numpy(1 / model.noise[: radius + 1]).to(device)
    log_populations = torch.from_numpy(np.log(np.maximum(model.populations, 1e-30))).to(device)
    leverage = torch.from_numpy(model.leverage[: radius + 1]).to(device)
    likelihood, power, change = 0.0, np.zeros(radius + 1), np.zeros(radius + 1)
    for batch in spectra.batches(chosen):
        used = scale_batch(batch, scales)
        belonged = torch.from_numpy(held[batch.indices]).to(device).double()
        belonged = torch.where(belonged >= settings.posterior_threshold, belonged, 0)
        own_noise = used.ctf_power[:, : radius + 1, None] * leverage * belonged[:, None, :]
        scores = score_classes(volume_ft, used.data, used.ctf, used.rotations, disc, radius).double() + 2 * own_noise
        logits = log_populations - torch.einsum("nsk,s->nk", scores, inverse)
        likelihood += float(torch.logsumexp(logits, dim=1).sum())
        probable = torch.softmax(logits, dim=1)
        change += torch.einsum("nsk,nk->s", scores, probable).cpu().numpy()
        power += batch.power[:, : radius + 1].sum(0).cpu().numpy()
        if settings.fit_scale:
            silent = torch.zeros_like(used.data)
            squares = score_classes(volume_ft, silent, used.ctf, used.rotations, disc, radius).double()
            factors = _fit_factors(scores, squares, probable, inverse).cpu().numpy()
            found[batch.indices] = np.clip(scales[batch.indices] * factors, LEAST_SCALE, LARGEST_SCALE)
        if settings.hard_classification:
            probable = torch.nn.functional.one_hot(probable.argmax(dim=1), n_classes)
        own = probable.float()
        posteriors[batch.indices] = own.cpu().numpy()
        sums.add(used, own)
    totals = {"sums": sums.sums, "likelihood": likelihood, "power": power, "change": change}
    return totals, {"posteriors": posteriors, "scales": found}


def _fit_factors(
    scores: Float[Tensor, "m s k"],
    squares: Float[Tensor, "m s k"],
    probable: Float[Tensor, "m k"],
    inverse: Float[Tensor, "s"],
) -> Float[Tensor, "m"]:
    """Factors by which the scales should change: ⟨y, c V⟩ / |c V|², over classes and shells.

    ``scores`` are |c V|² − 2 ⟨y, c V⟩ without the contribution of the particle's own noise to the second term.
    """
    predicted = torch.einsum("nsk,nk,s->n", squares, probable, inverse)
    matched = torch.einsum("nsk,nk,s->n", (squares - scores) / 2, probable, inverse)
    return torch.where(predicted > 0, matched / predicted.clamp(min=1e-30), 1.0).float()
