"""Spectra and SNR estimates of a card against closed forms: a round Gaussian blob, a known CTF, known noise."""

import numpy as np
import pytest
import torch

from cryobench._progress import Silent
from cryobench.data import ArrayImages, Dataset, GroundTruth, IndexedVolumes, Particles
from cryobench.imaging.ctf import Ctf, evaluate_ctf
from cryobench.report.card.spectra import measure_spectra, molecule_radius, outside_window, window_power
from cryobench.report.card.states import view_states
from cryobench.rotations import rotations_from_quaternions

PIXEL_SIZE, WIDTH, SIGMA = 3.0, 2.5, 1.7


def _radius(size: int, dimensions: int) -> np.ndarray:
    axis = np.arange(size) - size // 2
    return np.sqrt(sum(np.square(grid) for grid in np.meshgrid(*[axis] * dimensions, indexing="ij")))


def _grid(size: int) -> np.ndarray:
    return np.stack(np.meshgrid(np.fft.rfftfreq(size, PIXEL_SIZE), np.fft.fftfreq(size, PIXEL_SIZE)), axis=-1)


def _blob_dataset(rng, size: int, *, n: int = 300, noise_power=None, with_truth: bool = True) -> Dataset:
    """A round Gaussian seen from anywhere, CTF applied, in noise of standard deviation SIGMA and a given spectrum."""
    volume = np.exp(-(_radius(size, 3) ** 2) / (2 * WIDTH**2))
    projection = WIDTH * np.sqrt(2 * np.pi) * np.exp(-(_radius(size, 2) ** 2) / (2 * WIDTH**2))
    defocus = rng.uniform(8_000, 20_000, n)
    ctf = Ctf.from_columns(n, defocus_u=defocus, defocus_v=defocus, b_factor=80.0)
    transfer = evaluate_ctf(ctf, torch.from_numpy(_grid(size))).numpy()
    spectrum = np.fft.rfft2(np.fft.ifftshift(projection))
    clean = np.fft.fftshift(np.fft.irfft2(transfer * spectrum, s=(size, size)), axes=(1, 2))
    noise = rng.normal(0, SIGMA, clean.shape)
    if noise_power is not None:
        amplitude = np.sqrt(noise_power(np.linalg.norm(_grid(size), axis=-1)))
        noise = np.fft.irfft2(np.fft.rfft2(noise) * amplitude, s=(size, size))
    rotations, shifts = rotations_from_quaternions(rng.standard_normal((n, 4))), np.zeros((n, 2))
    particles = Particles(
        ArrayImages((clean + noise).astype(np.float32)),
        PIXEL_SIZE,
        ctf,
        rotations,
        shifts,
        mask=(_radius(size, 3) < 3 * WIDTH).astype(np.float32),
    )
    volumes = IndexedVolumes(volume[None].astype(np.float32), np.zeros(1, int))
    truth = GroundTruth(np.zeros(n, int), volumes, rotations, shifts) if with_truth else None
    dataset = Dataset(particles, truth, np.arange(3), {"name": "blob"})
    object.__setattr__(dataset, "clean", clean)
    return dataset


def _measure(dataset: Dataset):
    with Silent().task("states") as task:
        return measure_spectra(dataset, view_states(dataset, task))


@pytest.mark.parametrize("size", [48, 49])
def test_white_noise_and_a_known_signal_have_their_closed_form(size, rng):
    dataset = _blob_dataset(rng, size)
    spectra = _measure(dataset)
    table = spectra.table
    frequency = table["frequency"].to_numpy()
    assert frequency == pytest.approx(np.arange(1, size // 2) / (size * PIXEL_SIZE))
    assert table["noise"].to_numpy() == pytest.approx(size**2 * SIGMA**2, rel=0.1)
    # Fourier transform of exp(−r²/2w²) in three dimensions, w in px; on a plane through its centre, times the CTF.
    grid = _grid(size)
    length = np.linalg.norm(grid, axis=-1)
    amplitude = (2 * np.pi) ** 1.5 * WIDTH**3 * np.exp(-2 * (np.pi * WIDTH * length * PIXEL_SIZE) ** 2)
    power = amplitude**2 * (evaluate_ctf(dataset.particles.ctf, torch.from_numpy(grid)).numpy() ** 2).mean(axis=0)
    shell = np.round(length * size * PIXEL_SIZE).astype(int)
    twice = np.where(np.arange(size // 2 + 1) % (size / 2) == 0, 1, 2) * np.ones((size, 1))
    strong = slice(1, 9)
    sums = [np.bincount(shell.ravel(), values.ravel())[2:10] for values in (power * twice, twice)]
    expected = sums[0] / sums[1]
    assert table["signal"].to_numpy()[strong] == pytest.approx(expected, rel=0.1)
    assert table["snr"].to_numpy()[strong] == pytest.approx(expected / (size * SIGMA) ** 2, rel=0.15)
    whole = table["images"].to_numpy() - table["noise"].to_numpy()
    assert whole[strong].sum() == pytest.approx(expected.sum(), rel=0.15)


@pytest.mark.parametrize("size", [48, 49])
def test_snr_is_estimated_both_ways_from_the_images_alone(size, rng):
    dataset = _blob_dataset(rng, size, with_truth=False)
    spectra = _measure(dataset)
    assert not spectra.from_truth
    assert spectra.expected is None
    clean = dataset.clean
    inside = _radius(size, 2) <= molecule_radius(dataset.particles)
    for measured, pixels in (
        (spectra.all_pixels, clean.reshape(len(clean), -1)),
        (spectra.inside_disc, clean[:, inside]),
    ):
        true = pixels.var(axis=1).mean() / SIGMA**2
        assert measured.error < 0.3 * true
        assert abs(measured.value - true) < 4 * measured.error + 0.03 * true


def test_expected_snr_agrees_with_the_images_made(rng):
    dataset = _blob_dataset(rng, 48)
    true = dataset.clean.var(axis=(1, 2)).mean() / SIGMA**2
    assert _measure(dataset).expected == pytest.approx(true, rel=0.05)


def test_coloured_noise_shows_its_spectrum(rng):
    def power(frequency: np.ndarray) -> np.ndarray:
        return 1 / (1 + (frequency / 0.05) ** 2)

    table = _measure(_blob_dataset(rng, 64, noise_power=power)).table
    expected = 64**2 * SIGMA**2 * power(table["frequency"].to_numpy())
    # A window of a few pixels' edge blurs the spectrum over about one shell.
    assert table["noise"].to_numpy()[2:] == pytest.approx(expected[2:], rel=0.12)


@pytest.mark.parametrize("size", [32, 33])
def test_corners_alone_tell_the_noise_at_every_frequency(size, rng):
    images = torch.from_numpy(rng.normal(0.3, SIGMA, (800, size, size)))
    power = window_power(images, outside_window(size, 0.5 * size))
    assert power[1 : size // 2] == pytest.approx(size**2 * SIGMA**2, rel=0.2)


@pytest.mark.parametrize("size", [32, 33])
def test_window_leaves_the_disc_out_and_the_corners_in(size):
    window = outside_window(size, 0.5 * size).numpy()
    radius = _radius(size, 2)
    assert (window[radius <= 0.5 * size] == 0).all()
    assert window.max() == 1
    assert window.sum() > 0.02 * size**2
