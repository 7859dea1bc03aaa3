"""Kernel regression: weights against their definition, windows against full transforms, volumes on the toy."""

import dataclasses

import numpy as np
import pytest
import torch

from cryobench._errors import FormatError
from cryobench.compute import Compute, MemoryShortage
from cryobench.data import ArrayImages, Particles, Reconstruction
from cryobench.fourier import fft_volume, ifft_volume
from cryobench.imaging.accumulate import SliceAccumulator
from cryobench.reconstruction.decoders import open_decoder
from cryobench.reconstruction.decoders.kernel_regression import (
    KernelRegression,
    KernelRegressionDecoder,
    KernelSizes,
    regression,
)
from cryobench.reconstruction.decoders.kernel_regression.bandwidths import (
    bin_edges,
    divide_particles,
    squared_distances,
)
from cryobench.reconstruction.decoders.kernel_regression.local_windows import LocalWindows
from cryobench.reconstruction.decoders.kernel_regression.regression import (
    _full_spectra,
    _sum_bandwidths,
    insert_bins,
)
from cryobench.reconstruction.engine import Passes, RunContext
from cryobench.reconstruction.statistics import split_halves
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
        bins = divide_particles(distances, halves, KernelSizes(9, 3, 7))
        assert min(np.bincount(halves[bins.members == 0], minlength=2)) == 7
        assert bins.edges[-1] >= bins.edges[0]
        at_most = divide_particles(distances, halves, KernelSizes(9, 3, 40))
        assert min(np.bincount(halves[at_most.members >= 0], minlength=2)) >= 40


def test_weights_are_a_staircase_of_epanechnikovs_kernel():
    distances, halves = stream(0, "distances").uniform(0, 4, 20_000), split_halves(20_000, 0)
    bins = divide_particles(distances, halves, KernelSizes(60, 60, 50))
    inside = bins.members >= 0
    assert (distances[~inside] > bins.edges[-1]).all()
    given = bins.weights[:, bins.members[inside]]
    exact = 0.75 * np.clip(1 - distances[inside] / (2 * bins.bandwidths[:, None]), 0, None)
    assert np.abs(given - exact)[10:].max() < 0.06
    assert (bins.weights[0] == np.eye(60)[0]).all()
    fewer = divide_particles(distances, halves, KernelSizes(60, 7, 50))
    assert len(fewer.bandwidths) == len(fewer.weights) == 7
    np.testing.assert_allclose(fewer.weights[-1], bins.weights[-1])


def test_sums_of_bins_give_the_weighted_back_projection():
    dataset = toy_dataset(size=15, n=60)
    contrasts = np.linspace(0.5, 1.5, 60)
    passes = Passes(dataset.particles, Compute(), contrasts=contrasts)
    latents, halves = dataset.truth.embedding, split_halves(60, 0)
    distances = squared_distances(
        latents + stream(0, "x").normal(0, 0.3, latents.shape), np.tile(np.eye(2), (60, 1, 1)), latents[0]
    )
    bins = divide_particles(distances, halves, KernelSizes(5, 5, 3))
    members = np.stack([np.where(bins.members >= 0, bins.members + 5, -1), bins.members], axis=1)
    sums, _ = passes.run(insert_bins, passes.mean_power, 10, own=(members,))
    assert torch.equal(sums["weight"][:5], sums["weight"][5:])

    direct = SliceAccumulator(15, n_volumes=5)
    factors = np.where(bins.members >= 0, bins.weights[:, bins.members], 0).T
    disc = passes.disc
    for packed in Passes(dataset.particles, Compute())._shards[0].batches():
        transfer = packed.ctf * torch.from_numpy(contrasts[packed.indices]).float()[:, None]
        scaled = transfer * disc.spread(1 / passes.mean_power, "cpu")
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


def test_matrix_products_give_the_sums_of_the_bins():
    """All bandwidths of two targets by ``insert_weighted`` and by the bins times the weights."""
    dataset = toy_dataset(size=15, n=60)
    passes, halves = Passes(dataset.particles, Compute()), split_halves(60, 0)
    latents = dataset.truth.embedding + stream(0, "x").normal(0, 0.3, dataset.truth.embedding.shape)
    metric = np.tile(np.eye(2), (60, 1, 1))
    group = [
        divide_particles(squared_distances(latents, metric, latents[target]), halves, KernelSizes(6, 4, 3))
        for target in (0, 7)
    ]
    for bins, read in zip(group, _sum_bandwidths(passes, group, halves, passes.mean_power), strict=True):
        numerator, weight = read(0, 4)
        for part, whole in zip(read(1, 3), (numerator, weight), strict=True):
            torch.testing.assert_close(part, whole[:, 1:3], rtol=0, atol=0)
        for half in (0, 1):
            own = np.where(halves == half, bins.members, -1)[:, None]
            sums, _ = passes.run(insert_bins, passes.mean_power, 6, own=(own,))
            kernel = torch.from_numpy(bins.weights)
            for found, of_bins in ((numerator, sums["numerator"]), (weight, sums["weight"])):
                wanted = torch.einsum("kb,bzyx->kzyx", kernel.to(of_bins.dtype), of_bins)
                assert wanted.abs().max() > 0
                atol = 1e-5 * float(wanted.abs().max())
                torch.testing.assert_close(found[half], wanted, rtol=1e-4, atol=atol)


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
        # Window by window, cos² of half-width 3; the samples of the lowest band are too few for the mask's edge.
        seen = _seen_in_windows(expected.numpy(), windows._centres)
        np.testing.assert_allclose(power[0], seen, atol=(1e-4 if first else 0.15) * seen.max())
        part = windows.put_together(spectrum, band, everywhere) / size**3
        torch.testing.assert_close(part, cut[windows.region], rtol=1e-4, atol=1e-4)
        total = total + part
    both = sum(
        windows.put_together(spectrum, band, chosen)
        for band in windows.bands
        for chosen in _halves_of(windows.windows)
    )
    torch.testing.assert_close(both / size**3, total, rtol=1e-4, atol=1e-4)


def _seen_in_windows(values, centres):
    along = [np.clip((np.arange(len(values)) - at[:, None]) / 3, -1, 1) for at in centres]
    return np.einsum("zyx,az,by,cx->abc", values, *(np.cos(np.pi / 2 * away) ** 2 for away in along))


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
    found = np.unravel_index(int(power.argmax()), power.shape)
    centres = [windows._centres[axis][index] for axis, index in enumerate(found)]
    assert np.abs(np.array(centres) - [8, 12, 15]).max() <= 2.5


MODEL_BOX = 24


@pytest.fixture(scope="module")
def regressed():
    """The toy, its latents with errors, the model of a decoder, and what is found at one latent of each state."""
    dataset = toy_dataset(size=MODEL_BOX, n=600, snr=0.3, n_queries=3)
    particles, truth = dataset.particles, dataset.truth
    latents = truth.embedding + stream(0, "latent-noise").normal(0, 0.3, truth.embedding.shape)
    model = {
        "precisions": np.tile(np.array([1, 0, 1]) / 0.09, (len(latents), 1)),
        "half_sets": split_halves(len(latents), 0),
        "noise": Passes(particles, Compute()).mean_power,
        "mask": particles.mask,
        "n_bins": np.array(12),
        "n_bandwidths": np.array(6),
        "min_particles": np.array(30),
    }
    targets = np.stack([truth.embedding[truth.states == state][0] for state in range(3)])
    found = Reconstruction(dataset.queries, latents=latents, model=model, decodes_by="kernel-regression")
    return dataset, found, targets, list(open_at(found, particles).estimate(targets))


def open_at(found: Reconstruction, particles: Particles, **context) -> KernelRegressionDecoder:
    return KernelRegressionDecoder.open(found.model, found, particles, RunContext(**context))


def changed(found: Reconstruction, **model) -> Reconstruction:
    kept = {name: values for name, values in (dict(found.model) | model).items() if values is not None}
    return dataclasses.replace(found, model=kept)


def correlation_of_deviations(dataset, volumes):
    true = np.stack([dataset.truth.volumes.read(state) for state in range(3)])
    deviations = [(stack - stack.mean(0)).reshape(3, -1) for stack in (np.stack(volumes), true)]
    return np.corrcoef(*deviations)[:3, 3:]


def test_volumes_show_their_state(regressed):
    dataset, _, _, volumes = regressed
    found = np.stack([item.volume for item in volumes])
    correlation = correlation_of_deviations(dataset, found)
    assert (np.diag(correlation) > 0.6).all()
    assert (correlation.argmax(axis=1) == np.arange(3)).all()
    assert np.corrcoef(found[0].ravel(), dataset.truth.volumes.read(0).ravel())[0, 1] > 0.9
    assert (found[:, dataset.particles.mask == 0] == 0).all()
    assert all(item.half_set_fsc[1:4].min() > 0.8 for item in volumes)
    assert all((np.diff(item.bandwidths) > 0).all() and len(item.chosen) == len(item.shells) for item in volumes)


def test_particles_of_one_state_are_pooled():
    # Judged by their own half-set, the fewest particles would always explain themselves best.
    dataset = toy_dataset(size=20, n=400, n_states=1, snr=0.1, n_queries=1)
    passes = Passes(dataset.particles, Compute())
    latents = stream(0, "nothing").standard_normal((400, 2))
    made = KernelRegression(
        passes,
        latents,
        np.tile(np.eye(2), (400, 1, 1)),
        split_halves(400, 0),
        passes.mean_power,
        mask=dataset.particles.mask,
        pixel_size=dataset.particles.pixel_size,
        sizes=KernelSizes(10, 10, 20),
    )
    found = next(made.estimate(np.zeros((1, 2))))
    assert found.n_particles == 380
    assert found.chosen.min() >= 2
    assert found.chosen.mean() >= 5


def test_scale_of_volumes_is_that_of_the_truth(regressed):
    dataset, _, _, volumes = regressed
    true = dataset.truth.volumes.read(0)
    slope = float((volumes[0].volume * true).sum() / np.square(true).sum())
    assert 0.75 < slope < 1.1


def test_volumes_do_not_depend_on_the_memory(regressed):
    """One target at a time, images read anew in each pass: the same bits."""
    dataset, found, targets, volumes = regressed
    tight = open_at(found, dataset.particles, compute=Compute(memory=int(3.057e8)))
    assert tight.regression._at_once == 1
    assert not tight.regression._passes._shards[0]._kept
    for one, other in zip(volumes, tight.estimate(targets), strict=True):
        np.testing.assert_array_equal(one.volume, other.volume)
        np.testing.assert_array_equal(one.half_set_fsc, other.half_set_fsc)
    with pytest.raises(MemoryShortage, match=r"6 bandwidths of volumes of 24 px.*n_bandwidths=\d+ would fit"):
        open_at(found, dataset.particles, compute=Compute(memory=int(3.040e8)))


def test_volumes_whose_bandwidths_do_not_fit_on_the_grid_together_have_the_same_bits(regressed, monkeypatch):
    dataset, found, targets, volumes = regressed
    sizes: list[int] = []
    original = regression._full_spectra
    monkeypatch.setattr(
        regression, "_full_spectra", lambda stored, *rest: sizes.append(stored.shape[1]) or original(stored, *rest)
    )
    monkeypatch.setattr(regression, "_BLOCK_BYTES", 1)
    made, counts = [], []
    for held in (1e9, 0):
        monkeypatch.setattr(regression, "_HELD_BYTES", held)
        made.append(list(open_at(found, dataset.particles).estimate(targets)))
        counts.append(len(sizes))
    assert set(sizes) == {1}
    assert counts[1] > 2 * counts[0]  # read again for the assembly
    for held, read_again, in_one_block in zip(*made, volumes, strict=True):
        np.testing.assert_array_equal(held.volume, read_again.volume)
        np.testing.assert_array_equal(held.half_set_fsc, read_again.half_set_fsc)
        np.testing.assert_allclose(held.volume, in_one_block.volume, atol=1e-5 * np.abs(in_one_block.volume).max())


def test_an_open_decoder_gives_the_same_again_on_the_grid_of_the_data_set(regressed):
    dataset, found, targets, volumes = regressed
    decoder = open_decoder(found, dataset.particles, RunContext())
    for _ in range(2):
        decoded = list(decoder.decode(targets[1:]))
        np.testing.assert_array_equal(decoded, [item.volume for item in volumes[1:]])


def test_finished_volumes_are_taken_from_the_checkpoint(regressed, tmp_path, monkeypatch):
    dataset, found, targets, volumes = regressed
    first = open_at(found, dataset.particles, checkpoint=tmp_path).estimate(targets)
    next(first)
    next(first)
    first.close()
    again = open_at(found, dataset.particles, checkpoint=tmp_path)
    calls = []
    original = regression._regress
    monkeypatch.setattr(regression, "_regress", lambda *given: calls.append(1) or original(*given))
    for one, other in zip(volumes, again.estimate(targets), strict=True):
        for name, value in vars(one).items():
            np.testing.assert_array_equal(value, getattr(other, name), err_msg=name)
    assert len(calls) == 1
    other_model = changed(found, noise=2 * found.model["noise"])
    with pytest.raises(FormatError, match="another call"):
        open_at(other_model, dataset.particles, checkpoint=tmp_path)


def test_foreign_latents_need_no_precisions(regressed):
    dataset, found, targets, _ = regressed
    plain = changed(found, precisions=None, n_bins=None, n_bandwidths=None, min_particles=None)
    volumes = [item.volume for item in open_at(plain, dataset.particles).estimate(targets)]
    correlation = correlation_of_deviations(dataset, volumes)
    assert (np.diag(correlation) > 0.5).all()


def test_particles_without_a_latent_are_left_out(regressed):
    dataset, found, targets, volumes = regressed
    latents = np.array(found.latents)
    latents[::5] = np.nan
    some = dataclasses.replace(found, latents=latents)
    left = next(open_at(some, dataset.particles).estimate(targets[:1]))
    assert left.n_particles == 456
    assert np.corrcoef(left.volume.ravel(), volumes[0].volume.ravel())[0, 1] > 0.9


def test_contrast_is_a_factor_of_the_ctf(regressed):
    dataset, found, targets, volumes = regressed
    old = dataset.particles
    images = ArrayImages(3 * old.images.read(np.arange(len(old))))
    brighter = Particles(images, old.pixel_size, old.ctf, old.rotations, old.shifts, mask=old.mask)
    model = changed(found, contrasts=np.full(len(old), 3.0), noise=9 * found.model["noise"])
    again = next(open_at(model, brighter).estimate(targets[:1]))
    np.testing.assert_allclose(again.volume, volumes[0].volume, atol=2e-3 * np.abs(again.volume).max())


def test_bad_input_says_what_fits(regressed):
    dataset, found, targets, _ = regressed
    particles = dataset.particles
    with pytest.raises(ValueError, match="half-set of 300 particles must hold min_particles = 400"):
        open_at(changed(found, min_particles=np.array(400)), particles)
    with pytest.raises(ValueError, match=r"min_particles is 299.* at most \d+ are possible"):
        next(open_at(changed(found, min_particles=np.array(299)), particles).estimate(targets))
    with pytest.raises(ValueError, match="of the half-sets of 600 and 0 particles only 0"):
        next(open_at(changed(found, half_sets=np.zeros(600, int)), particles).estimate(targets))
    with pytest.raises(ValueError, match="n_bandwidths must be from 2 to n_bins = 4, got 6"):
        KernelSizes(4, 6, 30)
    broken = np.array(found.model["precisions"])
    broken[7, 1] = np.nan
    with pytest.raises(ValueError, match="precision 7 is not finite"):
        open_at(changed(found, precisions=broken), particles)
    with pytest.raises(ValueError, match=r"latents \(600, d\) and precisions \(600, d, d\)"):
        open_at(changed(found, precisions=np.ones((600, 6))), particles)
    with pytest.raises(ValueError, match="mask is zero everywhere"):
        open_at(changed(found, mask=np.zeros((MODEL_BOX,) * 3, np.float32)), particles)
    with pytest.raises(ValueError, match="has no latents"):
        open_at(dataclasses.replace(found, latents=None), particles)
