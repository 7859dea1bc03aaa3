"""Distances between two sets of volumes against plain NumPy, pair by pair."""

import numpy as np
import pytest

from cryobench.data import IndexedVolumes
from cryobench.metrics import compare_volumes, fsc, fsc_auc

PIXEL_SIZE = 1.7


def _make_sets(rng, size):
    """Three volumes, and five of growing noise about the first, the third, and none of them."""
    axis = np.arange(size) - size // 2
    squared = axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2
    smooth = np.exp(-squared / (2 * (size / 4) ** 2))
    first = rng.normal(size=(3, size, size, size)) * smooth + rng.normal(size=(3, 1, 1, 1)) * smooth
    noise = rng.normal(size=(5, size, size, size))
    second = np.stack([first[0], -2 * first[0] + 3, first[2], first[2], 0 * first[0]])
    second += np.array([0, 0.02, 0.3, 2, 1])[:, None, None, None] * noise
    return first.astype(np.float32), second.astype(np.float32), (0.2 + 0.8 * smooth).astype(np.float32)


def _curve(one, other):
    """FSC of shells i − 1 ≤ |k| < i, i ≥ 1, by a loop over full centred spectra."""
    size = len(one)
    spectra = [np.fft.fftshift(np.fft.fftn(volume)) for volume in (one, other)]
    axis = np.arange(size) - size // 2
    radius = np.sqrt(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2)
    curve = []
    for shell in range(1, size // 2):
        inside = (radius >= shell - 1) & (radius < shell)
        a, b = (spectrum[inside] for spectrum in spectra)
        curve.append(np.vdot(a, b).real / np.sqrt((abs(a) ** 2).sum() * (abs(b) ** 2).sum()))
    return np.array(curve)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("size", [16, 17])
def test_every_matrix_against_plain_sums(size, masked, rng):
    first, second, mask = _make_sets(rng, size)
    weights = mask.astype(float) if masked else np.ones_like(mask, dtype=float)
    found = compare_volumes(first, second, pixel_size=PIXEL_SIZE, mask=mask if masked else None)
    assert found.fsc_auc.shape == found.correlation.shape == found.resolution.shape == (3, 5)
    for i, one in enumerate(first.astype(float)):
        for j, other in enumerate(second.astype(float)):
            curve = _curve(one * weights, other * weights)
            trapezoid = np.concatenate([[1.0], curve])
            area = (trapezoid[1:] + trapezoid[:-1]).mean() / 2
            assert found.fsc_auc[i, j] == pytest.approx(area, abs=1e-5)
            below = np.flatnonzero(curve[1:] < 0.5)
            assert found.crossed[i, j] == bool(len(below))
            entry = below[0] + 2 if len(below) else size // 2 - 1
            assert found.resolution[i, j] == pytest.approx(PIXEL_SIZE * size / entry)
            a, b = one - np.average(one, weights=weights), other - np.average(other, weights=weights)
            norms = [np.sqrt((weights * part**2).sum()) for part in (a, b)]
            assert found.correlation[i, j] == pytest.approx((weights * a * b).sum() / np.prod(norms), abs=1e-5)
            distance = np.sqrt((weights * (a / norms[0] - b / norms[1]) ** 2).sum())
            assert found.distance[i, j] == pytest.approx(distance, abs=2e-3 if distance < 0.1 else 1e-4)
    # Noise of all sizes has been met: some curves cross and some do not.
    assert found.crossed.any()
    assert not found.crossed.all()


def test_blocks_and_sources_give_the_same(rng):
    first, second, mask = _make_sets(rng, 16)
    whole = compare_volumes(first, second, pixel_size=1.0, mask=mask)
    sources = IndexedVolumes(first, np.arange(3)), IndexedVolumes(second, np.arange(5))
    # Room for one volume at a time.
    single = compare_volumes(*sources, pixel_size=1.0, mask=mask, memory_bytes=1)
    for name in ("fsc_auc", "correlation", "distance", "resolution", "crossed"):
        np.testing.assert_allclose(getattr(single, name), getattr(whole, name), atol=1e-12)


def test_within_a_set_and_beside_the_fsc_of_a_pair(rng):
    first, second, mask = _make_sets(rng, 15)
    found = compare_volumes(second, second, pixel_size=1.0, mask=mask)
    np.testing.assert_allclose(np.diag(found.fsc_auc), 1, atol=1e-12)
    np.testing.assert_allclose(np.diag(found.correlation), 1, atol=1e-6)
    for name in ("fsc_auc", "correlation", "distance", "resolution"):
        np.testing.assert_allclose(getattr(found, name), getattr(found, name).T, atol=1e-12)
    pair = fsc_auc(fsc(second[1], second[3], mask), normalised=True)
    assert found.fsc_auc[1, 3] == pytest.approx(pair, abs=1e-6)
    # Scale and constant do not matter, sign does.
    moved = compare_volumes(7 * first - 2, first, pixel_size=1.0)
    np.testing.assert_allclose(
        moved.correlation, compare_volumes(first, first, pixel_size=1.0).correlation, atol=1e-5
    )
    np.testing.assert_allclose(np.diag(compare_volumes(-first, first, pixel_size=1.0).distance), 2, atol=1e-5)


def test_a_constant_volume_has_no_correlation(rng):
    first, _, mask = _make_sets(rng, 16)
    found = compare_volumes(np.full_like(first[:1], 3.0), first, pixel_size=1.0, mask=mask)
    assert np.isnan(found.correlation).all()
    assert np.isnan(found.distance).all()
    assert np.isfinite(found.fsc_auc).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"second": np.zeros((1, 14, 14, 14), np.float32)}, "16 and 14 voxels a side"),
        ({"first": np.zeros((0, 16, 16, 16), np.float32)}, "0 and 2 volumes"),
        ({"mask": np.ones((15, 15, 15), np.float32)}, r"the mask has shape \(15, 15, 15\)"),
        ({"mask": np.zeros((16, 16, 16), np.float32)}, "mask values are weights"),
        ({"mask": np.full((16, 16, 16), np.nan, np.float32)}, "mask values are weights"),
        ({"first": np.full((1, 16, 16, 16), np.inf, np.float32)}, "volume 0 of the first set"),
        ({"pixel_size": 0.0}, "pixel_size must be positive"),
    ],
)
def test_refusals(change, message, rng):
    volumes = rng.normal(size=(2, 16, 16, 16)).astype(np.float32)
    given = {"first": volumes, "second": volumes, "pixel_size": 1.0, **change}
    with pytest.raises(ValueError, match=message):
        compare_volumes(**given)
