"""Mean, noise and the principal volumes with their variances: steps b to k, each kept when finished."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cryobench._progress import Progress
from cryobench.imaging.grid import FourierVolume, gridding_correction, volume_to_fourier
from cryobench.imaging.layout import GridLayout
from cryobench.methods._shared.checkpoint import Checkpoint
from cryobench.methods._shared.passes import Passes
from cryobench.methods.recovar.column_choice import choose_columns, estimate_variance
from cryobench.methods.recovar.columns import accumulate_columns
from cryobench.methods.recovar.low_rank import find_subspace
from cryobench.methods.recovar.mean import Mean, estimate_mean
from cryobench.methods.recovar.noise import bound_noise, estimate_noise_outside
from cryobench.methods.recovar.plan import Plan
from cryobench.methods.recovar.projected import principal_volumes, project_covariance
from cryobench.methods.recovar.regularise import solve_columns
from cryobench.methods.recovar.settings import RecovarSettings

_PRIOR_FACTOR = 1e-2
"""First prior of a column over the outer product of the mean's (published)."""


@dataclass(frozen=True)
class LinearModel:
    """x = μ + Σ_k z_k V_k with z_k of variance λ_k, seen in noise of power σ²."""

    mean: Mean
    noise: np.ndarray
    """(radius + 1,) of the unnormalised transform."""
    mask: Tensor
    """(z, y, x)."""
    components: Tensor
    """(k, z, y, x) orthonormal, by descending variance; zero outside the mask."""
    variances: np.ndarray
    """(k,)."""
    frequencies: np.ndarray
    """(c, 3) of the covariance columns, (x, y, z) index units."""
    column_fsc: np.ndarray
    """(c, s) of their half-sets."""

    def spectrum(self, components: int | None = None) -> tuple[FourierVolume, FourierVolume]:
        """Mean and components ready for slicing."""
        return self.mean.spectrum(), volume_to_fourier(self.components[:components])


Masks = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Mask and dilated mask, given the mean."""


def estimate_model(
    passes: Passes,
    halves: np.ndarray,
    sphere: Tensor,
    masks: Masks,
    plan: Plan,
    settings: RecovarSettings,
    seed: int,
    kept: Checkpoint,
    progress: Progress,
) -> LinearModel:
    """All of it for particles in half-sets (n,) 0 or 1. Errors as ``Recovar.reconstruct``."""
    with progress.task("mean, noise, variance", total=3) as task:
        white = np.full(passes.disc.radius + 1, passes.mean_power[-max(1, passes.disc.radius // 4) :].mean())
        mean = Mean.from_arrays(kept.take("mean", lambda: estimate_mean(passes, halves, white, sphere).to_arrays()))
        task.advance()
        mask, dilated = masks(mean.volume)
        mean_ft = mean.spectrum()
        noise = kept.take("noise", lambda: {"noise": estimate_noise_outside(passes, mean_ft, dilated)[0]})["noise"]
        task.advance()
        window = dilated if settings.mask_images else None
        variance = kept.take(
            "variance", lambda: _name_variance(*estimate_variance(passes, mean_ft, window, noise, halves))
        )
        task.advance()
    frequencies = choose_columns(
        torch.from_numpy(variance["variance"]),
        torch.from_numpy(variance["weight"]),
        GridLayout(passes.disc.box_size, 1, "trilinear"),
        n_columns=plan.n_columns,
        radius=min(settings.column_radius, passes.disc.radius - 1),
        exclusion=settings.column_exclusion,
    )
    columns, curves = _find_columns(passes, frequencies, mean, window, mask, noise, halves, plan, kept, progress)
    inside = torch.nonzero(mask.flatten() > 0)[:, 0]

    def spread(volumes: Tensor) -> Tensor:
        full = torch.zeros(len(volumes), mask.numel())
        full[:, inside] = volumes
        return full.reshape(-1, *mask.shape)

    def find_components() -> dict[str, np.ndarray]:
        basis = find_subspace(columns, plan.n_components, seed)[0]
        if settings.fit_contrast:
            basis = _with_mean_first(basis, mean.volume.flatten()[inside])
        # What the columns span most of, fitted to the images, bounds the noise by what it leaves over.
        spanned = basis[: max(settings.dimensions)]
        power = bound_noise(passes, mean_ft, volume_to_fourier(spread(spanned)), noise)
        covariance = project_covariance(passes, mean_ft, volume_to_fourier(spread(basis)), power)
        # What contrast adds lies along the mean and is left there.
        kept = slice(1 if settings.fit_contrast else 0, None)
        volumes, variances = principal_volumes(basis[kept], covariance[kept, kept])
        leading = volumes[: max(settings.dimensions)]
        return {"components": leading.numpy(), "variances": variances, "noise": power}

    with progress.task("covariance in the subspace"):
        found = kept.take("components", find_components)
    components = spread(torch.from_numpy(found["components"]))
    return LinearModel(mean, found["noise"], mask, components, found["variances"], frequencies, curves)


def _name_variance(variance: Tensor, weight: Tensor) -> dict[str, np.ndarray]:
    return {"variance": variance.cpu().numpy(), "weight": weight.cpu().numpy()}


def _find_columns(
    passes: Passes,
    frequencies: np.ndarray,
    mean: Mean,
    window: Tensor | None,
    mask: Tensor,
    noise: np.ndarray,
    halves: np.ndarray,
    plan: Plan,
    kept: Checkpoint,
    progress: Progress,
) -> tuple[np.ndarray, np.ndarray]:
    """Regularised columns as real volumes (2 c, v) inside the mask, and their FSC (c, s), batch by batch."""
    size = passes.disc.box_size
    mean_ft = mean.spectrum()
    gridding = gridding_correction(size)
    initial = _first_prior(frequencies, mean.prior, noise, size)
    volumes, curves = [], []
    with progress.task("covariance columns", total=len(frequencies)) as task:
        for first in range(0, len(frequencies), plan.column_batch):
            part = slice(first, first + plan.column_batch)

            def compute(part: slice = part) -> dict[str, np.ndarray]:
                sums = accumulate_columns(passes, frequencies[part], mean_ft, window, noise, halves)
                solved, fsc = solve_columns(sums, initial[part], mask, gridding, radius=passes.disc.radius)
                return {"volumes": solved, "fsc": fsc}

            found = kept.take(f"columns-{first:03d}", compute)
            volumes.append(found["volumes"])
            curves.append(found["fsc"])
            task.advance(len(found["fsc"]))
    return np.concatenate(volumes), np.concatenate(curves)


def _first_prior(frequencies: np.ndarray, prior: np.ndarray, noise: np.ndarray, size: int) -> np.ndarray:
    """(c, s) noise over prior power of each column: the outer products of noise and of the mean's prior."""
    shells = np.minimum(np.floor(np.sqrt((frequencies**2).sum(axis=1)) + 0.5).astype(int), size // 2)
    power = np.concatenate([noise, np.repeat(noise[-1:], size // 2 + 1 - len(noise))])
    ratio = power / np.maximum(prior, 1e-30)
    return ratio * ratio[shells][:, None] / _PRIOR_FACTOR


def _with_mean_first(basis: Tensor, mean: Tensor) -> Tensor:
    """Orthonormal volumes (k + 1, v) of which the first is the mean's direction."""
    stacked = torch.cat([mean[None] / torch.linalg.norm(mean), basis])
    return torch.linalg.qr(stacked.T).Q.T.contiguous()
