"""Mean, noise and the principal volumes with their variances: steps b to k, each kept when finished."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryobench.data import Particles
from cryobench.imaging.grid import FourierVolume, gridding_correction, volume_to_fourier
from cryobench.imaging.layout import GridLayout
from cryobench.methods.recovar.column_choice import choose_columns, estimate_variance
from cryobench.methods.recovar.covariance_columns import accumulate_columns
from cryobench.methods.recovar.covariance_prior import first_prior, solve_columns
from cryobench.methods.recovar.masks import choose_masks
from cryobench.methods.recovar.mean import HalfSetMean, estimate_mean
from cryobench.methods.recovar.noise import bound_noise, estimate_noise_outside
from cryobench.methods.recovar.plan import Plan
from cryobench.methods.recovar.settings import RecovarSettings
from cryobench.methods.recovar.subspace import (
    find_subspace,
    principal_volumes,
    project_covariance,
    spectra_inside,
    spread_inside,
    with_mean_first,
)
from cryobench.reconstruction.engine import Checkpoint, Forecast, Passes, RunContext
from cryobench.reconstruction.engine.state import pack_state, unpack_state
from cryobench.volumes.mask import make_largest_sphere


@dataclass(frozen=True)
class PrincipalModel:
    """x = μ + Σ_k z_k V_k with z_k of variance λ_k, and noise of power σ²."""

    mean: HalfSetMean
    noise: np.ndarray
    """(radius + 1,) of the unnormalised transform."""
    mask: Tensor
    """(z, y, x)."""
    components: Tensor
    """(k, z, y, x) orthonormal, by descending variance; zero outside the mask."""
    variances: np.ndarray
    """(m,) variances of all components of the subspace, m ≥ k."""
    frequencies: np.ndarray
    """(c, 3) frequencies of the covariance columns, (x, y, z) index units."""
    column_fsc: np.ndarray
    """(c, s) FSC of their half-sets."""

    def spectrum(self) -> tuple[FourierVolume, FourierVolume]:
        """Mean and components ready for slicing."""
        return self.mean.spectrum(), volume_to_fourier(self.components)


@dataclass(frozen=True)
class ModelEstimate:
    """Estimation of the model, with the inputs of all its steps."""

    particles: Particles
    passes: Passes
    """Passes over the particles."""
    halves: np.ndarray
    """(n,) 0 or 1."""
    plan: Plan
    settings: RecovarSettings
    context: RunContext
    kept: Checkpoint
    """Finished steps."""

    def run(self) -> PrincipalModel:
        """The model. Errors as ``Recovar.estimate``."""
        passes, settings, kept, progress = self.passes, self.settings, self.kept, self.context.progress
        with passes.shown(progress, "mean, noise, variance", passes=3):
            mean = unpack_state(HalfSetMean, kept.take("mean", self._find_mean), {})
            mask, dilated, _ = choose_masks(self.particles, settings, mean.volume)
            mean_ft = mean.spectrum()

            def find_noise() -> dict[str, Float[np.ndarray, "s"]]:
                return {"noise": estimate_noise_outside(passes, mean_ft, dilated)[0]}

            noise = kept.take("noise", find_noise)["noise"]
            window = dilated if settings.mask_images else None

            def find_frequencies() -> dict[str, Int[np.ndarray, "c 3"]]:
                return {"frequencies": self._choose_columns(mean_ft, window, noise)}

            frequencies = kept.take("frequencies", find_frequencies)["frequencies"]
        columns, curves = self._find_columns(frequencies, mean, mean_ft, window, mask, noise)
        basis = find_subspace(columns, self.plan.n_components, self.context.seed)[0]
        del columns  # before the spectra of the basis are allocated
        with passes.shown(progress, "covariance in the subspace", passes=2):
            found = kept.take("components", lambda: self._find_components(basis, mean, mean_ft, mask, noise))
        components = spread_inside(torch.from_numpy(found["components"]), mask)
        return PrincipalModel(mean, found["noise"], mask, components, found["variances"], frequencies, curves)

    def _find_mean(self) -> dict[str, np.ndarray]:
        radius, power = self.passes.disc.radius, self.passes.mean_power
        white = np.full(radius + 1, power[-max(1, radius // 4) :].mean())
        sphere = make_largest_sphere(self.passes.disc.box_size)
        return pack_state(estimate_mean(self.passes, self.halves, white, sphere))[0]

    def _choose_columns(
        self, mean_ft: FourierVolume, window: Float[Tensor, "z y x"] | None, noise: Float[np.ndarray, "s"]
    ) -> Int[np.ndarray, "c 3"]:
        variance, weight = estimate_variance(self.passes, mean_ft, window, noise, self.halves)
        size, radius = self.passes.disc.box_size, min(self.settings.column_radius, self.passes.disc.radius - 1)
        chosen = choose_columns(
            variance,
            weight,
            GridLayout(size),
            n_columns=self.settings.n_columns,
            radius=radius,
            exclusion=self.settings.column_exclusion,
        )
        largest = max(self.settings.dimensions)
        if 2 * len(chosen) < largest:
            raise ValueError(
                f"there are {len(chosen)} covariance columns within {radius:g} index units of a box of {size} px, "
                f"whose {2 * len(chosen)} volumes have no {largest} dimensions: raise n_columns or "
                "column_radius, lower column_exclusion, or give smaller dimensions."
            )
        return chosen

    def _find_columns(
        self,
        frequencies: Int[np.ndarray, "c 3"],
        mean: HalfSetMean,
        mean_ft: FourierVolume,
        window: Float[Tensor, "z y x"] | None,
        mask: Float[Tensor, "z y x"],
        noise: Float[np.ndarray, "r"],
    ) -> tuple[Float[np.ndarray, "2*c v"], Float[np.ndarray, "c s"]]:
        """Regularised columns as real volumes inside the mask, and their FSC.

        As many as fit are computed at once. Each is kept separately, and out of memory until all are there: a run
        resumed with another budget reuses all that are done.
        """
        size, radius, count = self.passes.disc.box_size, self.passes.disc.radius, len(frequencies)
        gridding = gridding_correction(size)
        initial = first_prior(frequencies, mean.prior, noise, size)
        names = [f"column-{column:03d}" for column in range(count)]
        missing = [column for column in range(count) if not self.kept.has(names[column])]
        held: dict[str, dict[str, np.ndarray]] = {}
        starts, progress = range(0, len(missing), self.plan.column_batch), self.context.progress
        forecast = Forecast("covariance columns", count, progress)
        with self.passes.shown(progress, "covariance columns", passes=len(starts)):
            for first in starts:
                part = np.array(missing[first : first + self.plan.column_batch])
                sums = accumulate_columns(self.passes, frequencies[part], mean_ft, window, noise, self.halves)
                solved, agreement = solve_columns(sums, initial[part], mask, gridding, radius=radius)
                del sums  # before the next ones are allocated
                for column, pair, fsc in zip(part, solved.reshape(len(part), 2, -1), agreement, strict=True):
                    arrays = {"volumes": pair, "fsc": fsc}
                    if self.kept.is_kept:
                        self.kept.keep(names[column], arrays)
                    else:
                        held[names[column]] = arrays
                del solved
                forecast.look(count - len(missing) + first + len(part))
        volumes = np.empty((2 * count, int((mask > 0).sum())), dtype=np.float32)
        curves = np.empty((count, size // 2 + 1), dtype=np.float32)
        for column, name in enumerate(names):
            found = self.kept.find(name)
            arrays = held.pop(name) if found is None else found[0]
            volumes[2 * column : 2 * column + 2], curves[column] = arrays["volumes"], arrays["fsc"]
        return volumes, curves

    def _find_components(
        self,
        basis: Float[Tensor, "k v"],
        mean: HalfSetMean,
        mean_ft: FourierVolume,
        mask: Float[Tensor, "z y x"],
        noise: Float[np.ndarray, "s"],
    ) -> dict[str, np.ndarray]:
        """Leading components inside the mask (k, v), variances of all, and the noise bounded by them.

        ``basis`` spans the columns, inside the mask.
        """
        leading = max(self.settings.dimensions)
        if self.settings.fit_contrast:
            basis = with_mean_first(basis, mean.volume[mask > 0])
        # The noise is bounded by the residuals of a fit of the leading span of the columns.
        power = bound_noise(self.passes, mean_ft, spectra_inside(basis[:leading], mask), noise)
        covariance = project_covariance(self.passes, mean_ft, spectra_inside(basis, mask), power)
        # Contrast varies the volumes along the mean: that direction is left out.
        own = slice(1 if self.settings.fit_contrast else 0, None)
        volumes, variances = principal_volumes(basis[own], covariance[own, own])
        return {"components": volumes[:leading].numpy(), "variances": variances, "noise": power}
