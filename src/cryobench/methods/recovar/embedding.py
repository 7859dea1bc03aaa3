"""Coordinates of each particle along the principal volumes, and their precision (step l).

With G = (A U_d)ᴴ Γ⁻¹ (A U_d), b = (A U_d)ᴴ Γ⁻¹ y, g = (A U_d)ᴴ Γ⁻¹ A μ and contrast c,

    z(c) = (c² G + Λ⁻¹)⁻¹ (c b − c² g),      P = (G' + Λ⁻¹) G'⁻¹ (G' + Λ⁻¹),  G' = c² G,

z the most probable coordinates and P the inverse covariance of that estimator. c is the grid point of
least residual plus prior. Without regularisation Λ⁻¹ = 0 and P = G'.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from cryobench.imaging.grid import FourierVolume
from cryobench.methods.recovar.whitened import Whitening, small_batches, whitened_products
from cryobench.reconstruction.decoders.kernel_regression.precisions import pack_symmetric
from cryobench.reconstruction.engine import Passes, Rows, Sums
from cryobench.reconstruction.images import PosedSpectra, predict_images

CONTRASTS = np.linspace(0, 2, 51)[1:]
"""Grid of contrasts (published: 50 points of (0, 2])."""

_RIDGE = 1e-6


def embed(
    passes: Passes,
    mean_ft: FourierVolume,
    basis_ft: FourierVolume,
    variances: Float[np.ndarray, "k"],
    noise: Float[np.ndarray, "s"],
    dimensions: tuple[int, ...],
    *,
    fit_contrast: bool,
) -> dict[str, np.ndarray]:
    """Embeddings along the first d principal volumes, for each of several d; one pass over the particles.

    Arrays by name, such as ``latents_4``, and ``latents_4_noreg`` without regularisation: ``latents`` (n, d),
    ``precisions`` (n, d (d + 1) / 2), the upper triangles of inverse covariances of the estimated latents,
    ``contrasts`` (n,), all float32; and ``gain``, the mean over particles of log p(y | μ, U, Λ) − log p(y | μ),
    z integrated over; 0 without regularisation.
    """
    sums, rows = passes.run(_embed, mean_ft, basis_ft, variances, noise, dimensions, fit_contrast)
    return rows | {name: np.array(value / len(passes)) for name, value in sums.items()}


def _embed(
    spectra: PosedSpectra,
    mean_ft: FourierVolume,
    basis_ft: FourierVolume,
    variances: Float[np.ndarray, "k"],
    noise: Float[np.ndarray, "s"],
    dimensions: tuple[int, ...],
    fit_contrast: bool,
) -> tuple[Sums, Rows]:
    disc, device = spectra.disc, spectra.device
    mean_ft, basis_ft = mean_ft.to(device), basis_ft.to(device)
    whitening = Whitening(disc, noise, device)
    grid = torch.from_numpy(CONTRASTS if fit_contrast else np.ones(1)).to(device)
    found: dict[str, list[np.ndarray]] = {}
    visited: list[np.ndarray] = []
    sums: dict[str, float] = {}
    for batch in spectra.batches():
        for part in small_batches(batch, disc, basis_ft.n_volumes):
            data, mean = whitening.data(part.data), whitening.data(predict_images(mean_ft, part, disc))
            visited.append(part.indices)
            rows = whitening.rows(basis_ft, part)
            gram, match, with_mean = (values.double() for values in whitened_products(rows, data, mean))
            of_mean = ((mean * mean).sum(-1).double(), (mean * data).sum(-1).double())
            for d in dimensions:
                products = (gram[:, :d, :d], with_mean[:, :d], of_mean[0])
                matches = (match[:, :d], of_mean[1])
                prior = torch.diag(torch.from_numpy(1 / variances[:d]).to(gram))
                for suffix, used in (("", prior), ("_noreg", torch.zeros_like(prior))):
                    *parts, gain = _solve(products, matches, used, grid)
                    latents, precisions, contrasts = (values.float().cpu().numpy() for values in parts)
                    sums[f"gain_{d}{suffix}"] = sums.get(f"gain_{d}{suffix}", 0.0) + float(gain.sum())
                    found.setdefault(f"latents_{d}{suffix}", []).append(latents)
                    found.setdefault(f"precisions_{d}{suffix}", []).append(pack_symmetric(precisions))
                    found.setdefault(f"contrasts_{d}{suffix}", []).append(contrasts)
    in_order = np.argsort(np.concatenate(visited))
    return sums, {name: np.concatenate(values)[in_order] for name, values in found.items()}


def _solve(
    products: tuple[Float[Tensor, "m d d"], Float[Tensor, "m d"], Float[Tensor, "m"]],
    matches: tuple[Float[Tensor, "m d"], Float[Tensor, "m"]],
    prior: Float[Tensor, "d d"],
    contrasts: Float[Tensor, "c"],
) -> tuple[Float[Tensor, "m d"], Float[Tensor, "m d d"], Float[Tensor, "m"], Float[Tensor, "m"]]:
    """Latents, precisions, contrasts and gains in log-likelihood of a batch."""
    gram, with_mean, mean_power = products
    match, mean_match = matches
    d = gram.shape[-1]
    eye = torch.eye(d, dtype=gram.dtype, device=gram.device)
    ridge = _RIDGE * gram.diagonal(dim1=-2, dim2=-1).mean(-1)[:, None, None] * eye
    scale = contrasts[None, :, None, None]
    systems = scale**2 * (gram + ridge)[:, None] + prior
    sides = contrasts[None, :, None] * match[:, None] - (contrasts**2)[None, :, None] * with_mean[:, None]
    latents = torch.linalg.solve(systems, sides[..., None])[..., 0]
    # |y − c A (μ + U z)|² + zᵀ Λ⁻¹ z without |y|²: at the solution the terms in z sum to −zᵀ side.
    cost = contrasts**2 * mean_power[:, None] - 2 * contrasts * mean_match[:, None] - (latents * sides).sum(-1)
    best = cost.argmin(dim=1)
    chosen = torch.arange(len(gram), device=gram.device)
    own = contrasts[best]
    scaled = own[:, None, None] ** 2 * (gram + ridge)
    total = scaled + prior
    precisions = total @ torch.linalg.solve(scaled, total)
    gain = torch.zeros_like(own)
    if bool((prior.diagonal() > 0).all()):
        fitted = (mean_power - 2 * mean_match - cost[chosen, best]) / 2
        gain = fitted - (torch.logdet(total) - torch.logdet(prior)) / 2
    return latents[chosen, best], precisions, own, gain
