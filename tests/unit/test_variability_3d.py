"""3D variability: the two steps against dense solutions, settings, refusals, checkpoints."""

import dataclasses

import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_edt

from cryobench._errors import FormatError
from cryobench.compute import Compute, MemoryShortage
from cryobench.data import ArrayImages, Components, Convergence, HalfSetFsc
from cryobench.fourier import fft_volume, frequency_grid, ifft_volume
from cryobench.imaging.grid import gridding_correction, volume_to_fourier
from cryobench.imaging.half_disc import HalfDisc
from cryobench.imaging.moments import MomentAccumulator
from cryobench.imaging.slices import extract_slices
from cryobench.methods.variability_3d import Variability3D, Variability3DSettings
from cryobench.methods.variability_3d.expectation import (
    VariabilityModel,
    fit_by_slices,
    fit_particles,
    second_moments,
)
from cryobench.methods.variability_3d.maximisation import (
    cut_band,
    estimate_components,
    multiply_voxels,
    orthonormalise,
    solve_voxels,
)
from cryobench.methods.variability_3d.plan import reserve_components
from cryobench.reconstruction.decoders import open_decoder
from cryobench.reconstruction.engine import Checkpoint, RunContext
from cryobench.reconstruction.images import PosedSpectra, spectra_bytes
from linear_toy import linear_dataset, subspace_angles_deg


def small_problem(size, n, k, rng, *, fits_scale=True, ridge=0.01):
    dataset, truth = linear_dataset(size=size, n=n, k=k, snr=1.0)
    radius = (size - 1) // 2 - 1
    spectra = PosedSpectra(dataset.particles, radius)
    disc = HalfDisc(size, radius)
    stack = np.concatenate([truth.mean[None], truth.components * truth.deviations[:, None, None, None]])
    volumes = volume_to_fourier(torch.from_numpy(stack).float())
    noise = spectra.mean_power * rng.uniform(0.8, 1.2, radius + 1)
    return next(spectra.batches()), VariabilityModel(volumes, noise, ridge, fits_scale), disc


@pytest.mark.parametrize(("size", "k"), [(16, 1), (17, 2), (16, 4)])
@pytest.mark.parametrize("fits_scale", [True, False])
def test_compiled_expectation_is_that_of_slices(size, k, fits_scale, rng):
    batch, model, disc = small_problem(size, 30, k, rng, fits_scale=fits_scale)
    scales = torch.from_numpy(rng.uniform(0.8, 1.2, 30))
    one, other = fit_particles(batch, scales, model, disc), fit_by_slices(batch, scales, model, disc)
    for field in dataclasses.fields(one):
        first, second = (torch.as_tensor(getattr(fit, field.name)) for fit in (one, other))
        assert first.shape == second.shape
        torch.testing.assert_close(first, second, rtol=2e-3, atol=1e-4 * float(second.abs().max()), msg=field.name)


def test_expectation_is_dense_least_squares(rng):
    """Each particle's latents from the stacked real and imaginary parts of its entries, by NumPy."""
    batch, model, disc = small_problem(16, 12, 3, rng, fits_scale=False, ridge=0.3)
    fit = fit_particles(batch, torch.ones(12), model, disc)
    slices = extract_slices(model.volumes, batch.rotations, radius=disc.radius).flatten(2)
    predicted = (slices[:, :, torch.from_numpy(disc.index)] * batch.ctf[:, None]).numpy().astype(complex)
    # An entry and its mate count together; the zero frequency is its own mate.
    root = np.sqrt(2 * disc.weights / model.noise[disc.shells])
    for i in range(12):
        design = (predicted[i, 1:] * root).T
        target = (batch.data[i].numpy() - predicted[i, 0]) * root
        rows = np.concatenate([design.real, design.imag, np.sqrt(0.3) * np.eye(3)])
        right = np.concatenate([target.real, target.imag, np.zeros(3)])
        np.testing.assert_allclose(fit.latents[i], np.linalg.lstsq(rows, right)[0], rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(fit.precisions[i], rows.T @ rows, rtol=1e-3, atol=1e-2)
    taken = sum(np.trace(np.linalg.inv(p) @ (p - 0.3 * np.eye(3))) for p in fit.precisions.numpy())
    assert fit.leverage.sum() == pytest.approx(taken, rel=1e-4)


@pytest.mark.parametrize("k", [1, 3, 6])
def test_voxels_are_solved_as_dense_systems(k, rng):
    factors = rng.standard_normal((40, k + 2, k))
    matrices = np.einsum("vak,val->vkl", factors, factors)
    target = rng.standard_normal((40, k)) + 1j * rng.standard_normal((40, k))
    first, second = np.triu_indices(k)
    packed = torch.from_numpy(matrices[:, first, second])
    solved = solve_voxels(packed, torch.from_numpy(target))
    np.testing.assert_allclose(solved, np.linalg.solve(matrices, target[..., None])[..., 0], rtol=1e-6)
    np.testing.assert_allclose(multiply_voxels(packed, solved), target, atol=1e-8)


@pytest.mark.parametrize("size", [12, 13])
def test_maximisation_finds_the_components_of_noiseless_slices(size, rng):
    """Repeated with known latents it converges to the volumes whose slices were given: to the least-squares fit."""
    k, n, radius = 2, 400, (size - 1) // 2
    band = (0.0, float(radius))
    axis = np.arange(size) - size // 2
    distance = torch.from_numpy(np.sqrt((np.stack(np.meshgrid(axis, axis, axis)) ** 2).sum(0)) / size)
    mask = (distance < 0.45).float()
    drawn = torch.from_numpy(rng.standard_normal((k, size, size, size))) * torch.exp(-((distance / 0.15) ** 2))
    frequencies = torch.linalg.vector_norm(frequency_grid(size, 3, pixel_size=1 / size), dim=-1)
    smooth = torch.exp(-((frequencies / (0.45 * radius)) ** 2))  # or ringing would leave the mask
    spectra = [fft_volume(volume.float()) * smooth for volume in drawn]
    true = cut_band(torch.stack([ifft_volume(spectrum, size) for spectrum in spectra]), band)
    rotations = torch.linalg.qr(torch.from_numpy(rng.standard_normal((n, 3, 3))).float())[0]
    rotations = rotations * torch.linalg.det(rotations)[:, None, None]
    latents = torch.from_numpy(rng.standard_normal((n, k))).float()
    weight = torch.from_numpy(rng.uniform(0.5, 2, (n, size, size // 2 + 1))).float()

    def project(volumes):
        slices = extract_slices(volume_to_fourier(volumes), rotations, radius=radius)
        return torch.einsum("nk,nkyh->nyh", latents.to(slices.dtype), slices)

    data, found = project(true), torch.zeros_like(true)
    for _ in range(8):
        sums = MomentAccumulator(size, n_numerators=k, n_weights=3, radius=radius)
        left = data - project(found)
        factors = {"numerator_factors": latents, "weight_factors": second_moments(latents)}
        sums.add(1e4 * weight * left, 1e4 * weight, rotations, **factors)
        found, fitted = estimate_components(*sums.half_spectra(), found, mask, band)
    assert float((project(found) - data).abs().square().sum() / data.abs().square().sum()) < 1e-3
    assert subspace_angles_deg(found.numpy(), true.numpy()).max() < 4
    assert 0 < fitted.sum() < 2 * k * 4 / 3 * np.pi * (radius + 1) ** 3


def test_one_step_from_zero_is_the_dense_least_squares_solution(rng):
    """Images of one view, so that nothing is interpolated, and correlated latents: voxel by voxel against NumPy."""
    k, n, size, radius = 2, 60, 12, 5
    latents = rng.standard_normal((n, k)) @ np.array([[1.0, 0.8], [0.0, 0.6]])
    weight = rng.uniform(0.5, 2, (n, size, size // 2 + 1))
    data = rng.standard_normal((2, n, size, size // 2 + 1)) * 0.1
    data = data[0] + 1j * data[1] + np.einsum("nk,kyh->nyh", latents, rng.standard_normal((k, size, size // 2 + 1)))
    sums = MomentAccumulator(size, n_numerators=k, n_weights=3, radius=radius)
    small = torch.from_numpy(latents).float()
    sums.add(
        1e6 * torch.from_numpy(weight * data).to(torch.complex64),
        1e6 * torch.from_numpy(weight).float(),
        torch.eye(3).expand(n, 3, 3),
        numerator_factors=small,
        weight_factors=second_moments(small),
    )
    left_over, moments = sums.half_spectra()
    nothing, everywhere = torch.zeros(k, size, size, size), torch.ones(size, size, size)
    found, _ = estimate_components(left_over, moments, nothing, everywhere, (0.0, float(radius)))
    spectra = torch.stack([fft_volume(volume * gridding_correction(size)) for volume in found]).numpy()
    # Along x and y within the plane z = 0, without frequencies that stand for two of the view's.
    for y, x in ((1, 2), (2, 1), (-3, 1), (4, 2), (-1, 3)):
        root = np.sqrt(weight[:, y, x])[:, None]
        expected = np.linalg.lstsq(root * latents, root[:, 0] * data[:, y, x])[0]
        np.testing.assert_allclose(spectra[:, 0, y, x], expected, rtol=0.02, atol=0.02)


def test_orthonormal_components_span_the_same_and_give_the_same_volumes(rng):
    volumes = torch.from_numpy(rng.standard_normal((3, 6, 6, 6))).float()
    latents = rng.standard_normal((50, 3)) @ rng.standard_normal((3, 3))
    components, turn, variances = orthonormalise(volumes, latents)
    turned = latents @ turn
    before = np.tensordot(latents, volumes.numpy().astype(float), axes=1)
    np.testing.assert_allclose(np.tensordot(turned, components.numpy().astype(float), axes=1), before, atol=1e-4)
    np.testing.assert_allclose(np.cov(turned, rowvar=False, bias=True), np.diag(variances), atol=1e-8)
    with pytest.raises(ValueError, match="no variation"):
        orthonormalise(volumes, np.zeros((50, 3)))


def reconstruct(dataset, *, checkpoint=None, seed=0, compute=None, **settings):
    method = Variability3D(Variability3DSettings(**{"n_components": 2, "n_iterations": 3} | settings))
    context = RunContext(seed=seed, checkpoint=checkpoint, compute=compute or Compute())
    return method.reconstruct(dataset.particles, dataset.queries, context)


@pytest.fixture(scope="module")
def linear():
    return linear_dataset(size=16, n=200, snr=1.0)[0]


@pytest.fixture(scope="module")
def whole(linear):
    """A run that was not interrupted."""
    return reconstruct(linear)


def with_particles(dataset, **changes):
    return dataclasses.replace(dataset, particles=dataclasses.replace(dataset.particles, **changes))


def test_volumes_are_the_mean_and_components_times_latents_and_decode_alike(linear, whole):
    model, latents = whole.model, whole.latents
    decoder = open_decoder(whole, linear.particles, RunContext())
    decoded = list(decoder.decode(latents[linear.queries]))
    for item, particle in enumerate(linear.queries):
        expected = model["mean"] + np.tensordot(latents[particle], model["components"], axes=1)
        np.testing.assert_allclose(whole.volumes.read(item), expected, atol=1e-5)
        np.testing.assert_array_equal(decoded[item], whole.volumes.read(item))
    with pytest.raises(ValueError, match="latents have 2 numbers a row"):
        next(decoder.decode(np.ones((2, 3))))
    assert [len(model[name]) for name in ("variances", "half_sets", "precisions", "scales")] == [2, 200, 200, 200]
    assert any("filter resolution" in note for note in whole.notes)


def test_findings_hold_the_arrays_of_the_model(whole):
    """The same arrays, so that they are written once."""
    found, model = whole.find(Components), whole.model
    assert found.mean is model["mean"]
    assert found.components is model["components"]
    assert found.variances is model["variances"]
    assert whole.find(HalfSetFsc).curves.shape == (9,)
    log = whole.find(Convergence).log
    assert [entry["iteration"] for entry in log] == [1, 2, 3]
    assert whole.find(Convergence).stopped == "all 3 steps done"
    assert not whole.find(Convergence).converged
    assert (np.diff([entry["objective"] for entry in log]) > 0).all()


def test_in_a_smaller_box_the_volumes_are_on_the_grid_of_the_images():
    dataset, truth = linear_dataset(size=24, n=600, snr=1.0)
    result = reconstruct(dataset, box=17, n_iterations=8, filter_resolution=14.0)
    assert result.model["components"].shape == (2, 17, 17, 17)
    volumes = np.stack([result.volumes.read(item) for item in range(len(dataset.queries))])
    assert volumes.shape[1:] == (24, 24, 24)
    expected = truth.mean + np.tensordot(truth.latents[dataset.queries], truth.components, axes=1)
    assert np.corrcoef(volumes[0].ravel(), expected[0].ravel())[0, 1] > 0.95
    # Their deviations are as large as the true ones; components are of norm one on fewer voxels, so latents are less.
    found, true = volumes - volumes.mean(0), expected - expected.mean(0)
    assert (found * true).sum() / (true**2).sum() == pytest.approx(1, abs=0.15)
    deviations = truth.deviations * (17 / 24) ** 1.5
    np.testing.assert_allclose(np.sqrt(result.model["variances"]), deviations, rtol=0.15)
    latents = result.latents.astype(float)
    design = np.column_stack([np.ones(len(latents)), truth.latents])
    left = latents - design @ np.linalg.lstsq(design, latents)[0]
    squared = np.einsum("ni,nij,nj->n", left, result.model["precisions"].astype(float), left)
    assert 1 < np.median(squared) / (2 * np.log(2)) < 1.8


def test_without_a_mask_a_sphere_is_used_and_said(linear):
    result = reconstruct(with_particles(linear, mask=None), n_iterations=1)
    assert any("No mask" in note and "sphere" in note for note in result.notes)


def test_a_mask_can_be_grown(linear):
    """By 4 Å and a soft edge of 12: components have power there, and hardly any beyond."""
    distance = distance_transform_edt(np.asarray(linear.particles.mask) < 0.5) * linear.particles.pixel_size
    shares = []
    for dilation in (0.0, 4.0):
        components = reconstruct(linear, n_iterations=1, mask_dilation=dilation).model["components"]
        power = np.square(components).sum(0)
        shares.append([power[distance > reach].sum() / power.sum() for reach in (0, 16)])
    assert shares[0][0] < 0.01
    assert 0.04 < shares[1][0] < 0.1
    assert shares[1][1] < 1e-3


def test_a_highpass_keeps_low_frequencies_out_of_the_components(linear):
    result = reconstruct(linear, highpass_resolution=24.0, n_iterations=2)  # 64 Å / 24 Å = 2.7 index units
    spectrum = np.fft.fftn(result.model["components"], axes=(1, 2, 3))
    axis = np.fft.fftfreq(16, 1 / 16)
    low = axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2 < 2.6**2
    assert np.abs(spectrum[:, low]).max() < 1e-3 * np.abs(spectrum).max()


REFUSED = {
    "as many components as particles": ({"n_components": 12}, {}, "only 12 particles"),
    "a resolution beyond Nyquist": ({"filter_resolution": 5.0}, {}, "filter_resolution of 5 Å is outside"),
    "a highpass that leaves nothing": ({"highpass_resolution": 6.0}, {}, "leaves nothing"),
    "an empty mask": ({}, {"mask": np.zeros((16, 16, 16), np.float32)}, "data set's mask is zero"),
    "withheld poses": ({}, {"rotations": None, "shifts": None}, "come without"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_say_what_is_wrong(case, linear):
    settings, changes, message = REFUSED[case]
    few = dataclasses.replace(linear, particles=linear.particles.select(np.arange(12)), truth=None, queries=[0])
    with pytest.raises(ValueError, match=message):
        reconstruct(with_particles(few, **changes), **settings)


def test_too_little_memory_says_what_would_fit(linear):
    with pytest.raises(MemoryShortage, match=r"30 components in a box of 16 px .* n_components=\d+ would fit"):
        reserve_components(linear.particles, 30, 16, Compute(memory=20_000_000))
    with pytest.raises(MemoryShortage, match="not even one would fit"):
        reconstruct(linear, compute=Compute(memory=1_000_000))


def test_identical_images_and_nan_pixels_are_named(linear):
    images = linear.particles.images.read(np.arange(200))
    with pytest.raises(ValueError, match="same image"):
        reconstruct(with_particles(linear, images=ArrayImages(np.repeat(images[:1], 200, axis=0))))
    images = images.copy()
    images[7, 3, 3] = np.nan
    with pytest.raises(ValueError, match="particle 7"):
        reconstruct(with_particles(linear, images=ArrayImages(images)))


def streaming(dataset):
    """A budget in which the sums fit and the images do not."""
    particles, plenty = dataset.particles, 10**8
    budget = plenty - int(reserve_components(particles, 2, 16, Compute(memory=plenty))) + 20_000
    assert reserve_components(particles, 2, 16, Compute(memory=budget)) < len(particles) * spectra_bytes(
        HalfDisc(16, 4)
    )
    return Compute(memory=budget)


@pytest.mark.parametrize("last", [1, 2, 3, 4])
def test_a_run_killed_after_each_iteration_goes_on_to_the_same_bits(last, linear, whole, tmp_path, monkeypatch):
    """The mean is kept first, then the state after every iteration; it goes on with images no longer in memory."""
    keep, kept = Checkpoint.keep, []

    def keep_then_stop(*arguments):
        keep(*arguments)
        kept.append(1)
        if len(kept) == last:
            raise KeyboardInterrupt

    monkeypatch.setattr(Checkpoint, "keep", keep_then_stop)
    with pytest.raises(KeyboardInterrupt):
        reconstruct(linear, checkpoint=tmp_path)
    monkeypatch.setattr(Checkpoint, "keep", keep)
    monkeypatch.setattr("cryobench.methods.variability_3d.variability.estimate_mean", None)  # it is kept
    resumed = reconstruct(linear, checkpoint=tmp_path, compute=streaming(linear))
    np.testing.assert_array_equal(resumed.latents, whole.latents)
    for name, values in whole.model.items():
        np.testing.assert_array_equal(resumed.model[name], values, err_msg=name)
    assert resumed.find(Convergence).log == whole.find(Convergence).log


def test_checkpoints_of_another_call_and_damaged_ones_are_refused(linear, tmp_path):
    reconstruct(linear, checkpoint=tmp_path, n_iterations=1)
    with pytest.raises(FormatError, match="another call"):
        reconstruct(linear, checkpoint=tmp_path, n_iterations=1, seed=1)
    (tmp_path / "iteration.npz").write_bytes(b"half a file")
    with pytest.raises(FormatError, match="cannot be read"):
        reconstruct(linear, checkpoint=tmp_path, n_iterations=1)


def test_convergence_stops_early(linear):
    result = reconstruct(linear, n_iterations=20, convergence=0.02, particle_scale="none")
    found = result.find(Convergence)
    assert found.converged
    assert len(found.log) < 20


def test_scales_may_stay_at_one(linear, whole):
    np.testing.assert_array_equal(reconstruct(linear, particle_scale="none").model["scales"], 1)
    assert whole.model["scales"].std() > 0.01
