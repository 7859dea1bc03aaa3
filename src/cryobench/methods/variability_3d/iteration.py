"""The iteration of ``3dva``: its state, start, step, and final arrays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from cryobench.fourier import fourier_crop, fourier_pad
from cryobench.imaging.grid import volume_to_fourier
from cryobench.methods.variability_3d.expectation import VariabilityModel, fit_and_sum, fit_only
from cryobench.methods.variability_3d.maximisation import cut_band, estimate_components, orthonormalise
from cryobench.methods.variability_3d.mean import VariabilityMean, correct_noise
from cryobench.methods.variability_3d.plan import Band
from cryobench.methods.variability_3d.settings import Variability3DSettings
from cryobench.reconstruction.engine import Iteration, Passes, Step
from cryobench.reconstruction.statistics import cut_mask
from cryobench.rng import stream

_FIRST_VARIANCE = 0.01
_START_OF_RADIUS = 0.25
_HELD = 0.5
"""Fraction of the iterations in which scales stay 1: with random components, they would absorb the variation."""


@dataclass(frozen=True)
class VariabilityState:
    """State between two iterations, in the box of the band."""

    components: Tensor
    """(k, z, y, x) float32, orthonormal."""
    variances: np.ndarray
    """(k,) of the latents along them, descending."""
    scales: np.ndarray
    """(n,)."""
    noise: np.ndarray
    """(radius + 1,) power of the noise."""


class VariabilityIteration(Iteration[VariabilityState]):
    """Expectation-maximisation of K components about a fixed mean.

    Parameters
    ----------
    passes
        Particles, up to the radius of the band.
    mean
        Mean with all shells.
    band
        Frequencies of the components.
    region
        Mask of the components.
    settings, seed
        Settings and seed of the run.
    """

    label = "components"
    State = VariabilityState
    objective = (
        "log-likelihood of the images under mean and components minus that under the mean alone, up to the filter "
        "resolution, with the noise power of each shell fitted in both"
    )

    def __init__(
        self,
        passes: Passes,
        mean: VariabilityMean,
        band: Band,
        region: Float[Tensor, "z y x"],
        settings: Variability3DSettings,
        seed: int,
    ) -> None:
        self._passes, self._mean, self._band, self._settings, self._seed = passes, mean, band, settings, seed
        self.device, self.n_steps = passes.device, settings.n_iterations
        self._mask = cut_mask(region, band.box_size)
        # Volumes in the small box are scaled so that their transform is that of the full one.
        self._growth = (region.shape[-1] / band.box_size) ** 3
        self._centre = fourier_crop(mean.volume, band.box_size, dimensions=3) * self._growth

    def start(self) -> VariabilityState:
        """Random components, limited to a quarter of the radius and masked, of a hundredth of the mean's power."""
        k, band = self._settings.n_components, self._band
        drawn = stream(self._seed, "initial components").standard_normal((k, *(band.box_size,) * 3))
        low = max(band.lowest + 2, _START_OF_RADIUS * band.radius)
        limited = cut_band(torch.from_numpy(drawn).float().to(self.device), (band.lowest, low))
        masked = cut_band(limited * self._mask, band.ends)
        components, _, _ = orthonormalise(masked, stream(self._seed, "initial order").standard_normal((4 * k, k)))
        return VariabilityState(
            components,
            np.full(k, _FIRST_VARIANCE * float(self._centre.square().sum())),
            np.ones(len(self._passes)),
            self._mean.noise[: band.radius + 1],
        )

    def step(self, state: VariabilityState, done: int, log: Sequence[Mapping[str, Any]]) -> Step[VariabilityState]:
        """Latents under the current components, then components under these latents."""
        sums, rows = self._passes.run(fit_and_sum, self._model(state, done), own=[state.scales])
        left_over, moments = sums["moments"].half_spectra()
        solved, fitted = estimate_components(left_over, moments, self._scaled(state), self._mask, self._band.ends)
        components, _, variances = orthonormalise(solved, rows["latents"])
        objective, noise = self._judge(sums, fitted)
        entry = {
            "iteration": done + 1,
            "objective": objective,
            "variances": [float(value) for value in variances / self._growth],
            "scale_deviation": float(rows["scales"].std()),
        }
        before, least = log[-1]["objective"] if log else -np.inf, self._settings.convergence
        settled = least > 0 and objective - before < least * abs(objective)
        return Step(
            VariabilityState(components, variances, rows["scales"], noise),
            (entry,),
            stop=f"converged: the objective rose by less than {least:g} of itself" if settled else None,
        )

    def finish(self, state: VariabilityState, done: int) -> tuple[dict[str, np.ndarray], Float[np.ndarray, "n k"]]:
        """The model's arrays and the latents, under the final components."""
        _, rows = self._passes.run(fit_only, self._model(state, done), own=[state.scales])
        deviations = np.sqrt(state.variances)
        latents = rows["latents"] * deviations
        # Once more, so that the returned latents are uncorrelated.
        components, turn, variances = orthonormalise(state.components, latents)
        weight = np.linalg.solve(turn, np.diag(1 / deviations))
        precisions = weight @ rows["precisions"] @ weight.T
        noise = self._mean.noise.copy()
        noise[: len(state.noise)] = state.noise
        size, root = self._mean.volume.shape[-1], np.sqrt(self._growth)
        padded = fourier_pad(components, size, dimensions=3).cpu().numpy() / root
        model = {
            "mean": self._mean.volume.cpu().numpy(),
            "components": padded.astype(np.float32),
            "variances": variances / self._growth,
            "noise": noise,
            "precisions": (precisions * self._growth).astype(np.float32),
            "scales": rows["scales"].astype(np.float32),
        }
        return model, (latents @ turn / root).astype(np.float32)

    def _scaled(self, state: VariabilityState) -> Float[Tensor, "k z y x"]:
        """Components times the standard deviations of their latents."""
        deviations = torch.from_numpy(np.sqrt(state.variances)).float().to(self.device)
        return state.components * deviations[:, None, None, None]

    def _model(self, state: VariabilityState, done: int) -> VariabilityModel:
        stack = torch.cat([self._centre[None], self._scaled(state)])
        settings = self._settings
        fits_scale = settings.particle_scale == "fitted" and done >= _HELD * settings.n_iterations
        return VariabilityModel(volume_to_fourier(stack), state.noise, settings.regularisation, fits_scale)

    def _judge(self, sums: Mapping[str, Any], fitted: Float[np.ndarray, "s"]) -> tuple[float, Float[np.ndarray, "s"]]:
        """Objective of the compared model, and its residual noise."""
        entries = len(self._passes) * self._passes.disc.shell_weights
        residual = sums["power"] / entries
        reach = len(residual)
        rise = np.log(self._mean.residual[:reach] / np.maximum(residual, 1e-30))
        noise = correct_noise(residual, sums["leverage"], self._mean.fitted[:reach] + fitted, self._passes)
        return float((entries * rise).sum()), noise
