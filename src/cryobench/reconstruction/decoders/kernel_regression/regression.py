"""Volumes at latents by kernel regression, with bandwidths chosen locally by cross-validation.

For each target and each half-set the particles near it, in the precision's metric, are back-projected with the
weights of several bandwidths (``bandwidths``): F_k = Σ w_ik A_i*(C_i y_i / σ²), W_k = Σ w_ik A_i*(C_i² / σ²), and

    V_k = F_k / (W_k + 1 / τ²).

The particles of the other half-set in the smallest bandwidth, F_t and W_t, are the test set: up to a constant, the
squared residual of those particles is |√W_t V_k − F_t / √W_t|². It is summed over the windows and bands of
frequencies of ``local_windows`` and over both half-sets, and in each window and band the bandwidth of least residual
is taken.

Source: Gilles & Singer, PNAS 122 (2025), e2419140122. Deviations, with reasons:

* The kernel is a staircase of ``n_bins`` steps, so a particle is inserted once for each target (``bandwidths``).
* Volumes are regularised by the signal power τ² that the half-sets show at the largest bandwidth, where the published
  ones are divided by a floored W: few particles leave most of W nearly empty, and dividing by it lets the noise of
  single entries choose the bandwidth. Only the noise within the mask counts: with all of it the prior is so
  strong that it disfavours narrow bandwidths, of small W (masked FSC-AUC 0.466 instead of 0.472, lite antibody).
* The filter by local FSC is Wiener's, 2 FSC / (1 + FSC), in the same windows and bands, without a threshold: with P₊
  and P₋ the powers of sum and difference of the half-sets' parts it is (P₊ − P₋)₊ / P₊.
* Bands of shells as wide as a window resolves, instead of single shells of a windowed transform (``local_windows``).
* Back-projection on the grid of the box, not on one twice as fine: an eighth of the memory and time.
* Volumes are masked: nothing is compared outside, so nothing there has been chosen.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryobench._progress import Progress, Silent
from cryobench.imaging.grid import FourierVolume, friedel_symmetrise
from cryobench.imaging.interpolation import kernel_transform
from cryobench.imaging.layout import GridLayout
from cryobench.imaging.slices import choose_body
from cryobench.reconstruction.decoders.kernel_regression.bandwidths import (
    Bins,
    KernelSizes,
    divide_particles,
    squared_distances,
)
from cryobench.reconstruction.decoders.kernel_regression.local_windows import LocalWindows
from cryobench.reconstruction.engine import Passes, Rows, Sums
from cryobench.reconstruction.images import PosedSpectra
from cryobench.reconstruction.statistics import (
    FactoredSums,
    Halves,
    fsc_of_sums,
    signal_to_noise,
    spread_touched,
    volume_fsc,
)

WINDOW_RADIUS = 20.0
"""Å, half-width of a window (published: about 20)."""
_BATCH_BYTES = 2e8
_BLOCK_BYTES = 1e8
_HELD_BYTES = 1e9
"""Bandwidths of one target take at most this while they are all on the grid; larger ones are put there twice."""
_LEAST_WEIGHT = 1e-3
"""Smallest divisor of an entry in the comparison of half-sets, relative to the mean weight of its shell."""


_Stored = Callable[[int, int], tuple[Tensor, Tensor]]
"""Sums (2, c, z, y, x) of half-slices of both half-sets, on the stored grid, at the bandwidths from one to before
another: numerators and weights."""


@dataclass(frozen=True, eq=False)
class KernelVolume:
    """Result at one target."""

    volume: Float[np.ndarray, "z y x"]
    """float32, 0 outside the mask."""
    half_set_fsc: Float[np.ndarray, "s"]
    """FSC of the two half-sets' parts, within the mask and after the common filter, which raises it slightly."""
    bandwidths: Float[np.ndarray, "b"]
    """Squared distances tried."""
    chosen: Float[np.ndarray, "c"]
    """For each band of frequencies the median, over windows in the mask, of the index of the bandwidth chosen."""
    shells: Int[np.ndarray, "c 2"]
    """First and last shell of each band."""
    n_particles: int
    """Number of particles within the largest bandwidth."""


class KernelRegression:
    """Particles with latents, ready for volumes at any latent.

    Parameters
    ----------
    passes
        The particles, up to the radius of the volumes, with their contrasts within the CTFs.
    latents, precisions
        (n, d) and (n, d, d), the particles' latents and their inverse covariances.
    halves
        (n,) half-set of each particle, 0 or 1.
    noise
        (radius + 1,) power of the noise in each shell.
    mask
        Region of the molecule.
    pixel_size
        Å.
    sizes
        Bins, bandwidths and particles of the smallest one.
    at_once
        Targets whose sums are computed in one pass over the particles.

    Raises
    ------
    ValueError
        If latents or precisions are not finite or have incompatible shapes, or the mask is empty.
    """

    def __init__(
        self,
        passes: Passes,
        latents: Float[np.ndarray, "n d"],
        precisions: Float[np.ndarray, "n d d"],
        halves: Int[np.ndarray, "n"],
        noise: Float[np.ndarray, "s"],
        *,
        mask: Float[np.ndarray, "z y x"],
        pixel_size: float,
        sizes: KernelSizes,
        at_once: int = 1,
    ) -> None:
        _check_latents(latents, precisions, len(passes))
        self._passes, self._latents, self._precisions, self._halves = passes, latents, precisions, halves
        self._noise, self._mask, self._sizes, self._at_once = noise, mask, sizes, at_once
        window_px = max(WINDOW_RADIUS / pixel_size, 3.0)
        self._windows = LocalWindows(mask, passes.disc.radius, window_px, device=passes.device)

    def estimate(self, targets: Float[np.ndarray, "m d"], progress: Progress | None = None) -> Iterator[KernelVolume]:
        """Volume at each target, in order.

        ValueError if a half-set has too few particles for ``min_particles``.
        """
        with (progress or Silent()).task("volumes", total=len(targets)) as task:
            for start in range(0, len(targets), self._at_once):
                for found in self._estimate_group(targets[start : start + self._at_once]):
                    yield found
                    task.advance()

    def _estimate_group(self, targets: np.ndarray) -> Iterator[KernelVolume]:
        """Volumes from one pass over the particles."""
        layout = GridLayout(self._passes.disc.box_size)
        group = [self._divide(target) for target in targets]
        sums = _sum_bandwidths(self._passes, group, self._halves, self._noise)
        for bins, read in zip(group, sums, strict=True):
            yield _regress(read, layout, bins, self._windows, self._mask)

    def _divide(self, target: np.ndarray) -> Bins:
        distances = squared_distances(self._latents, self._precisions, target)
        return divide_particles(distances, self._halves, self._sizes)


def sum_bytes(box_size: int) -> float:
    """Bytes of numerator and weight of both half-sets at one bandwidth, or in one bin."""
    return 2 * 12 * GridLayout(box_size).n_entries


def block_bytes(box_size: int, bandwidths: int) -> float:
    """Bytes for comparing the bandwidths of one target: a few at a time stored, completed, and as differences; all
    completed ones where they are few bytes."""
    each = sum_bytes(box_size)
    together = bandwidths * each
    return 3 * min(max(each, 1.6 * _BLOCK_BYTES), together) + (together if together <= _HELD_BYTES else 0)


def insert_weighted(
    spectra: PosedSpectra, noise: np.ndarray, tables: np.ndarray, halves: np.ndarray, members: np.ndarray
) -> tuple[Sums, Rows]:
    """Half-slice sums of both half-sets, as in ``FactoredSums``: numerators (v, 2, m c) and weights (v, 1, m c).

    ``tables`` (m, c, b) are the weights of the bins at the c bandwidths of m targets; ``members`` (n, m) the bin of
    each particle at each target, −1 for none. On the CPU; ``insert_bins`` with a product of the tables is the same.
    """
    disc, count = spectra.disc, tables.shape[0] * tables.shape[1]
    sums = [FactoredSums(disc, n_numerators=count, n_weights=count) for _ in range(2)]
    inverse = disc.spread(1 / noise, "cpu")
    # The last row is for particles in no bin.
    padded = np.concatenate([tables.swapaxes(1, 2), np.zeros((len(tables), 1, tables.shape[1]))], axis=1)
    padded = torch.from_numpy(padded.astype(np.float32))
    for batch in spectra.batches():
        scaled = batch.ctf * inverse
        own = torch.from_numpy(members[batch.indices].astype(np.int64))
        own[own < 0] = tables.shape[2]
        factors = torch.cat([table[bins] for table, bins in zip(padded, own.T, strict=True)], dim=1)
        for half, target in enumerate(sums):
            rows = torch.from_numpy(np.flatnonzero(halves[batch.indices] == half))
            target.add(
                scaled[rows] * batch.data[rows],
                scaled[rows] * batch.ctf[rows],
                batch.rotations[rows],
                numerator_factors=factors[rows],
                weight_factors=factors[rows],
            )
    return {
        "numerator": Halves([each.numerators for each in sums]),
        "weight": Halves([each.weights for each in sums]),
    }, {}


def insert_bins(
    spectra: PosedSpectra, noise: Float[np.ndarray, "s"], n_volumes: int, volumes: Int[np.ndarray, "n m"]
) -> tuple[Sums, Rows]:
    """Half-slice sums (volumes, z, y, x) on the stored grid of particles assigned to volumes (n, m), −1 for none."""
    disc, device = spectra.disc, spectra.device
    layout = GridLayout(disc.box_size)
    numerator = torch.zeros(n_volumes, *layout.shape, dtype=torch.complex64, device=device)
    weight = torch.zeros(n_volumes, *layout.shape, device=device)
    body = choose_body(numerator.device)
    inverse = disc.spread(1 / noise, device)
    most = max(1, int(_BATCH_BYTES / (12 * disc.box_size * (disc.box_size // 2 + 1))))
    held: list[tuple[Tensor, Tensor, Tensor]] = []
    indices: list[np.ndarray] = []

    def insert() -> None:
        data, weights, rotations = (torch.cat(parts) for parts in zip(*held, strict=True))
        chosen = volumes[np.concatenate(indices)]
        particle, which = np.nonzero(chosen >= 0)
        into = chosen[particle, which]
        order = np.argsort(into, kind="stable")  # volume by volume, so that each stays in the cache
        entries = [torch.from_numpy(array[order].astype(np.int64)).to(device) for array in (particle, into)]
        factors = torch.ones(len(order), device=device)
        rest = (rotations, layout, float(disc.radius))
        body.accumulate((data, weights), (numerator, weight), (entries[0], entries[1], factors), *rest)
        held.clear()
        indices.clear()

    for batch in spectra.batches():
        scaled = batch.ctf * inverse
        held.append((disc.unpack(scaled * batch.data), disc.unpack(scaled * batch.ctf), batch.rotations))
        indices.append(batch.indices)
        if sum(map(len, indices)) >= most:
            insert()
    if held:
        insert()
    return {"numerator": numerator, "weight": weight}, {}


def _sum_bandwidths(
    passes: Passes, group: Sequence[Bins], halves: np.ndarray, noise: np.ndarray
) -> Iterator[_Stored]:
    """For each target its sums."""
    members = np.stack([bins.members for bins in group], axis=1)
    tables = np.stack([bins.weights for bins in group])
    n_targets, n_bandwidths, n_bins = tables.shape
    layout = GridLayout(passes.disc.box_size)
    if passes.device == "cpu":
        sums, _ = passes.run(insert_weighted, noise, tables, own=(halves, members))

        def spread(start: int, first: int, last: int) -> tuple[Tensor, Tensor]:
            part = slice(start + first, start + last)
            numerator, weight = (
                torch.stack(
                    [spread_touched(each[..., part], layout, passes.disc.radius) for each in sums[name].parts]
                )
                for name in ("numerator", "weight")
            )
            return torch.view_as_complex(numerator), weight[..., 0]

        for target in range(n_targets):
            yield partial(spread, target * n_bandwidths)
        return
    volumes = np.where(members >= 0, (2 * np.arange(n_targets) + halves[:, None]) * n_bins + members, -1)
    sums, _ = passes.run(insert_bins, noise, 2 * n_targets * n_bins, own=(volumes,))
    numerators, weights = (sums[name].unflatten(0, (n_targets, 2, n_bins)) for name in ("numerator", "weight"))
    for table, numerator, weight in zip(tables, numerators, weights, strict=True):
        kernel = torch.from_numpy(table).float().to(numerator.device)
        pairs = kernel @ torch.view_as_real(numerator).flatten(2)
        totals = (
            torch.view_as_complex(pairs.unflatten(2, (*layout.shape, 2))),
            (kernel @ weight.flatten(2)).unflatten(2, layout.shape),
        )
        yield partial(_select, totals)


def _select(totals: tuple[Tensor, Tensor], first: int, last: int) -> tuple[Tensor, Tensor]:
    return totals[0][:, first:last], totals[1][:, first:last]


def _cut(values: Tensor, layout: GridLayout, radius: int) -> Tensor:
    """Values (..., z, y, x) of a stored grid on −r … r, −r … r, 0 … r."""
    near = slice(layout.center - radius, layout.center + radius + 1)
    return values[..., near, near, layout.center_x : layout.center_x + radius + 1]


def _full_spectra(stored: Tensor, layout: GridLayout, radius: int) -> Tensor:
    """Sums of full slices (2, c, part, z, y, x) in the layout of ``_cut``, from stored sums of half-slices.

    Real and imaginary part are one after the other; weights have one part.
    """
    cut = _cut(stored, layout, radius)
    if stored.is_complex():
        parts = torch.view_as_real(cut).movedim(-1, 2).contiguous()
        sign = torch.tensor([1.0, -1.0], device=stored.device)[:, None, None]
    else:
        parts, sign = cut[:, :, None].contiguous(), 1.0
    plane = parts[..., 0]
    plane += plane.flip(-1, -2) * sign
    return parts


def _regress(read: _Stored, layout: GridLayout, bins: Bins, windows: LocalWindows, mask: np.ndarray) -> KernelVolume:
    """Choose bandwidths and assemble the volume, with a few bandwidths at a time on the grid where they are large."""
    radius, count = windows.radius, len(bins.bandwidths)

    def spectra(first: int, last: int) -> tuple[Tensor, Tensor]:
        numerator, weight = (_full_spectra(each, layout, radius) for each in read(first, last))
        return numerator, weight

    if count * sum_bytes(layout.box_size) <= _HELD_BYTES:
        spectra = cache(spectra)
    largest = read(count - 1, count)
    device = largest[0].device
    # The half-sets' FSC contains the noise of the whole box, the volume only its part inside the mask.
    prior = _cut(_invert_prior(largest[0][:, 0], largest[1][:, 0], layout, radius), layout, radius)
    prior = prior[None] * float((mask**2).mean())
    numerator, weight = spectra(0, 1)
    root = weight[:, 0].flip(0).sqrt()
    whitened = torch.where(root > 0, numerator[:, 0].flip(0) / root.clamp(min=1e-12), 0)

    step = max(1, int(_BLOCK_BYTES / (4 * numerator[:, 0].numel())))
    blocks = [(first, min(first + step, count)) for first in range(0, count, step)]
    power = [torch.zeros(count, *windows.windows, device=device) for _ in windows.bands]
    for first, last in blocks:
        numerator, weight = spectra(first, last)
        for half in (0, 1):
            gain = root[half] / (weight[half] + prior)
            difference = gain.mul(numerator[half]).sub_(whitened[half])
            for band, found in zip(windows.bands, power, strict=True):
                found[first:last] += windows.measure_power(difference, band)
    choices = [_choose(found) for found in power]

    voxels = [part.stop - part.start for part in windows.region]
    parts = torch.zeros(2, *voxels, device=device)
    for first, last in blocks:
        if not any(((choice >= first) & (choice < last)).any() for choice in choices):
            continue
        numerator, weight = spectra(first, last)
        f = numerator / (weight[0] + weight[1] + prior)
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
    first_half, second_half = (torch.from_numpy((windows.embed(part) * gain).astype(np.float32)) for part in parts)
    relevant = [found.amax(0) > 0 for found in power]
    medians = [
        float(choice[within].double().median()) if within.any() else float(count - 1)
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


def _invert_prior(numerator: Tensor, weight: Tensor, layout: GridLayout, radius: int) -> Tensor:
    """1 / τ² (z, y, x) on the stored grid, from the half-sets' sums (2, z, y, x).

    τ² = FSC / (1 − FSC) / mean of W, of the half-sets; beyond the last shell as small as in any.
    """
    f, w = (friedel_symmetrise(FourierVolume(each.movedim(0, -1), layout.box_size)) for each in (numerator, weight))
    mean_weight = w.shell_means().mean(-1)
    floor = w.spread_shells((_LEAST_WEIGHT * mean_weight).clamp(min=1e-30))[..., None]
    first, second = (f.values / (w.values + floor)).unbind(-1)
    powers = (f.shell_sums(each.abs().square()) for each in (first, second))
    curve = fsc_of_sums(f.shell_sums((first * second.conj()).real), *powers)
    ratio = torch.from_numpy(signal_to_noise(curve.cpu().numpy())).to(mean_weight)
    inverse = (mean_weight / ratio)[: radius + 1]
    return f.spread_shells(torch.cat([inverse, inverse.amax(0, keepdim=True)]).clamp(min=1e-30))


def _check_latents(latents: np.ndarray, precisions: np.ndarray, n: int) -> None:
    width = latents.shape[1]
    if len(latents) != n or precisions.shape != (n, width, width):
        raise ValueError(
            f"{n} particles need latents ({n}, d) and precisions ({n}, d, d), got {latents.shape} and "
            f"{precisions.shape}."
        )
    for name, array in (("latent", latents), ("precision", precisions)):
        finite = np.isfinite(array.reshape(len(array), -1)).all(axis=1)
        if not finite.all():
            raise ValueError(
                f"{name} {int(np.argmin(finite))} is not finite ({int((~finite).sum())} are not): "
                "leave out such particles."
            )
