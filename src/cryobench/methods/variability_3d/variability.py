"""``3dva``: its settings, the loop, and what comes out of it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field

from cryobench._progress import Progress, Silent
from cryobench.data import Particles, Reconstruction
from cryobench.fourier import fourier_crop, fourier_pad
from cryobench.imaging.grid import volume_to_fourier
from cryobench.imaging.moments import MomentAccumulator
from cryobench.io.atomic import read_array
from cryobench.methods._shared.checkpoint import Checkpoint
from cryobench.methods._shared.half_sets import split_halves
from cryobench.methods._shared.passes import Passes
from cryobench.methods.method import Method, MethodSettings, Workers, require_poses
from cryobench.methods.variability_3d.expectation import LinearModel, fit_and_sum, fit_only
from cryobench.methods.variability_3d.maximisation import cut_band, estimate_components, orthonormalise
from cryobench.methods.variability_3d.mean import Mean, correct_noise, estimate_mean
from cryobench.methods.variability_3d.plan import (
    check_memory,
    check_resolution,
    choose_band,
    choose_mask,
    largest_sphere,
    shrink_mask,
)
from cryobench.methods.variability_3d.progression import Progression, find_progression, keep_progression
from cryobench.methods.variability_3d.volumes import LinearVolumes
from cryobench.rng import stream

OBJECTIVE = (
    "log-likelihood of the images under mean and components minus that under the mean alone, up to the filter "
    "resolution, the noise power of each shell fitted in either"
)
_FIRST_VARIANCE = 0.01
_START_OF_RADIUS = 0.25
_HELD = 0.5
"""Share of the iterations in which scales stay 1: with components still at random, they would take the variation."""


class Variability3DSettings(MethodSettings):
    """Settings of ``3dva``."""

    n_components: int = Field(3, ge=1, le=32, description="K, components to find (cryoSPARC: 3)")
    n_iterations: int = Field(20, ge=1, description="most iterations (cryoSPARC: 20)")
    filter_resolution: float | None = Field(
        None,
        gt=0,
        description="Å, highest resolution compared (cryoSPARC asks for one); None: that of the mean, said in a note",
    )
    highpass_resolution: float | None = Field(
        None, gt=0, description="Å, components have nothing coarser than this (cryoSPARC's optional high-pass)"
    )
    regularisation: float = Field(
        0.01, gt=0, description="lambda, ridge on latents in units of their own variance (cryoSPARC: 0.01)"
    )
    particle_scale: Literal["fitted", "none"] = Field(
        "fitted", description="contrast of each particle by least squares, kept in 0.5 to 2, or 1 for all"
    )
    mask_dilation: float = Field(0.0, ge=0, description="Å by which the data set's mask is grown (our choice)")
    convergence: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="stop when the objective rises by less than this fraction; 0: never (as published)",
    )
    memory_gb: float = Field(
        4.0, gt=0, description="GB for sums, volumes and kept images; images beyond are read anew in each pass"
    )


class Variability3D(Method):
    """Mean and K linear components at given poses by expectation-maximisation (cryoSPARC's 3D Variability)."""

    name = "3dva"
    poses = "given"
    spreads = True
    Settings = Variability3DSettings

    def reconstruct(
        self,
        particles: Particles,
        *,
        queries: np.ndarray,
        seed: int = 0,
        device: str = "cpu",
        progress: Progress | None = None,
        checkpoint: Path | None = None,
        workers: Workers | None = None,
    ) -> Reconstruction:
        """Latents (n, k) along components of unit norm, and the volumes mean + Σ z_k V_k of the query particles.

        ``checkpoint`` gets the state and a log after every iteration. ``model`` holds mean (z, y, x), components
        (k, z, y, x), variances (k,), noise (radius + 1,), half_set_fsc (s,), half_sets (n,), precisions (n, k, k) of
        the latents and scales (n,).

        Raises
        ------
        ValueError
            If poses are withheld, there are not more particles than components, all particles are the same image,
            a pixel is not finite, a resolution lies beyond what the images hold, or memory is too small.
        FormatError
            If ``checkpoint`` holds the state of another call.
        """
        settings = self.settings
        if not isinstance(settings, Variability3DSettings):
            raise TypeError(f"{self.name} takes Variability3DSettings, got {type(settings).__name__}.")
        search = _Search(particles, settings, seed, device, progress or Silent(), workers)
        state = search.run(checkpoint)
        model, latents = search.finish(state)
        mean, components = model["mean"], model["components"]
        return Reconstruction(
            queries,
            LinearVolumes(mean, components, latents[queries]),
            latents=latents,
            model=model,
            record={
                "method": self.name,
                "settings": settings.model_dump(mode="json"),
                "seed": seed,
                "status": "finished",
                "objective": state.log[-1]["objective"],
                "objective_definition": OBJECTIVE,
                "iterations": state.done,
                "converged": state.converged,
                "log": state.log,
                "notes": search.notes,
            },
        )

    def decode(self, model: Path, latents: np.ndarray, *, particles: Particles | None = None) -> Iterator[np.ndarray]:
        """Volume mean + Σ z_k V_k (z, y, x) for each row of latents (m, k)."""
        mean, components = (read_array(Path(model) / f"{name}.npy") for name in ("mean", "components"))
        if latents.ndim != 2 or latents.shape[1] != len(components):
            raise ValueError(
                f"this run has {len(components)} components: give rows of {len(components)} latents, "
                f"got an array of shape {latents.shape}."
            )
        volumes = LinearVolumes(mean, components, latents)
        for index in range(len(latents)):
            yield volumes.read(index)


class _Search:
    """One call: everything that stays the same over its iterations."""

    def __init__(
        self,
        particles: Particles,
        settings: Variability3DSettings,
        seed: int,
        device: str,
        progress: Progress,
        workers: Workers | None,
    ) -> None:
        n = len(particles)
        require_poses(particles, Variability3D.name)
        if settings.n_components >= n:
            raise ValueError(
                f"{settings.n_components} components were asked for but there are only {n} particles: "
                "set n_components lower."
            )
        check_resolution(particles, settings.filter_resolution)
        self._particles, self._settings, self._seed, self._device = particles, settings, seed, device
        self._progress, self._workers = progress, workers
        self.notes: list[str] = []
        self._mask = choose_mask(particles, settings.mask_dilation, self.notes).to(device)
        self._halves = split_halves(n, seed)

    def run(self, checkpoint: Path | None) -> Progression:
        """All iterations, from the checkpoint if there is one."""
        settings, particles = self._settings, self._particles
        # The largest the sums can become; the band may turn out to be smaller.
        image_bytes = check_memory(particles, settings.n_components, self._largest_box(), settings.memory_gb)
        largest = (particles.box_size - 1) // 2
        passes = self._open(largest, image_bytes)
        call = {
            "settings": settings.model_dump(mode="json"),
            "seed": self._seed,
            "n": len(particles),
            "box_size": particles.box_size,
            "power": [float(f"{value:.9g}") for value in passes.mean_power[:3]],
        }
        kept = Checkpoint(checkpoint, call)
        state = find_progression(kept, self._device)
        mean = self._estimate_mean(passes) if state is None else state.mean
        self._band = choose_band(
            particles, settings.filter_resolution, settings.highpass_resolution, mean.half_set_fsc, self.notes
        )
        if self._band.radius < largest:
            del passes
            image_bytes = check_memory(particles, settings.n_components, self._band.box_size, settings.memory_gb)
            passes = self._open(self._band.radius, image_bytes)
        self._passes = passes
        self._small_mask = shrink_mask(self._mask, self._band.box_size)
        # Volumes in the small box are scaled so that their transform is that of the full one.
        self._growth = (particles.box_size / self._band.box_size) ** 3
        if state is None:
            state = self._start(mean)
        with self._progress.task("components", total=settings.n_iterations) as task:
            task.advance(state.done)
            while state.done < settings.n_iterations and not state.converged:
                state = self._step(state)
                if checkpoint is not None:
                    keep_progression(state, kept)
                task.advance(1, objective=round(state.log[-1]["objective"], 1))
        return state

    def _largest_box(self) -> int:
        size, resolution = self._particles.box_size, self._settings.filter_resolution
        if resolution is None:
            return size
        return min(size, 2 * int(size * self._particles.pixel_size / resolution + 1e-6) + 2)

    def _open(self, radius: int, memory_bytes: float) -> Passes:
        return Passes(
            self._particles,
            radius,
            method=Variability3D.name,
            device=self._device,
            memory_bytes=memory_bytes,
            workers=self._workers,
            progress=self._progress,
        )

    def _estimate_mean(self, passes: Passes) -> Mean:
        with self._progress.task("mean volume", total=1) as task:
            mean = estimate_mean(passes, self._halves, largest_sphere(passes.disc.box_size).to(self._device))
            task.advance()
        return mean

    def _start(self, mean: Mean) -> Progression:
        """Random components, limited to a quarter of the radius and masked, of a hundredth of the mean's power."""
        k, size = self._settings.n_components, self._band.box_size
        drawn = stream(self._seed, "initial components").standard_normal((k, size, size, size))
        low = max(self._band.lowest + 2, _START_OF_RADIUS * self._band.radius)
        limited = cut_band(torch.from_numpy(drawn).float().to(self._device), (self._band.lowest, low))
        masked = cut_band(limited * self._small_mask, self._band.ends)
        components, _, _ = orthonormalise(masked, stream(self._seed, "initial order").standard_normal((4 * k, k)))
        power = float(self._small_mean(mean).square().sum())
        return Progression(
            mean,
            components,
            np.full(k, _FIRST_VARIANCE * power),
            np.ones(len(self._particles)),
            mean.noise[: self._band.radius + 1],
        )

    def _small_mean(self, mean: Mean) -> torch.Tensor:
        return fourier_crop(mean.volume, self._band.box_size, dimensions=3) * self._growth

    def _scaled(self, state: Progression) -> torch.Tensor:
        """Components times the standard deviations of their latents."""
        deviations = torch.from_numpy(np.sqrt(state.variances)).float().to(self._device)
        return state.components * deviations[:, None, None, None]

    def _model(self, state: Progression) -> LinearModel:
        stack = torch.cat([self._small_mean(state.mean)[None], self._scaled(state)])
        settings = self._settings
        fits_scale = settings.particle_scale == "fitted" and state.done >= _HELD * settings.n_iterations
        return LinearModel(volume_to_fourier(stack), state.noise, settings.regularisation, fits_scale)

    def _step(self, state: Progression) -> Progression:
        """One iteration: latents under the present components, then components under these latents."""
        k, band = self._settings.n_components, self._band
        sums, rows = self._passes.run(fit_and_sum, self._model(state), own=[state.scales])
        accumulator = MomentAccumulator(
            band.box_size, n_numerators=k, n_weights=k * (k + 1) // 2, radius=band.radius, device=self._device
        )
        accumulator.values = sums["moments"]
        solved, fitted = estimate_components(
            *accumulator.half_spectra(), self._scaled(state), self._small_mask, band.ends
        )
        components, _, variances = orthonormalise(solved, rows["latents"])
        objective, noise = self._judge(state.mean, sums, fitted)
        entry = {
            "iteration": state.done + 1,
            "objective": objective,
            "variances": [float(value) for value in variances / self._growth],
            "scale_deviation": float(rows["scales"].std()),
        }
        before = state.log[-1]["objective"] if state.log else -np.inf
        least = self._settings.convergence
        converged = least > 0 and objective - before < least * abs(objective)
        return Progression(
            state.mean, components, variances, rows["scales"], noise, state.done + 1, converged, [*state.log, entry]
        )

    def _judge(self, mean: Mean, sums: dict[str, Any], fitted: np.ndarray) -> tuple[float, np.ndarray]:
        """Objective of the model that was compared, and the noise that it leaves over."""
        entries = len(self._passes) * self._passes.disc.shell_weights
        residual = sums["power"] / entries
        reach = len(residual)
        objective = float((entries * np.log(mean.residual[:reach] / np.maximum(residual, 1e-30))).sum())
        noise = correct_noise(residual, sums["leverage"], mean.fitted[:reach] + fitted, self._passes)
        return objective, noise

    def finish(self, state: Progression) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """The model's arrays and the latents (n, k), under the final components."""
        _, rows = self._passes.run(fit_only, self._model(state), own=[state.scales])
        deviations = np.sqrt(state.variances)
        latents = rows["latents"] * deviations
        # Once more, so that the latents that are handed out are uncorrelated.
        components, turn, variances = orthonormalise(state.components, latents)
        weight = np.linalg.solve(turn, np.diag(1 / deviations))
        precisions = weight @ rows["precisions"] @ weight.T
        noise = state.mean.noise.copy()
        noise[: len(state.noise)] = state.noise
        size, root = self._particles.box_size, np.sqrt(self._growth)
        padded = fourier_pad(components, size, dimensions=3).cpu().numpy() / root
        model = {
            "mean": state.mean.volume.cpu().numpy(),
            "components": padded.astype(np.float32),
            "variances": variances / self._growth,
            "noise": noise,
            "half_set_fsc": state.mean.half_set_fsc,
            "half_sets": self._halves.astype(np.int8),
            "precisions": (precisions * self._growth).astype(np.float32),
            "scales": rows["scales"].astype(np.float32),
        }
        return model, (latents @ turn / root).astype(np.float32)
