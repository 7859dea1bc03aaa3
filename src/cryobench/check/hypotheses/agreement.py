"""Agreement of a reading with images it was not fitted to: the score by which conventions are judged.

Particles are split into two halves. Each half is back-projected under the reading, and its volume predicts the images
of the other one. The gain of an image is the log-likelihood of its spectrum y under that prediction, minus that under
white noise in each shell,

    g_i = Σ_k log N(y_i; a C_i S_i, v_i) − log N(y_i; 0, σ0²),   v_i = σ² + C_i² h,

S the slice of the other half's volume, with one scale a ≥ 0, one noise σ² and one power h of the differences between
particles for each shell, over all images. For premultiplied images v_i is C² times as large. A wrong
reading predicts nothing, and gains nothing. As an image is not part of its own prediction, and all readings are
densities of the same numbers, gains are compared image by image, and their differences have a valid standard error.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryobench.check.hypotheses.reading import Reading
from cryobench.imaging.accumulate import SliceAccumulator
from cryobench.imaging.half_disc import HalfDisc
from cryobench.reconstruction.poses import GridSlices
from cryobench.reconstruction.statistics import solve_volumes, volume_fsc
from cryobench.rng import stream

LEAST_COLOUR = 0.01
"""CTF² below which the noise of premultiplied images is not assumed to vanish with it."""
_LEAST_NOISE = 0.02
"""Minimum fraction of the residual that is noise."""
_TURNS = 3


@dataclass(frozen=True, eq=False)
class ShellFit:
    """Fit of each shell except the zero frequency, over all images."""

    scale: Float[Tensor, "s"]
    """a, the scale of the slices."""
    white: Float[Tensor, "s"]
    """Power of the images."""
    noise: Float[Tensor, "s"]
    """Residual power where the CTF vanishes."""
    spread: Float[Tensor, "s"]
    """Power, before the CTF, of the differences between particles."""
    left: Float[Tensor, "s"]
    """Residual power over all images."""


@dataclass(frozen=True, eq=False)
class Matches:
    """Images against their predictions, each divided by its standard deviation due to noise."""

    found: Float[np.ndarray, "n"]
    """Re⟨y, a C S / v⟩ over the square root of ⟨|a C S|² / v⟩ / 2: for noise, of unit variance."""
    expected: Float[np.ndarray, "n"]
    """The same for an image equal to its prediction."""


@dataclass(frozen=True, eq=False)
class Terms:
    """Sums over the entries of each image and shell except the zero frequency; v is the colour of the noise."""

    entries: Float[Tensor, "s"]
    """Weighted number of entries of an image in the shell."""
    power: Float[Tensor, "n s"]
    """|y|²."""
    own_power: Float[Tensor, "n s"]
    """|y|² / v."""
    cross: Float[Tensor, "n s"]
    """Re⟨y, C S / v⟩."""
    predicted: Float[Tensor, "n s"]
    """|C S|² / v."""
    logarithm: Float[Tensor, "n s"]
    """log v."""
    seen: Float[Tensor, "n s"]
    """C² / v."""

    def residual(self, scale: Float[Tensor, "s"]) -> Float[Tensor, "n s"]:
        """|y − a C S|² / v."""
        return self.own_power - 2 * scale * self.cross + scale.square() * self.predicted

    def fit(self, *, predicts: bool = True) -> ShellFit:
        """Scale, noise and spread of each shell, by alternating least squares; scale 0 if not ``predicts``."""
        seen, white = self.seen / self.entries, self.power.mean(0) / self.entries
        scale = noise = spread = torch.zeros_like(white)
        left = torch.ones_like(seen)
        for _ in range(_TURNS):
            if predicts:
                scale = ((self.cross / left).sum(0) / (self.predicted / left).sum(0).clamp(min=1e-300)).clamp(min=0)
            noise, spread = fit_line(seen, self.residual(scale) / self.entries, left.square())
            left = noise + spread * seen
        return ShellFit(scale, white, noise, spread, self.residual(scale).mean(0) / self.entries)

    def left(self, fit: ShellFit) -> Float[Tensor, "n s"]:
        """Expected power of an entry beyond the prediction, over v."""
        return fit.noise + fit.spread * self.seen / self.entries

    def gains(self, fit: ShellFit) -> Float[np.ndarray, "n"]:
        """Log-likelihood of each image beyond that of white noise in each shell, in nats."""
        left = self.left(fit)
        won = self.power / fit.white - self.residual(fit.scale) / left
        won += self.entries * (fit.white.log() - left.log()) - self.logarithm
        return won.sum(1).numpy()

    def matches(self, fit: ShellFit) -> Matches:
        """Match of each image with its prediction, by the matched filter."""
        left = self.left(fit)
        found = (self.cross * fit.scale / left).sum(1)
        power = (self.predicted * fit.scale.square() / left).sum(1)
        expected = (2 * power).clamp(min=1e-12).sqrt()
        return Matches((2 * found / expected).numpy(), expected.numpy())


def fit_line(
    x: Float[Tensor, "n s"], y: Float[Tensor, "n s"], variance: Float[Tensor, "n s"]
) -> tuple[Float[Tensor, "s"], Float[Tensor, "s"]]:
    """Constant and slope, both non-negative, of the line through y over x in each column."""
    weight = 1 / variance
    total = weight.sum(0)
    mean_x, mean_y = (weight * x).sum(0) / total, (weight * y).sum(0) / total
    away = x - mean_x
    slope = (weight * away * y).sum(0) / (weight * away.square()).sum(0).clamp(min=1e-12 * total)
    steepest = (1 - _LEAST_NOISE) * mean_y / mean_x.clamp(min=1e-12)
    slope = torch.minimum(slope.clamp(min=0), steepest)
    return mean_y - slope * mean_x, slope


@dataclass(frozen=True, eq=False)
class Agreement:
    """Agreement of a reading with its images."""

    gains: Float[np.ndarray, "n"]
    """Log-likelihood, in nats, that each image gains from the volume of the other half."""
    fsc: Float[np.ndarray, "s"]
    """Fourier shell correlation of the two halves, shells 0 … n // 2."""
    volumes: Float[Tensor, "2 z y x"]
    """Volumes of the two halves."""
    fit: ShellFit
    terms: Terms

    @property
    def mean(self) -> float:
        """Nats per image."""
        return float(self.gains.mean())

    @cached_property
    def by_prediction(self) -> float:
        """Nats per image of ``mean`` that are due to the slices, not to the noise model."""
        return self.mean - float(self.terms.gains(self.terms.fit(predicts=False)).mean())


def measure_agreement(reading: Reading, halves: Int[np.ndarray, "n"], *, former: ShellFit | None = None) -> Agreement:
    """Agreement of a reading with its particles split into halves 0 and 1.

    Parameters
    ----------
    former
        An earlier fit of this reading, for a careful measurement, several times slower. Images are then
        weighted by noise and spread, so that those of large CTF do not dominate where particles differ by more
        than noise; and spectra are on a grid twice as fine, because that of a molecule that fills much of the box is
        rough between the points of the box's own grid. Without it, a wrong, flatter CTF may gain a little.
    """
    disc, padding = reading.disc, 1 if former is None else 2
    if former is None:
        noise = _rough_noise(reading)
        spread = np.zeros_like(noise)
    else:
        noise, spread = (np.concatenate([each[:1], each]) for each in (former.noise.numpy(), former.spread.numpy()))
    at_least, growing = (disc.spread(each, "cpu") for each in (noise, spread))
    rotations = torch.tensor(reading.stated.rotations, dtype=torch.float32)
    sums = SliceAccumulator(disc.box_size, n_volumes=2, radius=disc.radius, padding=padding)
    for part in reading.parts():
        weight = reading.transfer[part].square()
        inverse = 1 / (at_least + growing * weight)
        sums.add(
            disc.unpack(reading.match(part) * inverse),
            disc.unpack(weight * inverse),
            rotations[part],
            class_weights=torch.eye(2)[torch.from_numpy(halves[part])],
        )
    volumes, _ = solve_volumes(sums)
    terms = _compare_slices(reading, GridSlices(volumes, disc, padding=padding), halves, reading.stated.rotations)
    fit = terms.fit()
    return Agreement(terms.gains(fit), volume_fsc(volumes[0], volumes[1]), volumes, fit, terms)


def measure_strangers(agreement: Agreement, reading: Reading, halves: Int[np.ndarray, "n"]) -> Matches:
    """Matches of images with predictions at rotations of other ones, by the same volumes and on the same scale."""
    order = stream(0, "rotations of others").permutation(len(reading))
    source = GridSlices(agreement.volumes, reading.disc)
    terms = _compare_slices(reading, source, halves, reading.stated.rotations[order])
    return terms.matches(agreement.fit)


def _compare_slices(
    reading: Reading, source: GridSlices, halves: Int[np.ndarray, "n"], rotations: Float[np.ndarray, "n 3 3"]
) -> Terms:
    """Terms of the images of each half against slices of the other half's volume at some rotations."""
    disc, n = reading.disc, len(reading)
    turned = torch.tensor(rotations, dtype=torch.float32)
    sums = _sum_shells(disc)
    terms = torch.zeros(6, n, disc.radius + 1)
    for part in reading.parts():
        slices = source.own(np.arange(n)[part], 1 - halves[part], turned[part], disc.radius)
        images, matched, slices = (
            torch.view_as_real(each) for each in (reading.images[part], reading.match(part), slices)
        )
        transfer = reading.transfer[part, :, None]
        product, predicted = matched * slices, transfer * slices
        own, weight = images, 1.0
        if reading.form == "premultiplied":
            colour = transfer.square().clamp(min=LEAST_COLOUR)
            weight = transfer.square() / colour
            own, product, predicted = images / colour.sqrt(), product * weight, predicted * weight.sqrt()
            terms[4, part] = colour.log().expand(-1, -1, 2).flatten(1) @ sums / 2
        for term, each in zip(terms, (images.square(), own.square(), product, predicted.square()), strict=False):
            term[part] = each.flatten(1) @ sums
        terms[5, part] = transfer.square().mul(weight)[..., 0] @ sums[::2]
    # The zero frequency holds the background.
    return Terms(torch.from_numpy(disc.shell_weights[1:]), *terms[:, :, 1:].double())


def _sum_shells(disc: HalfDisc) -> Float[Tensor, "q s"]:
    """Matrix that sums real and imaginary parts of a half-disc's entries over each shell, weighted."""
    weights = torch.from_numpy(disc.weights).float()
    sums = torch.zeros(len(weights), disc.radius + 1)
    sums[torch.arange(len(weights)), torch.from_numpy(disc.shells)] = weights
    return sums.repeat_interleave(2, dim=0)


def _rough_noise(reading: Reading) -> Float[np.ndarray, "s"]:
    """Rough power of the noise in each shell: that of the images, signal included, weighted by their CTF²."""
    disc = reading.disc
    power, seen = np.zeros(disc.radius + 1), np.zeros(disc.radius + 1)
    for part in reading.parts():
        images = reading.images[part]
        weighted = images if reading.form == "premultiplied" else images * reading.transfer[part]
        power += disc.shell_power(weighted).sum(0).numpy()
        seen += disc.shell_power(reading.transfer[part]).sum(0).numpy()
    noise = power / np.maximum(seen, 1e-12 * len(reading) * disc.shell_weights)
    return np.maximum(noise, 1e-12 * noise.max())


def expect_loss(reading: Reading, other: Reading, agreement: Agreement) -> float:
    """Expected loss in nats per image of another CTF if that of a reading is right: Σ (C − C')² |S|² / σ².

    S is from the mean of the two halves' volumes, including its noise: the loss is somewhat overestimated.
    """
    disc, rotations = reading.disc, torch.tensor(reading.stated.rotations, dtype=torch.float32)
    source = GridSlices(agreement.volumes.mean(0, keepdim=True), disc)
    inverse = np.concatenate([[0.0], 1 / agreement.fit.left.numpy()])
    entries = disc.spread(inverse, "cpu") * torch.from_numpy(disc.weights)
    total = 0.0
    for part in reading.parts():
        power = source.shared(0, rotations[part], disc.radius).abs().square()
        change = (reading.transfer[part] - other.transfer[part]).square()
        total += float((power * change * entries).sum(dtype=torch.float64))
    return total / len(reading)


def gain_by_evenness(agreement: Agreement, other: Agreement) -> float:
    """Nats per image that a reading may gain over another by the weights of its CTFs alone, right or wrong.

    Images are weighted by CTF² in a volume. If CTFs are more alike in magnitude, more images count, (Σ C²)² / Σ C⁴ of
    them, and the noise of the volume, which is 1 − FSC of its power, is smaller by that factor.
    """
    shells = slice(1, len(agreement.fit.scale) + 1)
    even, less = (each.terms.seen.mean(0).square() / each.terms.seen.square().mean(0) for each in (agreement, other))
    signal = (agreement.fit.scale * agreement.terms.cross / agreement.terms.left(agreement.fit)).mean(0)
    noise = 1 - torch.from_numpy(agreement.fsc[shells]).clamp(0, 1)
    return float((signal.clamp(min=0) * noise * (1 - less / even).clamp(min=0)).sum())


def spread_of_transfer(agreement: Agreement, transfer: Float[np.ndarray, "n s"]) -> tuple[float, float]:
    """Variation of the signal among images, beyond noise, for a reading without CTF; and its expected value.

    The variance of Re⟨y, S⟩ / |S|² relative to the square of its mean, over all shells but the zero frequency,
    weighted by the signal; and the same for the stated CTFs (n, s), whichever image each belongs to.
    """
    fit = agreement.fit
    cross, predicted = fit.scale * agreement.terms.cross, fit.scale.square() * agreement.terms.predicted
    excess = float(((cross - predicted).square() - fit.left * predicted / 2).sum())
    power = predicted.square().sum(0).numpy()
    mean = np.abs(transfer.mean(axis=0))
    ratio = np.minimum(transfer.var(axis=0) / np.maximum(mean**2, 1e-12), 10.0)
    return excess / float(power.sum()), float((power * ratio).sum() / power.sum())
