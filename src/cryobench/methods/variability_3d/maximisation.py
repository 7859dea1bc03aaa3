"""The maximisation step: components from the sums, voxel by voxel, and then as volumes.

At every voxel of the spectrum the K components solve

    (T + diag(1 / τ²_k)) V = F
    T_kl = Σ_i α_i² z_ik z_il insert(C² / σ²),   F_k = Σ_i α_i z_ik insert(C (y − α C μ) / σ²)

where F is computed as E + T V', from the components V' under which the latents were found and their residuals,
E_k = Σ_i α_i z_ik insert(C (y − α C (μ + Σ z V')) / σ²). With exact interpolation both are equal. With the
trilinear kernel F / T is biased where weights vary steeply, at low frequencies, and this bias vanishes at
convergence. τ²_k is the power of F_k in excess of its noise, shell by shell, as in
``reconstruction.statistics.priors``. In real space components are corrected for the grid, masked and band-limited;
``orthonormalise`` rotates them so that the latents are uncorrelated.
"""

import numpy as np
import torch
from jaxtyping import Complex, Float, Num
from torch import Tensor

from cryobench.fourier import fft_volume, frequency_grid, hermitian_weights, ifft_volume
from cryobench.imaging.grid import gridding_correction
from cryobench.reconstruction.statistics import NOISE_GAIN, estimate_prior

_VOXELS = 1 << 18


def solve_voxels(moments: Float[Tensor, "v t"], target: Num[Tensor, "v k"]) -> Num[Tensor, "v k"]:
    """Solutions (v, k) of K x K systems, K vectors at a time: by Cholesky factors, for all voxels at once.

    Parameters
    ----------
    moments
        (v, k (k + 1) / 2) upper triangles, row by row, positive definite.
    target
        (v, k) real or complex right-hand sides.
    """
    k = target.shape[1]
    position = {(int(a), int(b)): entry for entry, (a, b) in enumerate(torch.triu_indices(k, k).T)}
    factor: dict[tuple[int, int], Tensor] = {}
    for a in range(k):
        for b in range(a + 1):
            total = moments[:, position[b, a]].clone()
            for c in range(b):
                total -= factor[a, c] * factor[b, c]
            factor[a, b] = total.clamp(min=1e-30).sqrt() if a == b else total / factor[b, b]
    solved = list(target.unbind(1))
    for a in range(k):
        solved[a] = (solved[a] - sum(factor[a, c] * solved[c] for c in range(a))) / factor[a, a]
    for a in reversed(range(k)):
        solved[a] = (solved[a] - sum(factor[c, a] * solved[c] for c in range(a + 1, k))) / factor[a, a]
    return torch.stack(solved, dim=1)


def multiply_voxels(moments: Float[Tensor, "v t"], values: Num[Tensor, "v k"]) -> Num[Tensor, "v k"]:
    """Products (v, k) of the symmetric matrices of ``solve_voxels`` with vectors (v, k)."""
    k = values.shape[1]
    product = torch.zeros(values.shape, dtype=torch.complex128, device=values.device)
    for entry, (a, b) in enumerate(torch.triu_indices(k, k).T):
        product[:, a] += moments[:, entry] * values[:, b]
        if a != b:
            product[:, b] += moments[:, entry] * values[:, a]
    return product


def estimate_components(
    left_over: Complex[Tensor, "z y h k"],
    moments: Float[Tensor, "z y h t"],
    former: Float[Tensor, "k z y x"],
    mask: Float[Tensor, "z y x"],
    band: tuple[float, float],
) -> tuple[Float[Tensor, "k z y x"], Float[np.ndarray, "s"]]:
    """Components in a mask and a band, and their degrees of freedom.

    Parameters
    ----------
    left_over, moments
        E and T, the latter k (k + 1) / 2 for each entry, from ``MomentAccumulator.half_spectra``.
    former
        V', or zeros if E was summed without them.
    mask
        (z, y, x).
    band
        Lowest and highest |k| in index units.

    Returns
    -------
    The components, and (radius + 1,) the real degrees of freedom of all together in each shell.
    """
    size, k = mask.shape[-1], left_over.shape[-1]
    diagonal = [entry for entry, (a, b) in enumerate(torch.triu_indices(k, k).T) if a == b]
    radii = _radii(size, mask.device)
    inside = ((radii <= band[1] + 1e-4) & (radii >= band[0] - 1e-4)).flatten()
    shells = (radii + 0.5).floor().long().flatten()[inside]
    count = hermitian_weights(size, device=mask.device).expand(size, size, -1).flatten()[inside].double()
    grid = gridding_correction(size).to(mask.device)
    left = moments.flatten(0, 2)[inside].double()
    # Before the division by the kernel's transform, a volume still contains it.
    carried = torch.stack([fft_volume(volume * grid).flatten()[inside] for volume in former], dim=1)
    right = left_over.flatten(0, 2)[inside].to(torch.complex128) + multiply_voxels(left, carried)
    weight = left[:, diagonal]

    def over_shells(values: Float[Tensor, "v k"]) -> Float[Tensor, "s k"]:
        total = torch.zeros(int(np.ceil(band[1])) + 2, k, dtype=torch.float64, device=values.device)
        return total.index_add_(0, shells, values * count[:, None])

    prior = estimate_prior(
        over_shells(right.abs().square() - NOISE_GAIN * weight),
        over_shells(weight),
        over_shells(weight.square()),
        over_shells(torch.ones_like(weight)),
    )[shells]
    fitted = over_shells(weight / (weight + prior)).sum(1) * float(mask.mean())
    left[:, diagonal] += prior
    for first in range(0, len(right), _VOXELS):
        part = slice(first, first + _VOXELS)
        right[part] = solve_voxels(left[part], right[part])
    values = torch.zeros(size * size * (size // 2 + 1), k, dtype=torch.complex64, device=mask.device)
    values[inside] = right.to(torch.complex64)
    spectra = values.reshape(size, size, size // 2 + 1, k).movedim(-1, 0)
    volumes = torch.stack([ifft_volume(spectrum, size) * mask / grid for spectrum in spectra])
    return cut_band(volumes, band), fitted[: int(band[1]) + 1].cpu().numpy()


def cut_band(volumes: Float[Tensor, "k z y x"], band: tuple[float, float]) -> Float[Tensor, "k z y x"]:
    """Volumes (k, z, y, x) without frequencies |k| outside a band (index units, ends included)."""
    size = volumes.shape[-1]
    radii = _radii(size, volumes.device)
    keeps = (radii <= band[1] + 1e-4) & (radii >= band[0] - 1e-4)
    return torch.stack([ifft_volume(fft_volume(volume) * keeps, size) for volume in volumes])


def _radii(size: int, device: torch.device) -> Float[Tensor, "z y h"]:
    """|k| in index units of every entry of a half-spectrum."""
    return torch.linalg.vector_norm(frequency_grid(size, 3, pixel_size=1 / size, device=device), dim=-1)


def orthonormalise(
    volumes: Float[Tensor, "k z y x"], latents: Float[np.ndarray, "n k"]
) -> tuple[Float[Tensor, "k z y x"], Float[np.ndarray, "k k"], Float[np.ndarray, "k"]]:
    """Orthonormal volumes of the same span along which the latents are uncorrelated.

    Parameters
    ----------
    volumes
        (k, z, y, x).
    latents
        (n, k).

    Returns
    -------
    Components (k, z, y, x) of unit norm, by descending variance, each with a sum of cubes that is not
    negative; the matrix B (k, k) such that z B are their latents; and the variances (k,).

    Raises
    ------
    ValueError
        If nothing varies.
    """
    flat = volumes.flatten(1).double()
    basis, triangle = torch.linalg.qr(flat.T)
    covariance = np.atleast_2d(np.cov(latents, rowvar=False, bias=True))
    upper = triangle.cpu().numpy()
    variances, turn = np.linalg.eigh(upper @ covariance @ upper.T)
    variances, turn = variances[::-1], turn[:, ::-1]
    if not variances[0] > 0 or not np.isfinite(variances).all():
        raise ValueError("all components vanished: these images show no variation in the given band and mask.")
    components = (torch.from_numpy(turn.T.copy()).to(flat.device) @ basis.T).reshape(volumes.shape)
    signs = np.where(components.flatten(1).pow(3).sum(1).cpu().numpy() < 0, -1.0, 1.0)
    components = components * torch.from_numpy(signs).to(flat.device)[:, None, None, None]
    # A vanished direction would never return: it keeps a millionth of the first.
    return components.float(), upper.T @ turn * signs, np.maximum(variances, 1e-6 * variances[0])
