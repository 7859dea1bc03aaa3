"""The published FSC and what is read off it, against a plain loop over full spectra and closed forms."""

import dataclasses

import numpy as np
import pytest
import torch
from torch_fourier_shell_correlation import fsc as peer_fsc

from cryobench.data import ArrayImages, Dataset, GroundTruth, IndexedVolumes, Particles, Reconstruction
from cryobench.imaging.ctf import Ctf
from cryobench.metrics import FscCurve, compare_volumes, fsc, fsc_auc, per_image_fsc, resolution

SIZES = [15, 16, 24, 25]


def _smooth_volume(rng: np.random.Generator, size: int) -> np.ndarray:
    """Random blobs: power that falls with frequency, so that shells differ."""
    grid = np.arange(size) - size // 2
    volume = np.zeros((size,) * 3)
    for _ in range(12):
        z, y, x = rng.normal(0, size / 6, 3)
        radius = rng.uniform(0.8, 2.0)
        volume += rng.uniform(0.5, 2) * np.exp(
            -((grid[:, None, None] - z) ** 2 + (grid[:, None] - y) ** 2 + (grid - x) ** 2) / (2 * radius**2)
        )
    return volume.astype(np.float32)


def _published_fsc(volume: np.ndarray, truth: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """Loop over shells of the full, centred spectra in double precision; shares nothing with the package."""
    if mask is not None:
        volume, truth = volume * mask, truth * mask
    size = volume.shape[0]
    first = np.fft.fftshift(np.fft.fftn(np.fft.ifftshift(volume.astype(np.float64))))
    second = np.fft.fftshift(np.fft.fftn(np.fft.ifftshift(truth.astype(np.float64))))
    axis = np.arange(size) - size // 2
    distance = np.sqrt(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2)
    curve = [1.0]
    for shell in range(1, size // 2):
        inside = (distance >= shell - 1) & (distance < shell)
        one, two = first[inside], second[inside]
        curve.append(np.vdot(one, two).real / np.sqrt(np.vdot(one, one).real * np.vdot(two, two).real))
    return np.array(curve)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("masked", [False, True])
def test_curve_is_the_published_one(rng: np.random.Generator, size: int, masked: bool) -> None:
    truth = _smooth_volume(rng, size)
    volume = truth + 0.2 * rng.standard_normal(truth.shape).astype(np.float32)
    mask = np.clip(_smooth_volume(rng, size), 0, 1) if masked else None
    curve = fsc(volume, truth, mask)
    expected = _published_fsc(volume, truth, mask)
    assert len(curve.values) == size // 2
    np.testing.assert_allclose(curve.values, expected, atol=1e-5)
    np.testing.assert_allclose(curve.frequencies, np.arange(size // 2) / size)


def _correlate_by_radius(rng: np.random.Generator, volume: np.ndarray, values: np.ndarray) -> np.ndarray:
    """A volume of the same power at every frequency that correlates with this one by ``values`` of ⌊|k|⌋.

    The rest is turned by a quarter: ±i F, of opposite sign at opposite frequencies, so that the volume is real.
    """
    size = volume.shape[0]
    axis = (np.fft.fftfreq(size) * size).round().astype(int)
    z, y, x = axis[:, None, None], axis[:, None], axis
    correlation = values[np.floor(np.sqrt(z**2 + y**2 + x**2)).astype(int)]
    half = np.sign(x + 1e-3 * y + 1e-6 * z)
    quarter = 1j * half * np.sqrt(1 - correlation**2)
    return np.fft.ifftn(np.fft.fftn(volume) * (correlation + quarter)).real.astype(np.float32)


@pytest.mark.parametrize("size", [24, 25])
def test_agrees_with_peer_to_a_hundred_thousandth(rng: np.random.Generator, size: int) -> None:
    """torch-fourier-shell-correlation bins softly about integer radii, ours in [i−1, i): where the correlation is the
    same at all frequencies of both shells, so are the two."""
    values = np.repeat([0.9, 0.5, -0.2, 0.0, 0.7, 0.1], 4)
    truth = _smooth_volume(rng, size) + 0.05 * rng.standard_normal((size,) * 3).astype(np.float32)
    volume = _correlate_by_radius(rng, truth, values)
    ours = fsc(volume, truth).values
    peer = peer_fsc(torch.from_numpy(volume), torch.from_numpy(truth)).numpy()
    shells = np.array([shell for shell in range(2, size // 2) if shell % 4])
    assert len(shells) >= 8
    np.testing.assert_allclose(ours[shells], peer[shells], atol=1e-5)
    np.testing.assert_allclose(ours[shells], values[shells - 1], atol=1e-5)


def test_agrees_with_peer_where_shells_hold_many_voxels(rng: np.random.Generator) -> None:
    """torch-fourier-shell-correlation bins softly about integer radii, ours in [i−1, i): on volumes whose true
    correlation is flat, both estimate the same number."""
    size = 48
    truth = rng.standard_normal((size,) * 3).astype(np.float32)
    volume = truth + rng.standard_normal((size,) * 3).astype(np.float32)
    ours = fsc(volume, truth).values[8:]
    peer = peer_fsc(torch.from_numpy(volume), torch.from_numpy(truth)).numpy()[8 : size // 2]
    assert abs(ours.mean() - peer.mean()) < 5e-3
    np.testing.assert_allclose(ours, peer, atol=0.05)


@pytest.mark.parametrize("size", SIZES)
def test_identical_is_exactly_one_scaled_one_negated_minus_one(rng: np.random.Generator, size: int) -> None:
    truth = _smooth_volume(rng, size)
    same = fsc(truth.copy(), truth)
    assert (same.values == 1.0).all()
    assert fsc_auc(same, normalised=True) == 1.0
    np.testing.assert_allclose(fsc(3.7 * truth, truth).values, 1.0, atol=1e-6)
    negated = fsc(-truth, truth).values
    assert negated[0] == 1.0
    np.testing.assert_allclose(negated[1:], -1.0, atol=1e-6)


def test_perfect_published_score_at_128_is_63_of_128() -> None:
    curve = FscCurve(values=np.ones(64), box_size=128)
    assert fsc_auc(curve) == 63 / 128
    assert fsc_auc(curve, normalised=True) == 1.0


def test_white_noise_lowers_the_curve_to_the_root_of_its_signal_fraction(rng: np.random.Generator) -> None:
    """Signal and independent noise of variance ratio r correlate with the signal at sqrt(r / (1 + r)), and two
    such volumes with each other at r / (1 + r)."""
    size, ratio = 64, 0.5
    signal = rng.standard_normal((size,) * 3).astype(np.float32)
    noise = rng.standard_normal((2, size, size, size)).astype(np.float32) / np.sqrt(ratio)
    one, two = signal + noise[0], signal + noise[1]
    assert fsc(one, signal).values[8:].mean() == pytest.approx(np.sqrt(ratio / (1 + ratio)), abs=5e-3)
    assert fsc(one, two).values[8:].mean() == pytest.approx(ratio / (1 + ratio), abs=5e-3)


def test_sign_is_kept_in_the_score() -> None:
    values = np.array([1.0, 1.0, -0.5, -0.5])
    assert fsc_auc(FscCurve(values=values, box_size=8)) == pytest.approx((1.0 + 0.25 - 0.5) / 8)


def test_empty_shells_do_not_score() -> None:
    """Only DC is left in one volume: the published code would give 1 in every other shell."""
    size = 16
    truth = np.zeros((size,) * 3, np.float32)
    truth[8, 8, 8] = 1.0  # all frequencies equally
    flat = np.ones((size,) * 3, np.float32)  # the zero frequency alone, exactly
    curve = fsc(flat, truth)
    np.testing.assert_array_equal(curve.values, [1.0, 1.0] + [0.0] * 6)
    both = fsc(flat, flat)
    assert (both.values == 1.0).all()


def test_two_empty_volumes_are_not_in_agreement() -> None:
    """As any two are in a mask that holds nothing."""
    volume = np.random.default_rng(0).normal(size=(16, 16, 16)).astype(np.float32)
    nothing = np.zeros_like(volume)
    np.testing.assert_array_equal(fsc(volume, volume, nothing).values, [1.0] + [0.0] * 7)
    np.testing.assert_array_equal(fsc(nothing, nothing).values, [1.0] + [0.0] * 7)
    found = compare_volumes(np.stack([volume, nothing]), nothing[None], pixel_size=1.0)
    np.testing.assert_allclose(found.fsc_auc[1], 0.5 / 7)


def test_resolution_is_the_first_shell_below_and_says_when_none_is() -> None:
    values = np.array([1.0, -1.0, 0.9, 0.6, 0.4, 0.6, 0.1, 0.05])
    curve = FscCurve(values=values, box_size=16)
    assert resolution(curve, 0.5, pixel_size=3.0) == (3.0 * 16 / 4, True)
    assert resolution(curve, 0.143, pixel_size=3.0) == (3.0 * 16 / 6, True)
    assert resolution(curve, 0.01, pixel_size=3.0) == (3.0 * 16 / 7, False)


def test_bad_input_is_named(rng: np.random.Generator) -> None:
    volume = _smooth_volume(rng, 16)
    with pytest.raises(ValueError, match=r"truth has shape \(15, 15, 15\)"):
        fsc(volume, volume[:15, :15, :15])
    with pytest.raises(ValueError, match="cubic"):
        fsc(volume[:8], volume[:8])
    broken = volume.copy()
    broken[3, 2, 1] = np.nan
    with pytest.raises(ValueError, match="volume holds NaN"):
        fsc(broken, volume)


def _dataset(rng: np.random.Generator, size: int = 16, n: int = 12) -> tuple[Dataset, np.ndarray]:
    volumes = np.stack([_smooth_volume(rng, size) for _ in range(3)])
    grid = np.arange(size) - size // 2
    distance = np.sqrt(grid[:, None, None] ** 2 + grid[:, None] ** 2 + grid**2)
    eye = np.tile(np.eye(3), (n, 1, 1))
    particles = Particles(
        images=ArrayImages(np.zeros((n, size, size), np.float32)),
        pixel_size=2.0,
        ctf=Ctf.from_columns(n, defocus_u=1e4, defocus_v=1e4),
        rotations=eye,
        shifts=np.zeros((n, 2)),
        mask=np.clip(7 - distance, 0, 1).astype(np.float32),
    )
    states = np.arange(n) % 3
    truth = GroundTruth(states, IndexedVolumes(volumes, np.arange(3)), rotations=eye, shifts=np.zeros((n, 2)))
    return Dataset(particles, truth, queries=np.array([7, 0, 5, 2]), card={"name": "toy"}), volumes


class _CountingVolumes:
    """A volume source that remembers what was read."""

    def __init__(self, volumes: np.ndarray) -> None:
        self.volumes, self.reads = volumes, []

    @property
    def box_size(self) -> int:
        return self.volumes.shape[-1]

    def __len__(self) -> int:
        return len(self.volumes)

    def read(self, index: int) -> np.ndarray:
        self.reads.append(index)
        return self.volumes[index]


def test_per_image_pairs_each_query_with_its_own_truth(rng: np.random.Generator) -> None:
    dataset, volumes = _dataset(rng)
    assert dataset.truth is not None
    noisy = volumes[dataset.truth.states[dataset.queries]] + 0.1 * rng.standard_normal((4, 16, 16, 16))
    noisy = noisy.astype(np.float32)
    reconstruction = Reconstruction(dataset.queries, volumes=IndexedVolumes(noisy, np.arange(4)))
    scores = per_image_fsc(reconstruction, dataset)
    for row, query in enumerate(dataset.queries):
        for suffix, mask in (("", None), ("-masked", dataset.particles.mask)):
            curve = fsc(noisy[row], volumes[dataset.truth.states[query]], mask)
            items = scores["fsc-auc" + suffix].items
            assert items["particle"][row] == query
            assert items["value"][row] == pytest.approx(fsc_auc(curve), abs=1e-12)
            table = scores.curves["fsc"]
            chosen = table[(table["particle"] == query) & (table["mask"] == ("mask" if suffix else "none"))]
            np.testing.assert_allclose(chosen["fsc"], curve.values, atol=1e-12)
    assert scores["fsc-auc"].value == pytest.approx(scores["fsc-auc"].items["value"].mean())
    assert scores["fsc-auc"].low <= scores["fsc-auc"].value <= scores["fsc-auc"].high
    assert scores["fsc-auc"].n == 4


def test_truth_scores_exactly_one_and_each_true_volume_is_read_once(rng: np.random.Generator) -> None:
    dataset, volumes = _dataset(rng)
    assert dataset.truth is not None
    counting = _CountingVolumes(volumes)
    dataset = dataclasses.replace(dataset, truth=dataclasses.replace(dataset.truth, volumes=counting))
    reconstruction = Reconstruction(dataset.queries, volumes=IndexedVolumes(volumes, dataset.queries % 3))
    scores = per_image_fsc(reconstruction, dataset)
    for name in ("fsc-auc-normalised", "fsc-auc-normalised-masked"):
        assert (scores[name].value, scores[name].low, scores[name].high) == (1.0, 1.0, 1.0)
    assert scores["fsc-auc"].value == 7 / 16
    assert not scores["resolution-0.143"].items["crossed"].any()
    assert sorted(counting.reads) == [0, 1, 2]


def test_unknown_states_are_left_out_and_counted(rng: np.random.Generator) -> None:
    dataset, volumes = _dataset(rng)
    assert dataset.truth is not None
    states = dataset.truth.states.copy()
    states[7] = -1
    dataset = dataclasses.replace(dataset, truth=dataclasses.replace(dataset.truth, states=states))
    reconstruction = Reconstruction(dataset.queries, volumes=IndexedVolumes(volumes, dataset.queries % 3))
    scores = per_image_fsc(reconstruction, dataset, mask=None)
    assert scores["fsc-auc"].n == 3
    assert scores.context["n_unknown_state"] == 1
    assert "fsc-auc-masked" not in scores.scores
    # Volumes are those of the particles that are left, which are the truth: none has moved up.
    np.testing.assert_allclose(scores["fsc-auc-normalised"].items["value"], 1)


def test_what_does_not_fit_is_refused(rng: np.random.Generator) -> None:
    dataset, volumes = _dataset(rng)
    with pytest.raises(ValueError, match="has no volumes"):
        per_image_fsc(Reconstruction(dataset.queries, latents=np.zeros((12, 1))), dataset)
    small = Reconstruction(dataset.queries, volumes=IndexedVolumes(volumes[:, :8, :8, :8], np.zeros(4)))
    with pytest.raises(ValueError, match="8 voxels a side, the truth has 16"):
        per_image_fsc(small, dataset)
    far = Reconstruction(np.array([99]), volumes=IndexedVolumes(volumes, np.zeros(1)))
    with pytest.raises(ValueError, match="query particle 99"):
        per_image_fsc(far, dataset)
    with pytest.raises(ValueError, match="no truth"):
        per_image_fsc(far, dataclasses.replace(dataset, truth=None))
