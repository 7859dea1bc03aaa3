"""The two halves of an iteration: posteriors of the particles, and what the posteriors make of the volumes.

A particle's own noise is part of the volume it was added to, so that volume explains it better than it should:
by a_p = γ c² / σ² · ⟨mask⟩ / (W + 1/Tτ²) of the noise at every entry p, since a wave that was inserted comes back
masked. Its squared residual is short of 2 a_p σ² to first order. Adding that back gives the score the particle
would have under the volume made without it; without that correction particles stay in whatever class they start.

Everything here is work on a share of the particles, in the sense of ``_shared.passes``.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cryobench.imaging.accumulate import SliceAccumulator
from cryobench.imaging.grid import FourierVolume
from cryobench.methods._shared.class_scores import score_classes
from cryobench.methods._shared.passes import Passes, Rows, Sums
from cryobench.methods._shared.spectra import Packed, ParticleSpectra
from cryobench.methods.classification_3d.volumes import Model, disc_of, small_box, stack_spectra

LEAST_SCALE, LARGEST_SCALE = 0.5, 2.0


@dataclass(frozen=True)
class Options:
    """How a pass is made."""

    reach: int
    """Radius up to which sums for volumes are made."""
    threshold: float = 1e-3
    """Class probabilities below it add nothing."""
    hard: bool = False
    """Whether a particle goes to its most probable class alone."""
    fit_scale: bool = False
    """Whether each particle's scale is fitted."""


@dataclass(frozen=True)
class Memberships:
    """Where the particles are."""

    posteriors: np.ndarray
    """(n, k) float32, the last found."""
    held: np.ndarray
    """(n, k) float32, how much of each particle is in the sums that the volumes were made of."""
    scales: np.ndarray
    """(n,) float32, mean 1."""

    @classmethod
    def from_posteriors(cls, posteriors: np.ndarray, scales: np.ndarray) -> "Memberships":
        """Of particles that are in the volumes just as their posteriors say."""
        return cls(posteriors, posteriors, scales)


@dataclass(frozen=True)
class Outcome:
    """What a pass over all or some particles found."""

    sums: SliceAccumulator
    """Of those particles, to make volumes of."""
    posteriors: np.ndarray
    """(n, k) float32 under the model that the pass was given; rows of particles left out are zero."""
    scales: np.ndarray
    """(n,) float32; of particles left out as before."""
    objective: float
    """Leave-one-out log-likelihood of that model minus that of noise alone, up to the radius, of those particles."""
    noise: np.ndarray
    """(radius + 1,) power of the noise, of the images in shells that were not looked at."""


def compare(
    passes: Passes, model: Model, members: Memberships, options: Options, radius: int, chosen: np.ndarray
) -> Outcome:
    """Posteriors of the ``chosen`` (n,) particles up to ``radius``, and the sums for new volumes they give."""
    own = (members.held, members.scales, chosen)
    sums, rows = passes.run(_compare, model, passes.mean_power, options, radius, own=own)
    alone, used = passes.mean_power[: radius + 1], model.noise[: radius + 1]
    weights = int(chosen.sum()) * passes.disc.shell_weights[: radius + 1]
    noise = passes.mean_power.copy()
    # The noise is never estimated to be less than a thousandth of the power: data without noise stay finite.
    noise[: radius + 1] = np.maximum((sums["power"] + sums["change"]) / weights, 1e-3 * alone)
    gain = float((sums["power"] * (1 / used - 1 / alone) + weights * np.log(used / alone)).sum())
    return Outcome(sums["sums"], rows["posteriors"], rows["scales"], sums["likelihood"] - gain, noise)


def add_up(
    passes: Passes,
    posteriors: np.ndarray,
    scales: np.ndarray,
    noise: np.ndarray,
    options: Options,
    chosen: np.ndarray,
) -> SliceAccumulator:
    """Sums for volumes of the ``chosen`` (n,) particles divided by class probabilities (n, k)."""
    return passes.run(_add_up, noise, options, own=(posteriors, scales, chosen))[0]["sums"]


def _add_up(
    spectra: ParticleSpectra,
    noise: np.ndarray,
    options: Options,
    posteriors: np.ndarray,
    scales: np.ndarray,
    chosen: np.ndarray,
) -> tuple[Sums, Rows]:
    """Work of ``add_up``."""
    sums = _ClassSums(spectra, posteriors.shape[1], noise, options)
    for packed in spectra.batches(chosen):
        own = torch.from_numpy(posteriors[packed.indices])
        sums.add(_scale(packed, scales, spectra.device), own.to(spectra.device))
    return {"sums": sums.sums}, {}


def _compare(
    spectra: ParticleSpectra,
    model: Model,
    mean_power: np.ndarray,
    options: Options,
    radius: int,
    held: np.ndarray,
    scales: np.ndarray,
    chosen: np.ndarray,
) -> tuple[Sums, Rows]:
    """Work of ``compare``."""
    device, n_classes = spectra.device, len(model.populations)
    volume_ft = stack_spectra(model.volumes.to(device))
    sums = _ClassSums(spectra, n_classes, model.noise, options)
    posteriors = np.zeros((len(spectra), n_classes), dtype=np.float32)
    found = scales.copy()
    inverse = torch.from_numpy(1 / model.noise[: radius + 1]).to(device)
    log_populations = torch.from_numpy(np.log(np.maximum(model.populations, 1e-30))).to(device)
    leverage = torch.from_numpy(model.leverage[: radius + 1]).to(device)
    likelihood, power, change = 0.0, np.zeros(radius + 1), np.zeros(radius + 1)
    for packed in spectra.batches(chosen):
        used = _scale(packed, scales, device)
        belonged = torch.from_numpy(held[packed.indices]).to(device).double()
        belonged = torch.where(belonged >= options.threshold, belonged, 0)
        own_noise = used.ctf_power[:, : radius + 1, None] * leverage * belonged[:, None, :]
        scores = _score(volume_ft, used, radius) + 2 * own_noise
        logits = log_populations - torch.einsum("nsk,s->nk", scores, inverse)
        likelihood += float(torch.logsumexp(logits, dim=1).sum())
        probable = torch.softmax(logits, dim=1)
        change += torch.einsum("nsk,nk->s", scores, probable).cpu().numpy()
        power += packed.power[:, : radius + 1].sum(0).cpu().numpy()
        if options.fit_scale:
            silent = Packed(used.indices, 0 * used.data, used.ctf, used.rotations, used.power, used.ctf_power)
            squares = _score(volume_ft, silent, radius)
            factors = _fit_factors(scores, squares, probable, inverse)
            found[packed.indices] = (torch.from_numpy(scales[packed.indices]).to(device) * factors).cpu().numpy()
            np.clip(found, LEAST_SCALE, LARGEST_SCALE, out=found)
        if options.hard:
            probable = torch.nn.functional.one_hot(probable.argmax(dim=1), n_classes)
        own = probable.float()
        posteriors[packed.indices] = own.cpu().numpy()
        sums.add(used, own)
    totals = {"sums": sums.sums, "likelihood": likelihood, "power": power, "change": change}
    return totals, {"posteriors": posteriors, "scales": found}


def _score(volume_ft: FourierVolume, packed: Packed, radius: int) -> Tensor:
    return score_classes(volume_ft, packed, disc_of(volume_ft.box_size), radius).double()


def _fit_factors(scores: Tensor, squares: Tensor, probable: Tensor, inverse: Tensor) -> Tensor:
    """Factors (m,) by which the scales should change: ⟨y, c V⟩ / |c V|², over classes and shells.

    ``scores`` are |c V|² − 2 ⟨y, c V⟩ without what the particle's own noise adds to the second term.
    """
    predicted = torch.einsum("nsk,nk,s->n", squares, probable, inverse)
    matched = torch.einsum("nsk,nk,s->n", (squares - scores) / 2, probable, inverse)
    return torch.where(predicted > 0, matched / predicted.clamp(min=1e-30), 1.0).float()


def _scale(packed: Packed, scales: np.ndarray, device: str) -> Packed:
    own = scales[packed.indices]
    return packed if (own == 1).all() else packed.scaled(torch.from_numpy(own).to(device))


class _ClassSums:
    """Running sums of posterior-weighted particles for K volumes, in the smallest box."""

    def __init__(self, spectra: ParticleSpectra, n_classes: int, noise: np.ndarray, options: Options) -> None:
        full = spectra.disc
        self._disc = disc_of(small_box(full.box_size, options.reach))
        self._count = full.count(options.reach)
        self._threshold = options.threshold
        self._inverse = torch.from_numpy((1 / noise)[full.shells[: self._count]]).float().to(spectra.device)
        self.sums = SliceAccumulator(
            self._disc.box_size, n_volumes=n_classes, radius=options.reach, device=spectra.device
        )

    def add(self, packed: Packed, posteriors: Tensor) -> None:
        """Add particles with class probabilities (m, k)."""
        data, ctf = packed.data[:, : self._count], packed.ctf[:, : self._count]
        scaled = ctf * self._inverse
        self.sums.add(
            self._disc.unpack(scaled * data),
            self._disc.unpack(scaled * ctf),
            packed.rotations,
            class_weights=posteriors,
            threshold=self._threshold,
        )
