"""Noise power of each shell, from the images outside the molecule (step d).

An image mask m' = 1 − m, m the projected dilated mask, reduces noise of power σ²(q) to the power
Σ_q |M'(p − q)|² σ²(q) / n⁴ at p. For a slowly varying spectrum that is σ²(p) times the fraction of |M'|²
from inside the disc, which is summed exactly. The spectrum found outside is bounded from above by that of the
residual inside, which contains the heterogeneity as well; where the mask leaves no pixels outside, only the bound
is used.
A molecule that fills its box, or whose image the CTF spreads beyond the mask, leaves signal outside. So once the
subspace is known, the residual of a fit by its leading volumes, corrected for its degrees of freedom, is a third
bound (``bound_noise``; not in the published method):

    σ² <= Σ |y − A (μ + U z)|² / Σ (1 − x_p G⁻¹ x_pᵀ / 2),   z the least-squares fit, x_p its whitened rows.

Source: Gilles & Singer, PNAS 122 (2025), doi:10.1073/pnas.2419140122, supplementary text on noise estimation.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from cryobench.fourier import fft_images, ifft_images
from cryobench.imaging.grid import FourierVolume
from cryobench.imaging.half_disc import HalfDisc
from cryobench.methods.recovar.masks import MaskedImages
from cryobench.methods.recovar.whitened import Whitening, small_batches, whitened_products
from cryobench.reconstruction.engine import Passes, Rows, Sums
from cryobench.reconstruction.images import PosedSpectra, subtract_volume

_LEAST_OUTSIDE = 0.02
_LEAST_SHARE = 0.1


def estimate_noise_outside(
    passes: Passes, mean_ft: FourierVolume, mask: Float[Tensor, "z y x"]
) -> tuple[Float[np.ndarray, "s"], Float[np.ndarray, "s"]]:
    """Noise power (radius + 1,) of the unnormalised transform, and that of the residual inside the mask.

    ``mask`` (z, y, x) is the dilated one. A shell without positive power gets a tenth of the images'
    power.
    """
    sums, _ = passes.run(_measure, mean_ft, mask)
    n, disc = len(passes), passes.disc
    inside = _normalise(sums["inside"] / n, sums["inside_window"] / n, disc)
    outside = inside
    if sums["outside_area"] / n > _LEAST_OUTSIDE:
        outside = _normalise(sums["outside"] / n, sums["outside_window"] / n, disc)
    noise = np.minimum(inside, outside)
    return np.where(noise > 0, noise, passes.mean_power / 10), inside


def _measure(spectra: PosedSpectra, mean_ft: FourierVolume, mask: Float[Tensor, "z y x"]) -> tuple[Sums, Rows]:
    disc, device = spectra.disc, spectra.device
    window = MaskedImages.of(mask.to(device), disc)
    mean_ft = mean_ft.to(device)
    size, half = disc.box_size, disc.box_size // 2 + 1
    sums: dict = {"outside_area": 0.0}
    for name in ("inside", "outside"):
        sums[name] = np.zeros(disc.radius + 1)
        sums[name + "_window"] = torch.zeros(size, half, dtype=torch.float64)
    for batch in spectra.batches():
        masks = window.project(batch.rotations)
        residual = subtract_volume(batch, mean_ft, disc).data
        for name, data, part in (("inside", residual, masks), ("outside", batch.data, 1 - masks)):
            power = window.apply(data, part).abs().square()
            sums[name] += disc.sum_shells(power).sum(0).cpu().numpy()
            sums[name + "_window"] += fft_images(part).abs().square().double().sum(0).cpu()
        sums["outside_area"] += float((1 - masks).square().mean(dim=(1, 2)).sum())
    return sums, {}


def bound_noise(
    passes: Passes, mean_ft: FourierVolume, basis_ft: FourierVolume, noise: Float[np.ndarray, "s"]
) -> Float[np.ndarray, "s"]:
    """The smaller of a noise power (radius + 1,) and that of the residuals of fits by mean and components."""
    sums, _ = passes.run(_measure_fits, mean_ft, basis_ft, noise)
    return np.minimum(noise, sums["power"] / np.maximum(sums["freedom"], 1e-30))


def _measure_fits(
    spectra: PosedSpectra, mean_ft: FourierVolume, basis_ft: FourierVolume, noise: Float[np.ndarray, "s"]
) -> tuple[Sums, Rows]:
    disc, device = spectra.disc, spectra.device
    mean_ft, basis_ft = mean_ft.to(device), basis_ft.to(device)
    eye = torch.eye(basis_ft.n_volumes, device=device)
    weights = torch.from_numpy(disc.weights).to(device)
    # Factor of an entry of a whitened row.
    entry = (2 * weights / torch.from_numpy(noise[disc.shells]).to(device)).float()
    power, freedom = np.zeros(disc.radius + 1), np.zeros(disc.radius + 1)
    whitening = Whitening(disc, noise, device)
    for batch in spectra.batches():
        for part in small_batches(batch, disc, basis_ft.n_volumes):
            data = whitening.data(subtract_volume(part, mean_ft, disc).data)
            rows = whitening.rows(basis_ft, part)
            gram, match = whitened_products(rows, data)
            ridge = 1e-6 * gram.diagonal(dim1=-2, dim2=-1).mean(-1)[:, None, None] * eye
            inverse = torch.linalg.inv((gram + ridge).double()).float()
            left = data - (rows @ (inverse @ match[..., None]))[..., 0]
            leverage = ((rows @ inverse) * rows).sum(-1)
            # Both parts of an entry, without its weight, which the sum over a shell applies again.
            squares, shares = (values.unflatten(-1, (-1, 2)).sum(-1) for values in (left.square(), leverage))
            power += disc.sum_shells(squares / entry).sum(0).cpu().numpy()
            freedom += disc.sum_shells(1 - shares / (2 * weights)).sum(0).cpu().numpy()
    return {"power": power, "freedom": freedom}, {}


def _normalise(power: Float[np.ndarray, "s"], window: Float[Tensor, "y h"], disc: HalfDisc) -> Float[np.ndarray, "s"]:
    """Mean power of each shell relative to that of windowed white noise of power one within the disc."""
    size = disc.box_size
    within = disc.to_images(torch.ones(1, len(disc.index), dtype=torch.complex128))
    # Σ_q |M(p − q)|² over the disc, computed in real space.
    left = fft_images(ifft_images(window + 0j, size) * within[0]).real * size**2
    shares = disc.sum_shells(disc.pack(left)[None] / size**4)[0].numpy() / disc.shell_weights
    return power / disc.shell_weights / np.maximum(shares, _LEAST_SHARE * shares.max())
