"""Volumes at latents by kernel regression, the bandwidth chosen locally by cross-validation (methods.md 6, step m).

For each target and each half-set the particles near it, in the precision's metric, are back-projected with the
weights of several bandwidths (``bandwidths``): F_k = Σ w_ik A_i*(C_i y_i / σ²), W_k = Σ w_ik A_i*(C_i² / σ²), and

    V_k = F_k / (W_k + 1 / τ²).

The particles of the other half-set in the least bandwidth, F_t and W_t, judge them: up to a constant, the squared
residual of those particles is |√W_t V_k − F_t / √W_t|². It is summed over the windows and bands of frequencies of
``local_windows`` and over both half-sets, and in each window and band the bandwidth with the least is taken.

Source: Gilles & Singer, PNAS 122 (2025), e2419140122. Deviations, and why:

* The kernel is a staircase of ``n_bins`` steps, so a particle is inserted once for each target (``bandwidths``).
* Volumes are regularised by the signal power τ² that the half-sets show at the largest bandwidth, where the published
  ones are divided by a floored W: few particles leave most of W nearly empty, and dividing by it lets the noise of
  single entries choose the bandwidth. Of the noise only the mask's share counts: with all of it the prior is so
  strong that narrow bandwidths, of little W, lose by it (masked FSC-AUC 0.466 instead of 0.472, lite antibody).
* The filter by local FSC is Wiener's, 2 FSC / (1 + FSC), in the same windows and bands, without a threshold: with P₊
  and P₋ the powers of sum and difference of the half-sets' parts it is (P₊ − P₋)₊ / P₊.
* Bands of shells as wide as a window resolves, instead of single shells of a windowed transform (``local_windows``).
* Back-projection on the grid of the box, not on one twice as fine: an eighth of the memory and time.
* Volumes are cut to the mask: nothing outside is compared, so nothing there has been chosen.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from cryobench.methods._shared.half_sets import volume_fsc
from cryobench.methods._shared.passes import Passes, Rows, Sums
from cryobench.methods._shared.spectra import ParticleSpectra
from jaxtyping import Float, Int
from torch import Tensor

from cryobench._progress import Progress, Silent
from cryobench.imaging.interpolation import kernel_transform
from cryobench.imaging.layout import GridLayout
from cryobench.imaging.slices import choose_body
from cryobench.reconstruction.decoders.kernel_regression.bandwidths import Bins, divide_particles, squared_distances
from cryobench.reconstruction.decoders.kernel_regression.local_windows import LocalWindows

WINDOW_RADIUS = 20.0
"""Å, half-width of a window (published: about 20)."""
_BATCH_BYTES = 2e8
_BLOCK_BYTES = 1e8
_LEAST_FSC = 1e-3


@dataclass(frozen=True, eq=False)
class KernelVolume:
    """What was found at one target."""

    volume: Float[np.ndarray, "z y x"]
    """float32, 0 outside the mask."""
    half_set_fsc: Float[np.ndarray, "s"]
    """Of the two half-sets' parts, within the mask and after the common filter, which raises it a little."""
    bandwidths: Float[np.ndarray, "b"]
    """Squared distances tried."""
    chosen: Float[np.ndarray, "c"]
    """For each band of frequencies the median, over windows in the mask, of the number of the bandwidth chosen."""
    shells: Int[np.ndarray, "c 2"]
    """First and last shell of each band."""
    n_particles: int
    """Particles within the farthest bandwidth."""


def kernel_volumes(
    passes: Passes,
    targets: np.ndarray,
    latents: np.ndarray,
    precisions: np.ndarray,
    contrasts: np.ndarray,
    halves: np.ndarray,
    noise: Float[np.ndarray, "s"],
    *,
    mask: Float[np.ndarray, "z y x"],
    pixel_size: float,
    n_bins: int = 50,
    n_bandwidths: int = 17,
    min_particles: int = 100,
    window_radius: float = WINDOW_RADIUS,
    memory_bytes: float = 1e9,
    progress: Progress | None = None,
) -> Iterator[KernelVolume]:
    """Volume at each target, one after the other. Several targets share a pass over the particles.

    Parameters
    ----------
    passes
        The particles, up to the radius the volumes have.
    targets, latents, precisions
        (m, d) where volumes are wanted; (n, d) and (n, d, d), the particles' latents and their inverse covariances.
    contrasts
        (n,) factor of each particle's CTF.
    halves
        (n,) half-set of each particle, 0 or 1.
    noise
        (radius + 1,) power of the noise in each shell.
    mask
        Where the molecule can be.
    pixel_size
        Å.
    n_bins
        Steps of the kernel (published: 50).
    n_bandwidths
        How many of the bins' edges are tried as bandwidths (published: all).
    min_particles
        Of each half-set, within the least bandwidth (published: 100).
    window_radius
        Å, half-width of the windows; 3 voxels at least.
    memory_bytes
        For the sums of the targets done at a time.

    Raises
    ------
    ValueError
        If latents, precisions or targets are not finite or disagree in shape, a half-set has too few particles, or
        the sums of one target exceed ``memory_bytes``.
    """
    _check_latents(targets, latents, precisions, len(passes))
    if not 2 <= n_bandwidths <= n_bins:
        raise ValueError(f"n_bandwidths must be from 2 to n_bins = {n_bins}, got {n_bandwidths}.")
    size, radius = passes.disc.box_size, passes.disc.radius
    layout = GridLayout(size, 1, "trilinear")
    at_a_time = _count_targets(layout, n_bins, memory_bytes)
    window_px = max(window_radius / pixel_size, 3.0)
    windows = LocalWindows(mask, radius, window_px, device=passes.device)
    inverse_noise = (1 / noise).astype(np.float32)

    def all_groups() -> Iterator[KernelVolume]:
        with (progress or Silent()).task("volumes", total=len(targets)) as task:
            for start in range(0, len(targets), at_a_time):
                group = [
                    divide_particles(
                        squared_distances(latents, precisions, target),
                        halves,
                        n_bins=n_bins,
                        n_bandwidths=n_bandwidths,
                        min_particles=min_particles,
                    )
                    for target in targets[start : start + at_a_time]
                ]
                numerators, weights = _sum_bins(passes, group, halves, contrasts, inverse_noise)
                for target, bins in enumerate(group):
                    numerator = _full_spectra(numerators[target], layout, radius)
                    weight = _full_spectra(weights[target], layout, radius)
                    yield _regress(numerator, weight, bins, windows, mask)
                    task.advance()
                del numerators, weights  # before the next group's are made

    return all_groups()


def insert_bins(
    spectra: ParticleSpectra,
    inverse_noise: np.ndarray,
    n_volumes: int,
    contrasts: np.ndarray,
    volumes: np.ndarray,
) -> tuple[Sums, Rows]:
    """Half-slice sums (volumes, z, y, x) on the stored grid of particles put into volumes (n, m), −1 for none."""
    disc, device = spectra.disc, spectra.device
    layout = GridLayout(disc.box_size, 1, "trilinear")
    numerator = torch.zeros(n_volumes, *layout.shape, dtype=torch.complex64, device=device)
    weight = torch.zeros(n_volumes, *layout.shape, device=device)
    body = choose_body(numerator.device)
    inverse = torch.from_numpy(inverse_noise[disc.shells]).to(device)
    most = max(1, int(_BATCH_BYTES / (12 * disc.box_size * (disc.box_size // 2 + 1))))
    held: list[tuple[Tensor, Tensor, Tensor]] = []
    first = 0

    def insert(last: int) -> None:
        data, weights, rotations = (torch.cat(parts) for parts in zip(*held, strict=True))
        particle, which = np.nonzero(volumes[first:last] >= 0)
        into = volumes[first:last][particle, which]
        order = np.argsort(into, kind="stable")  # volume by volume, so that each stays in the cache
        entries = [torch.from_numpy(array[order].astype(np.int64)).to(device) for array in (particle, into)]
        factors = torch.ones(len(order), device=device)
        rest = (rotations, layout, float(disc.radius))
        body.accumulate((data, weights), (numerator, weight), (entries[0], entries[1], factors), *rest)

    for packed in spectra.batches():
        contrast = torch.from_numpy(contrasts[packed.indices]).float().to(device)[:, None]
        transfer = packed.ctf * contrast
        scaled = transfer * inverse
        held.append((disc.unpack(scaled * packed.data), disc.unpack(scaled * transfer), packed.rotations))
        last = int(packed.indices[-1]) + 1
        if last - first >= most:
            insert(last)
            held.clear()
            first = last
    if held:
        insert(len(spectra))
    return {"numerator": numerator, "weight": weight}, {}


def _sum_bins(
    passes: Passes, group: Sequence[Bins], halves: np.ndarray, contrasts: np.ndarray, inverse_noise: np.ndarray
) -> tuple[Tensor, Tensor]:
    """Sums (m, 2, b, z, y, x) of half-slices on the stored grid, for both half-sets and all bins of the targets."""
    n_bins = len(group[0].edges)
    volumes = np.stack(
        [
            np.where(bins.members >= 0, (2 * target + halves) * n_bins + bins.members, -1)
            for target, bins in enumerate(group)
        ],
        axis=1,
    )
    sums, _ = passes.run(
        insert_bins, inverse_noise, 2 * len(group) * n_bins, own=(contrasts.astype(np.float32), volumes)
    )
    shape = (len(group), 2, n_bins)
    return sums["numerator"].unflatten(0, shape), sums["weight"].unflatten(0, shape)


def _full_spectra(stored: Tensor, layout: GridLayout, radius: int) -> Tensor:
    """Sums of full slices (2, b, part, z, y, x) on −r … r, −r … r, 0 … r from those of half-slices as stored.

    Real and imaginary part are one after the other; weights have one part.
    """
    near = slice(layout.center - radius, layout.center + radius + 1)
    cut = stored[..., near, near, layout.center_x : layout.center_x + radius + 1]
    if stored.is_complex():
        parts = torch.view_as_real(cut).movedim(-1, 2).contiguous()
        sign = torch.tensor([1.0, -1.0], device=stored.device)[:, None, None]
    else:
        parts, sign = cut[:, :, None].contiguous(), 1.0
    plane = parts[..., 0]
    plane += plane.flip(-1, -2) * sign
    return parts


def _regress(numerator: Tensor, weight: Tensor, bins: Bins, windows: LocalWindows, mask: np.ndarray) -> KernelVolume:
    """Choose bandwidths and put the volume together, from sums (2, b, part, z, y, x) of the bins."""
    device, radius = numerator.device, windows.radius
    kernel = torch.from_numpy(bins.weights).float().to(device)
    rows = (numerator.flatten(2), weight.flatten(2))

    def weighted(first: int, last: int) -> tuple[Tensor, Tensor]:
        """F (2, k, 2, z, y, x) and W (2, k, 1, z, y, x) at some bandwidths."""
        f, w = (kernel[first:last] @ part for part in rows)
        return f.unflatten(2, numerator.shape[2:]), w.unflatten(2, weight.shape[2:])

    # The half-sets' FSC holds the noise of the whole box, the volume only what of it is in the mask.
    prior = _invert_prior(*weighted(len(kernel) - 1, len(kernel)), radius) * float((mask**2).mean())
    root = weight[:, 0].flip(0).sqrt()
    whitened = torch.where(root > 0, numerator[:, 0].flip(0) / root.clamp(min=1e-12), 0)

    step = max(1, int(_BLOCK_BYTES / (4 * numerator[:, 0].numel())))
    blocks = [(first, min(first + step, len(kernel))) for first in range(0, len(kernel), step)]
    power = [torch.zeros(len(kernel), *windows.windows, device=device) for _ in windows.bands]
    for first, last in blocks:
        f, w = weighted(first, last)
        for half in (0, 1):
            difference = f[half].mul_(root[half] / (w[half] + prior)).sub_(whitened[half])
            for band, found in zip(windows.bands, power, strict=True):
                found[first:last] += windows.measure_power(difference, band)
    choices = [_choose(found) for found in power]

    voxels = [part.stop - part.start for part in windows.region]
    parts = torch.zeros(2, *voxels, device=device)
    for first, last in blocks:
        f, w = weighted(first, last)
        f.mul_(1 / (w[0] + w[1] + prior))
        for band, choice in zip(windows.bands, choices, strict=True):
            chosen = choice == torch.arange(first, last, device=device)[:, None, None, None]
            used = chosen.flatten(1).any(1).nonzero()[:, 0]
            if len(used) == 0:
                continue
            first_part, second_part = f[0][used], f[1][used]
            together = windows.measure_power(first_part + second_part, band)
            noise = windows.measure_power(first_part - second_part, band)
            gain = chosen[used] * (1 - noise / together.clamp(min=1e-30)).clamp(min=0)
            parts[0] += windows.put_together(first_part, band, gain)
            parts[1] += windows.put_together(second_part, band, gain)
    size = windows.box_size
    axis = kernel_transform("trilinear", size, 1)
    gain = mask / (size**3 * axis[:, None, None] * axis[:, None] * axis)
    first_half, second_half = (torch.from_numpy((windows.place(part) * gain).astype(np.float32)) for part in parts)
    relevant = [found.amax(0) > 0 for found in power]
    medians = [
        float(choice[within].double().median()) if within.any() else float(len(kernel) - 1)
        for choice, within in zip(choices, relevant, strict=True)
    ]
    return KernelVolume(
        (first_half + second_half).numpy(),
        volume_fsc(first_half, second_half),
        bins.bandwidths,
        np.array(medians),
        np.array(windows.shells),
        int((bins.members >= 0).sum()),
    )


def _choose(power: Tensor) -> Tensor:
    """Bandwidth with the least power in each window; the largest where nothing was compared."""
    return torch.where(power.amax(0) > 0, power.argmin(0), len(power) - 1)


def _invert_prior(numerator: Tensor, weight: Tensor, radius: int) -> Tensor:
    """1 / τ² (1, z, y, x) from F and W (2, 1, part, z, y, x) of the half-sets: τ² = FSC / (1 − FSC) / mean of W."""
    shells = _shells(radius).to(weight.device)
    flat = shells.flatten().clamp(max=radius + 1)
    double = torch.full_like(shells, 2.0, dtype=torch.float64)
    double[..., 0] = 1.0

    def over_shells(values: Tensor) -> Tensor:
        rows = torch.zeros(radius + 2, dtype=torch.float64, device=values.device)
        return rows.index_add_(0, flat, (values.double() * double).flatten())

    counts = over_shells(torch.ones_like(double))
    mean_weight = over_shells(weight.mean((0, 1, 2))) / counts
    floor = (mean_weight * 1e-3).clamp(min=1e-30)[flat].reshape(shells.shape).float()
    first, second = numerator[:, 0] / (weight[:, 0] + floor)
    power = (over_shells(first.square().sum(0)) * over_shells(second.square().sum(0))).sqrt()
    curve = over_shells((first * second).sum(0)) / power.clamp(min=1e-30)
    curve = curve.clamp(_LEAST_FSC, 1 - _LEAST_FSC)
    inverse = (1 - curve) / curve * mean_weight
    inverse[-1] = inverse[:-1].max()
    return inverse.clamp(min=1e-30)[flat].reshape(1, *shells.shape).float()


def _shells(radius: int) -> Tensor:
    """|k| rounded on −r … r, −r … r, 0 … r."""
    full = torch.arange(-radius, radius + 1)
    squared = full[:, None, None] ** 2 + full[:, None] ** 2 + torch.arange(radius + 1) ** 2
    return (squared.double().sqrt() + 0.5).floor().long()


def count_bins(box_size: int, memory_bytes: float) -> int:
    """How many bins of one target fit, with as much again to work on them."""
    return int(memory_bytes / (2 * _bytes_of_bin(GridLayout(box_size, 1, "trilinear"))))


def _bytes_of_bin(layout: GridLayout) -> float:
    """Numerator and weight of both half-sets."""
    return 2 * 12 * float(np.prod(layout.shape))


def _count_targets(layout: GridLayout, n_bins: int, memory_bytes: float) -> int:
    """Targets whose sums fit; twice those of one are needed, to work on them. ValueError if not even one fits."""
    each = n_bins * _bytes_of_bin(layout)
    if 2 * each > memory_bytes:
        fitting = count_bins(layout.box_size, memory_bytes)
        raise ValueError(
            f"the sums of {n_bins} bins of {layout.box_size} px take {2 * each / 1e9:.2f} GB for one volume, and "
            f"there are {memory_bytes / 1e9:.2f} GB: "
            + (f"n_bins = {fitting} would fit. " if fitting >= 2 else "not even two bins fit. ")
            + "Raise memory_gb or lower n_bins."
        )
    return int(memory_bytes / each) - 1


def _check_latents(targets: np.ndarray, latents: np.ndarray, precisions: np.ndarray, n: int) -> None:
    width = latents.shape[1]
    if len(latents) != n or precisions.shape != (n, width, width) or targets.shape[1] != width:
        raise ValueError(
            f"{n} particles need latents ({n}, d), precisions ({n}, d, d) and targets (m, d), got {latents.shape}, "
            f"{precisions.shape} and {targets.shape}."
        )
    for name, array in (("latent", latents), ("precision", precisions), ("target", targets)):
        finite = np.isfinite(array.reshape(len(array), -1)).all(axis=1)
        if not finite.all():
            raise ValueError(
                f"{name} {int(np.argmin(finite))} is not finite ({int((~finite).sum())} are not): "
                "leave such particles out."
            )
