"""Stochastic ascent: mini-batches, a preconditioned gradient step of every volume, noise and radius."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from cryobench.compute.memory import reserve
from cryobench.data import Particles
from cryobench.imaging.accumulate import SliceAccumulator
from cryobench.imaging.grid import FourierVolume, fourier_to_volume, gridding_correction, volume_to_fourier
from cryobench.imaging.layout import GridLayout
from cryobench.imaging.shift_scores import ShiftGrid
from cryobench.methods.classification_ab_initio.expectation import Model, Question, expect
from cryobench.methods.classification_ab_initio.settings import (
    ClassificationAbInitioSettings,
    Look,
    plan_ascent,
    plan_refinement,
)
from cryobench.methods.classification_ab_initio.splits import Census, find_missed, split_volume
from cryobench.methods.classification_ab_initio.volumes import Constraints, draw_starts
from cryobench.reconstruction.engine import Diverged, Iteration, Passes, Rows, RunContext, Step, Sums
from cryobench.reconstruction.images import ImageSpectra, block_size, draw_stretch, spectra_bytes
from cryobench.reconstruction.poses import OrientationGrid, SearchPlan, plan_radii
from cryobench.reconstruction.statistics import disc_of, find_masks

FIRST_RADIUS = 12
"""Index units up to which a search compares all orientations (as in cryoDRGN2)."""
_FINEST = 0.6
"""Index units at the radius compared between neighbouring orientations: finer ones are not resolved."""
_SHIFTS_A_WAVE = 3.75
"""Shifts of the first level per wavelength at its radius; half of cryoDRGN2's."""
_LEAST_SIGNAL = 0.01
"""Smallest fraction of the images' power that the prior assigns to the particle."""
_MARGIN = 20.0
"""Log-likelihood below an image's best, at the radius of a level, at which an orientation is dropped."""
_PROBED = 16
"""Images from which the initial noise is set."""
_ARRAYS = 12
"""Volumes of 4 bytes a voxel that a class takes: itself, sums, totals, spectra."""


@dataclass(frozen=True)
class Ascended:
    """Iteration state."""

    volumes: Tensor
    """(k, z, y, x) float32."""
    weight: Tensor
    """(k, grid) running mean over images of CTF² over the noise: the preconditioner."""
    noise: np.ndarray
    """(radius + 1,) power of the noise in each shell."""
    census: Census


@dataclass(frozen=True, eq=False)
class Given:
    """Volumes to start from."""

    volumes: np.ndarray
    """(k, z, y, x)."""
    n_iterations: int


class Ascent(Iteration[Ascended]):
    """The ascent from one random start.

    Parameters
    ----------
    start
        Index of the random start.
    given
        Volumes to start from instead, and the iterations from there.

    Raises
    ------
    ValueError
        If there are fewer particles than classes, all particles are the same image, a resolution is beyond that
        of the images, or given volumes are not in their box.
    MemoryShortage
        If that many classes do not fit.
    """

    label = "ab initio classes"
    State = Ascended
    objective = "mean log-likelihood of the images over that of noise alone, up to the radius compared"
    shown = ("objective", "radius")
    advice = "Look for outliers among the images, and check the CTF parameters."

    def __init__(
        self,
        particles: Particles,
        settings: ClassificationAbInitioSettings,
        context: RunContext,
        start: int = 0,
        given: Given | None = None,
    ) -> None:
        n, compute = len(particles), context.compute
        if settings.n_classes > n:
            raise ValueError(
                f"{settings.n_classes} classes were requested but there are only {n} particles: set n_classes lower."
            )
        self.settings, self.device = settings, compute.device
        self._seed, self._start = context.seed, start
        self._given, size = given, particles.box_size
        if given is None:
            self.looks, notes = plan_ascent(settings, n, size, particles.pixel_size)
        else:
            if given.volumes.shape[1:] != (size,) * 3:
                raise ValueError(
                    f"volumes to start from have shape {given.volumes.shape[1:]}, expected {(size,) * 3}."
                )
            self.looks, notes = plan_refinement(settings, n, size, particles.pixel_size, given.n_iterations)
        self.n_steps = len(self.looks)
        sphere, _, mask_notes = find_masks(particles, settings.mask_diameter)
        self.notes = (*notes, *mask_notes)
        self.sphere = sphere.to(compute.device)
        self._constraints = Constraints(self.sphere, settings.non_negative, settings.recentre)
        self.disc = disc_of(particles.box_size)
        self._extent = settings.shift_range / particles.pixel_size
        held = 2 * block_size(particles.box_size) * spectra_bytes(self.disc)
        left = reserve(
            compute.memory_per_worker,
            lambda count: count * class_bytes(particles.box_size) + held,
            settings.n_classes,
            items=f"classes of {particles.box_size} px",
            setting="n_classes",
            n_workers=compute.n_workers,
        )
        self.passes = Passes(
            particles,
            compute,
            radius=self.disc.radius,
            keep_bytes=left * compute.n_workers,
            posed=False,
            progress=context.progress,
        )

    def plan(self, radius: int, *, fine: bool = True) -> SearchPlan:
        """Grids of a search up to a radius: all orientations only, or refined as far as the radius resolves."""
        settings = self.settings
        grid = OrientationGrid(settings.healpix_nside, 6 * settings.healpix_nside, settings.symmetry)
        levels = 0
        while fine and levels < settings.n_refinements and grid.spacing(levels) * radius > _FINEST:
            levels += 1
        radii = plan_radii(FIRST_RADIUS, radius, levels) if levels else (radius,)
        count = int(np.ceil(2 * self._extent * radii[0] * _SHIFTS_A_WAVE / self.disc.box_size))
        shifts = ShiftGrid(self._extent, max(1, count))
        return SearchPlan(radii, shifts, grid, settings.kept_orientations, margin=_MARGIN)

    def start(self) -> Ascended:
        """Random volumes, and noise under which a given fraction of all poses is significant.

        Or the given volumes, and noise of the power of the images: on toys the noise that they leave in a first
        batch, which is less, kept 2 to 5 % fewer particles in their class.
        """
        settings, power = self.settings, self.passes.mean_power
        shape = GridLayout(self.disc.box_size).shape
        weight = torch.zeros(settings.n_classes, *shape, device=self.device)
        if self._given is not None:
            given = torch.from_numpy(np.array(self._given.volumes, dtype=np.float32)).to(self.device)
            volumes = torch.stack([self._constraints.apply(each) for each in given])
            return Ascended(volumes, weight, power.copy(), Census.begin(settings.n_classes))
        signal = self._signal(power)
        volumes = draw_starts(
            settings.n_classes, self.sphere.cpu(), settings.start_radius, signal, self._seed, self._start
        )
        volumes = torch.stack([self._constraints.apply(each.to(self.device)) for each in volumes])
        noise = power * self._find_temperature(volumes)
        return Ascended(volumes, weight, noise, Census.begin(settings.n_classes))

    def step(self, state: Ascended, done: int, log: Sequence[Mapping[str, Any]]) -> Step[Ascended]:
        """One mini-batch."""
        look = self.looks[done]
        chosen = self._draw(look.first, look.size)
        look = replace(look, size=int(chosen.sum()))  # an image that two rounds have in common counts once
        fine = self._given is not None or done >= self.settings.initial_iterations
        question = Question(self.plan(look.radius, fine=fine), look.similarity, self.settings.posterior_threshold)
        model = Model(state.volumes, state.noise)
        sums, _ = self.passes.run(expect, model, question, own=(chosen,))
        noise = self._update_noise(state.noise, sums, look)
        volumes, weight = self._climb(state, sums["volumes"], noise, look, is_first=done == 0)
        shares = sums["classes"] / look.size
        entry = {
            "iteration": done + 1,
            "radius": look.radius,
            "images": look.size,
            "objective": sums["likelihood"] / look.size,
            "significant": sums["effective"] / look.size,
            "smallest class": float(shares.min()),
            "largest class": float(shares.max()),
            "least missed": float(find_missed(sums["missed"], sums["classes"]).min()),
        }
        census = state.census.count(sums["classes"], sums["missed"])
        climbed = Ascended(volumes, weight, noise, census)
        return Step(self._split(climbed, done) if look.splits else climbed, (entry,))

    def keeps(self, done: int) -> bool:
        """True at every hundredth."""
        return done % 100 == 0

    def _draw(self, first: int, count: int) -> Bool[np.ndarray, " n"]:
        """Mask of the images in a range of visits."""
        name = f"mini-batches of start {self._start}"
        return draw_stretch(len(self.passes), first, count, self._seed, name=name)

    def _climb(
        self, state: Ascended, sums: SliceAccumulator, noise: Float[np.ndarray, " s"], look: Look, *, is_first: bool
    ) -> tuple[Float[Tensor, "k z y x"], Float[Tensor, "k u v w"]]:
        """Volumes after a step along F − W V − V / (n τ²), over W̄ + 1 / (n τ²), and the running weight W̄."""
        signal = self._signal(noise)
        remembered = look.size / look.step
        prior = np.zeros(len(signal) + 1)
        prior[:-1] = 1 / (remembered * signal)
        prior[-1] = prior[-2]
        # An inserted image returns multiplied by the kernel's transform: so is the volume that it is compared with.
        twice = gridding_correction(self.disc.box_size).to(self.device).square()
        volumes, weights = [], []
        for index, volume in enumerate(state.volumes):
            numerator, weight = sums.totals_of(index)
            current = volume_to_fourier(volume * twice)
            mean = weight.values / look.size
            running = mean if is_first else state.weight[index] + look.step * (mean - state.weight[index])
            damping = current.spread_shells(torch.from_numpy(prior).to(self.device))
            gradient = numerator.values / look.size - (mean + damping) * current.values
            gradient = torch.where(self._within(current, look.radius), gradient, 0)
            ascended = volume + look.step * fourier_to_volume(current.with_values(gradient / (running + damping)))
            if not bool(torch.isfinite(ascended).all()):
                raise Diverged(
                    f"volume {index} of a step up to radius {look.radius} is not finite. {self.advice} "
                    "Earlier steps are kept."
                )
            volumes.append(self._constraints.apply(ascended))
            weights.append(running)
        return torch.stack(volumes), torch.stack(weights)

    def _split(self, state: Ascended, done: int) -> Ascended:
        """State after the least missed class was replaced by half of another, if there is such a class."""
        choice = state.census.choose()
        census = state.census.after(choice)
        if choice is None:
            return replace(state, census=census)
        weakest, source = choice
        name = f"splits of start {self._start}"
        halves = split_volume(state.volumes[source], self.settings.start_radius, self._seed, name, done)
        volumes, weight = state.volumes.clone(), state.weight.clone()
        for index, half in zip((source, weakest), halves, strict=True):
            volumes[index] = self._constraints.apply(half)
            weight[index] = 0.5 * state.weight[source]
        return replace(state, volumes=volumes, weight=weight, census=census)

    def _within(self, grid: FourierVolume, radius: int) -> Bool[Tensor, "u v w"]:
        """Entries of the compared shells: all except the zero frequency up to the radius."""
        shells = grid.shell_indices()
        return (shells > 0) & (shells <= radius)

    def _update_noise(
        self, noise: Float[np.ndarray, " s"], sums: Mapping[str, Any], look: Look
    ) -> Float[np.ndarray, " s"]:
        """Running estimate of the noise; shells that are not compared yet keep the power of the images."""
        count = look.radius + 1
        found = (sums["power"] + sums["residual"]) / (look.size * self.disc.shell_weights[:count])
        share = look.size / (look.size + self.settings.noise_memory)
        updated = noise.copy()
        updated[:count] += share * (np.maximum(found, 1e-3 * self.passes.mean_power[:count]) - noise[:count])
        updated[count:] = self.passes.mean_power[count:]
        return updated

    def _floor(self) -> Float[np.ndarray, " s"]:
        """Noise (radius + 1,) as in the highest frequencies, where a particle has the least power."""
        power = self.passes.mean_power
        return np.minimum(power, power[-max(2, len(power) // 4) :].mean())

    def _signal(self, noise: Float[np.ndarray, " s"]) -> Float[np.ndarray, " s"]:
        """Mean power (radius + 1,) of an entry of the particle in each shell, without CTF."""
        power = self.passes.mean_power
        # Before the model explains anything, the highest frequencies show the noise best.
        beyond = np.maximum(power - np.minimum(noise, self._floor()), _LEAST_SIGNAL * power)
        return beyond / np.maximum(self.ctf_power, 1e-3)

    @cached_property
    def ctf_power(self) -> Float[np.ndarray, " s"]:
        """Mean CTF² (radius + 1,) in each shell."""
        sums, _ = self.passes.run(_sum_ctf)
        return sums["ctf"] / (len(self.passes) * self.disc.shell_weights)

    def _find_temperature(self, volumes: Float[Tensor, "k z y x"]) -> float:
        """Factor of the images' power, as noise, at which the wanted fraction of the poses is significant."""
        look = self.looks[0]
        chosen = self._draw(0, min(_PROBED, look.size))
        question = Question(self.plan(look.radius, fine=False))
        low, high = np.log(1e-4), np.log(1e4)
        for _ in range(12):
            middle = 0.5 * (low + high)
            model = Model(volumes, self.passes.mean_power * np.exp(middle))
            sums, _ = self.passes.run(expect, model, question, own=(chosen,))
            share = sums["effective"] / chosen.sum()
            low, high = (middle, high) if share < self.settings.significant_share else (low, middle)
        return float(np.exp(0.5 * (low + high)))


def class_bytes(box_size: int) -> float:
    """Bytes that a class takes."""
    return _ARRAYS * 4.0 * GridLayout(box_size).n_entries + 16.0 * box_size**3


def _sum_ctf(spectra: ImageSpectra) -> tuple[Sums, Rows]:
    total = np.zeros(spectra.disc.radius + 1)
    for batch in spectra.batches():
        total += batch.ctf_power.sum(0).cpu().numpy()
    return {"ctf": total}, {}
