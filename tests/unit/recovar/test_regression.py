"""Kernel regression: weights against their definition, windows against full transforms, volumes on the toy."""

import numpy as np
import pytest
import torch

from cryobench.data import ArrayImages, Particles
from cryobench.fourier import fft_volume, ifft_volume
from cryobench.imaging.accumulate import SliceAccumulator
from cryobench.methods._shared.half_sets import split_halves
from cryobench.methods._shared.passes import Passes
from cryobench.reconstruction.decoders.kernel_regression.bandwidths import bin_edges, divide_particles, squared_distances
from cryobench.reconstruction.decoders.kernel_regression.local_windows import LocalWindows
from cryobench.reconstruction.decoders.kernel_regression.regression import _full_spectra, insert_bins, kernel_volumes
from cryobench.rng import stream
from toy import toy_dataset


def _latents(n=200, width=3, seed=0):
    generator = stream(seed, "latents")
    factors = generator.standard_normal((n, width, width))
    return generator.standard_normal((n, width)), factors @ factors.transpose(0, 2, 1) + np.eye(width)


def test_distances_are_mahalanobis():
    latents, precisions = _latents()
    target = latents[3] + 0.1
    expected = [(z - target) @ p @ (z - target) for z, p in zip(latents, precisions, strict=True)]
    np.testing.assert_allclose(squared_distances(latents, precisions, target), expected, rtol=1e-10)
    assert squared_distances(latents, precisions, latents[5])[5] == 0


def test_edges_are_linear_in_the_root_and_hold_enough_of_both_halves():
    latents, precisions = _latents()
    distances, halves = squared_distances(latents, precisions, latents[0]), split_halves(200, 0)
    edges = bin_edges(distances, halves, 12, 20)
    np.testing.assert_allclose(np.diff(np.sqrt(edges)), np.diff(np.sqrt(edges))[0])
    counts = [int((distances[halves == half] <= edges[0]).sum()) for half in (0, 1)]
    assert min(counts) == 20
    assert np.sqrt(edges[-1]) == pytest.approx(np.quantile(np.sqrt(distances), 0.95))


def test_the_least_bandwidth_holds_enough_of_both_halves_whatever_a_root_rounds_to():
    for trial in range(200):
        distances = stream(trial, "distances").exponential(1.0, 101)
        halves = split_halves(101, trial)
        bins = divide_particles(distances, halves, n_bins=9, n_bandwidths=3, min_particles=7)
        assert min(np.bincount(halves[bins.members == 0], minlength=2)) == 7
        assert bins.edges[-1] >= bins.edges[0]
        at_most = divide_particles(distances, halves, n_bins=9, n_bandwidths=3, min_particles=40)
        assert min(np.bincount(halves[at_most.members >= 0], minlength=2)) >= 40


def test_weights_are_a_staircase_of_epanechnikovs_kernel():
    distances, halves = stream(0, "distances").uniform(0, 4, 20_000), split_halves(20_000, 0)
    bins = divide_particles(distances, halves, n_bins=60, n_bandwidths=60, min_particles=50)
    inside = bins.members >= 0
    assert (distances[~inside] > bins.edges[-1]).all()
    given = bins.weights[:, bins.members[inside]]
    exact = 0.75 * np.clip(1 - distances[inside] / (2 * bins.bandwidths[:, None]), 0, None)
    assert np.abs(given - exact)[10:].max() < 0.06
    assert (bins.weights[0] == np.eye(60)[0]).all()
    fewer = divide_particles(distances, halves, n_bins=60, n_bandwidths=7, min_particles=50)
    assert len(fewer.bandwidths) == len(fewer.weights) == 7
    np.testing.assert_allclose(fewer.weights[-1], bins.weights[-1])


def test_sums_of_bins_give_the_weighted_back_projection():
    dataset = toy_dataset(size=15, n=60)
    passes = Passes(dataset.particles, 7, method="recovar")
    latents, halves = dataset.truth.embedding, split_halves(60, 0)
    distances = squared_distances(
        latents + stream(0, "x").normal(0, 0.3, latents.shape), np.tile(np.eye(2), (60, 1, 1)), latents[0]
    )
    bins = divide_particles(distances, halves, n_bins=5, n_bandwidths=5, min_particles=3)
    inverse_noise = (1 / passes.mean_power).astype(np.float32)
    contrasts = np.linspace(0.5, 1.5, 60)
    members = np.stack([np.where(bins.members >= 0, bins.members + 5, -1), bins.members], axis=1)
    sums, _ = passes.run(insert_bins, inverse_noise, 10, own=(contrasts, members))
    assert torch.equal(sums["weight"][:5], sums["weight"][5:])

    direct = SliceAccumulator(15, n_volumes=5)
    factors = np.where(bins.members >= 0, bins.weights[:, bins.members], 0).T
    disc = passes.disc
    for packed in passes._shares[0].batches():
        transfer = packed.ctf * torch.from_numpy(contrasts[packed.indices]).float()[:, None]
        scaled = transfer * torch.from_numpy(inverse_noise[disc.shells])
        direct.add(
            disc.unpack(scaled * packed.data),
            disc.unpack(scaled * transfer),
            packed.rotations,
            class_weights=torch.from_numpy(factors[packed.indices]).float(),
            threshold=1e-9,
        )
    numerator, weight = direct.totals()
    layout = numerator.layout
    kernel = torch.from_numpy(bins.weights).float()
    for given, expected in ((sums["numerator"], numerator.values), (sums["weight"], weight.values)):
        full = _full_spectra(given[None, :5], layout, 7)[0]
        found = torch.einsum("kb,bpzyx->kpzyx", kernel, full)
        near = slice(layout.center - 7, layout.center + 8)
        wanted = expected.movedim(-1, 0)[:, near, near, layout.center_x : layout.center_x + 8]
        found = torch.complex(found[:, 0], found[:, 1]) if wanted.is_complex() else found[:, 0]
        inside = _radii(7) <= 7
        torch.testing.assert_close(
            found[:, inside], wanted[:, inside], rtol=1e-4, atol=1e-4 * float(wanted.abs().max())
        )


def _radii(radius):
    full = torch.arange(-radius, radius + 1)
    return (full[:, None, None] ** 2 + full[:, None] ** 2 + torch.arange(radius + 1) ** 2).sqrt()


def _cut_spectrum(volume, radius, first, last):
    """The spectrum as ``LocalWindows`` takes it, and the volume cut to some of its shells."""
    size = volume.shape[-1]
    spectrum = fft_volume(volume)
    full = torch.arange(-radius, radius + 1) % size
    grid = spectrum[full][:, full][:, :, : radius + 1]
    shells = (_radii(radius) + 0.5).floor()
    inside = (shells >= first) & (shells <= last)
    kept = torch.zeros_like(spectrum)
    kept[full[:, None, None], full[:, None], torch.arange(radius + 1)] = grid * inside
    return torch.stack([grid.real, grid.imag])[None], ifft_volume(kept, size)


@pytest.mark.parametrize("size", [20, 21])
def test_windows_measure_and_put_together_what_full_transforms_do(size):
    radius = (size - 1) // 2
    volume = torch.from_numpy(stream(0, "volume").standard_normal((size,) * 3)).float()
    axis = np.arange(size) - size // 2
    distance = np.sqrt(axis[:, None, None] ** 2 + (axis[:, None] - 1) ** 2 + axis**2)
    mask = np.clip(7.0 - distance, 0, 1).astype(np.float32)
    windows = LocalWindows(mask, radius, 3.0)
    assert [first for first, _ in windows.shells] == [0, *(last + 1 for _, last in windows.shells[:-1])]
    everywhere = torch.ones(1, *windows.windows)
    total = 0
    for band, (first, last) in zip(windows.bands, windows.shells, strict=True):
        spectrum, cut = _cut_spectrum(volume, radius, first, last)
        power = windows.measure_power(spectrum, band) / size**6
        expected = (torch.from_numpy(mask) * cut).square()
        assert float(power.sum()) == pytest.approx(float(expected.sum()), rel=0.06)
        # Window by window: one half of the space holds what it holds there.
        assert float(power[:, : windows.windows[0] // 2].sum()) < float(power.sum())
        part = windows.put_together(spectrum, band, everywhere) / size**3
        torch.testing.assert_close(part, cut[windows.region], rtol=1e-4, atol=1e-4)
        total = total + part
    both = sum(
        windows.put_together(spectrum, band, chosen)
        for band in windows.bands
        for chosen in _halves_of(windows.windows)
    )
    torch.testing.assert_close(both / size**3, total, rtol=1e-4, atol=1e-4)


def _halves_of(shape):
    left = torch.zeros(1, *shape)
    left[:, : shape[0] // 2] = 1
    return left, 1 - left


def test_power_is_measured_where_it_is():
    size, radius = 24, 11
    volume = torch.zeros(size, size, size)
    volume[8, 12, 15] = 1.0
    windows = LocalWindows(np.ones((size,) * 3, np.float32), radius, 4.0)
    spectrum, _ = _cut_spectrum(volume, radius, 0, radius)
    power = windows.measure_power(spectrum, windows.bands[-1])[0]
    place = np.unravel_index(int(power.argmax()), power.shape)
    centres = [windows._centres[axis][index] for axis, index in enumerate(place)]
    assert np.abs(np.array(centres) - [8, 12, 15]).max() <= 2.5


@pytest.fixture(scope="module")
def regressed():
    dataset = toy_dataset(size=24, n=600, snr=0.3, n_queries=3)
    particles, truth = dataset.particles, dataset.truth
    passes = Passes(particles, 11, method="recovar")
    latents = truth.embedding + stream(0, "latent-noise").normal(0, 0.3, truth.embedding.shape)
    arguments = {
        "latents": latents,
        "precisions": np.tile(np.eye(2) / 0.09, (len(latents), 1, 1)),
        "contrasts": np.ones(len(latents)),
        "halves": split_halves(len(latents), 0),
        "noise": passes.mean_power,
        "mask": particles.mask,
        "pixel_size": particles.pixel_size,
        "n_bins": 12,
        "n_bandwidths": 6,
        "min_particles": 30,
    }
    targets = np.stack([truth.embedding[truth.states == state][0] for state in range(3)])
    return dataset, passes, targets, arguments, list(kernel_volumes(passes, targets, **arguments))


def test_volumes_show_their_state(regressed):
    dataset, _, _, _, volumes = regressed
    true = np.stack([dataset.truth.volumes.read(state) for state in range(3)])
    found = np.stack([item.volume for item in volumes])
    deviations = [(stack - stack.mean(0)).reshape(3, -1) for stack in (found, true)]
    correlation = np.corrcoef(*deviations)[:3, 3:]
    assert (np.diag(correlation) > 0.6).all()
    assert (correlation.argmax(axis=1) == np.arange(3)).all()
    assert np.corrcoef(found[0].ravel(), true[0].ravel())[0, 1] > 0.9
    assert (found[:, dataset.particles.mask == 0] == 0).all()
    assert all(item.half_set_fsc[1:4].min() > 0.8 for item in volumes)
    assert all((np.diff(item.bandwidths) > 0).all() and len(item.chosen) == len(item.shells) for item in volumes)


def test_particles_of_one_state_are_pooled():
    # Judged by their own half-set, the fewest particles would always explain themselves best.
    dataset = toy_dataset(size=20, n=400, n_states=1, snr=0.1, n_queries=1)
    passes = Passes(dataset.particles, 9, method="recovar")
    latents = stream(0, "nothing").standard_normal((400, 2))
    found = next(
        kernel_volumes(
            passes,
            np.zeros((1, 2)),
            latents,
            np.tile(np.eye(2), (400, 1, 1)),
            np.ones(400),
            split_halves(400, 0),
            passes.mean_power,
            mask=dataset.particles.mask,
            pixel_size=dataset.particles.pixel_size,
            n_bins=10,
            n_bandwidths=10,
            min_particles=20,
        )
    )
    assert found.n_particles == 380
    assert found.chosen.min() >= 2
    assert found.chosen.mean() >= 5


def test_scale_of_volumes_is_that_of_the_truth(regressed):
    dataset, _, _, _, volumes = regressed
    true = dataset.truth.volumes.read(0)
    slope = float((volumes[0].volume * true).sum() / np.square(true).sum())
    assert 0.75 < slope < 1.1


def test_targets_may_share_a_pass_or_not(regressed):
    _, passes, targets, arguments, volumes = regressed
    alone = list(kernel_volumes(passes, targets, **arguments, memory_bytes=2.5 * 2 * 12 * 12 * 25 * 25 * 13))
    for one, other in zip(volumes, alone, strict=True):
        np.testing.assert_allclose(one.volume, other.volume, atol=1e-4 * np.abs(one.volume).max())


def test_contrast_is_a_factor_of_the_ctf(regressed):
    dataset, _, targets, arguments, volumes = regressed
    old = dataset.particles
    images = ArrayImages(3 * old.images.read(np.arange(len(old))))
    brighter = Particles(images, old.pixel_size, old.ctf, old.rotations, old.shifts, mask=old.mask)
    passes = Passes(brighter, 11, method="recovar")
    changed = arguments | {"contrasts": np.full(len(old), 3.0), "noise": passes.mean_power}
    again = next(kernel_volumes(passes, targets[:1], **changed))
    np.testing.assert_allclose(again.volume, volumes[0].volume, atol=2e-3 * np.abs(again.volume).max())


def test_bad_input_says_what_fits(regressed):
    _, passes, targets, arguments, _ = regressed
    with pytest.raises(ValueError, match=r"min_particles is 400.* at most \d+ can be asked for"):
        next(kernel_volumes(passes, targets, **arguments | {"min_particles": 400}))
    with pytest.raises(ValueError, match="of the half-sets of 600 and 0 particles only 0"):
        next(kernel_volumes(passes, targets, **arguments | {"halves": np.zeros(600, int)}))
    with pytest.raises(ValueError, match="n_bandwidths must be from 2 to n_bins = 4, got 6"):
        kernel_volumes(passes, targets, **arguments | {"n_bins": 4})
    with pytest.raises(ValueError, match=r"n_bins = \d+ would fit"):
        kernel_volumes(passes, targets, **arguments, memory_bytes=2e6)
    latents = arguments["latents"].copy()
    latents[7, 1] = np.nan
    with pytest.raises(ValueError, match="latent 7 is not finite"):
        kernel_volumes(passes, targets, **arguments | {"latents": latents})
    with pytest.raises(ValueError, match=r"need latents \(600, d\)"):
        kernel_volumes(passes, targets[:, :1], **arguments)
    with pytest.raises(ValueError, match="mask is zero everywhere"):
        kernel_volumes(passes, targets, **arguments | {"mask": np.zeros((24,) * 3, np.float32)})
