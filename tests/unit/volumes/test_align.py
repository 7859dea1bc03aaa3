"""Alignment of one volume: right answers with and without noise, symmetric volumes, masks, invariances, refusals."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from cryobench.volumes import align
from moved_blobs import MIRROR, Blobs, add_noise, angle_between, draw_transform, scatter_blobs


def _make_pair(rng, size, *, mirrored, snr=None, largest_shift=None):
    """Volume, reference and the transform between them."""
    blobs = scatter_blobs(rng, size)
    rotation, shift, mirrored = draw_transform(
        rng, size / 8 if largest_shift is None else largest_shift, mirrored=mirrored
    )
    volume = blobs.draw(size)
    reference = blobs.moved(rotation @ MIRROR if mirrored else rotation, shift).draw(size)
    if snr is not None:
        volume, reference = add_noise(volume, snr, rng), add_noise(reference, snr, rng)
    return volume, reference, rotation, shift


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("size", [32, 33])
def test_without_noise_the_answer_is_exact(size, mirrored, rng):
    volume, reference, rotation, shift = _make_pair(rng, size, mirrored=mirrored)
    found = align(volume, reference, pixel_size=2.5)
    assert found.mirrored == mirrored
    assert angle_between(found.rotation, rotation) < 0.15
    np.testing.assert_allclose(found.shift, 2.5 * shift, atol=2.5 * 0.03)
    assert found.score > 0.995
    assert found.other_hand_score is not None
    assert found.other_hand_score < 0.9
    assert found.pixel_size == 2.5


@pytest.mark.parametrize(("size", "mirrored", "snr"), [(32, True, 1.0), (33, False, 1.0), (24, True, 4.0)])
def test_in_noise(size, mirrored, snr, rng):
    volume, reference, rotation, shift = _make_pair(rng, size, mirrored=mirrored, snr=snr)
    found = align(volume, reference)
    assert found.mirrored == mirrored
    assert angle_between(found.rotation, rotation) < 1.5
    assert np.linalg.norm(found.shift - shift) < 0.5


@pytest.mark.parametrize("size", [24, 25])
def test_a_volume_and_itself(size, rng):
    volume = add_noise(scatter_blobs(rng, size).draw(size), 1.0, rng)
    found = align(volume, volume)
    assert not found.mirrored
    np.testing.assert_allclose(found.rotation, np.eye(3), atol=1e-4)
    np.testing.assert_allclose(found.shift, 0, atol=1e-3)
    assert found.score == pytest.approx(1, abs=1e-4)


def test_quarter_turns_and_flips_of_the_array(rng):
    volume = add_noise(scatter_blobs(rng, 25).draw(25), 1.0, rng)
    # np.rot90 from x to y, then x shifted by whole voxels, then z reversed: S after R is R' S with R' = S R S.
    turned = np.roll(np.rot90(volume, axes=(2, 1)), 2, axis=2)[::-1]
    quarter = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    found = align(volume, turned)
    assert found.mirrored
    np.testing.assert_allclose(found.rotation, quarter, atol=2e-3)
    np.testing.assert_allclose(found.shift, [2, 0, 0], atol=0.02)
    assert found.score > 0.99


def test_only_a_shift(rng):
    blobs = scatter_blobs(rng, 32)
    shift = np.array([5.3, -3.8, 2.1])
    found = align(blobs.draw(32), blobs.moved(np.eye(3), shift).draw(32), try_mirror=False)
    assert angle_between(found.rotation, np.eye(3)) < 0.1
    np.testing.assert_allclose(found.shift, shift, atol=0.02)
    assert found.other_hand_score is None


def _make_symmetric(rng, group, size):
    """Chiral blobs in general position, repeated by a point group about the box's centre."""
    unit = Blobs(rng.uniform(0.08, 0.2, (3, 3)) * size, np.full(3, 1.6), np.array([1.0, 1.5, 0.7]))
    whole = unit.moved(group[0], 0.0)
    for element in group[1:]:
        whole = whole.joined(unit.moved(element, 0.0))
    return whole


@pytest.mark.parametrize("name", ["C4", "D2"])
def test_symmetric_volumes_end_in_an_equivalent_answer(name, rng):
    group = Rotation.create_group(name).as_matrix()
    blobs = _make_symmetric(rng, group, 32)
    rotation, shift, _ = draw_transform(rng, 3.0, mirrored=False)
    volume, reference = blobs.draw(32), blobs.moved(rotation, shift).draw(32)
    found = align(add_noise(volume, 5.0, rng), add_noise(reference, 5.0, rng))
    assert not found.mirrored
    angles = [angle_between(found.rotation, rotation @ element) for element in group]
    assert min(angles) < 1.0
    assert sorted(angles)[1] > 60
    np.testing.assert_allclose(found.shift, shift, atol=0.2)


def test_a_volume_that_is_its_own_mirror_image_stays_unmirrored(rng):
    half = scatter_blobs(rng, 24, count=5)
    blobs = half.joined(half.moved(MIRROR, 0.0))
    rotation, shift, _ = draw_transform(rng, 2.0)
    found = align(blobs.draw(24), blobs.moved(rotation, shift).draw(24))
    assert not found.mirrored
    assert angle_between(found.rotation, rotation) < 0.3
    assert found.other_hand_score == pytest.approx(found.score, abs=2e-3)


def test_scale_offset_and_filter_do_not_matter(rng):
    volume, reference, rotation, shift = _make_pair(rng, 24, mirrored=True, snr=10.0)
    spectrum = np.fft.fftn(volume)
    axis = np.fft.fftfreq(24)
    squared = axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2
    sharpened = 40.0 * np.fft.ifftn(spectrum * np.exp(9.0 * squared)).real - 300.0
    found = align(sharpened, reference)
    assert found.mirrored
    assert angle_between(found.rotation, rotation) < 1.5
    assert np.linalg.norm(found.shift - shift) < 0.3
    negative = align(-volume, -reference)
    np.testing.assert_allclose(negative.rotation, align(volume, reference).rotation, atol=1e-4)


def test_a_mask_chooses_the_part_that_is_aligned(rng):
    size = 33
    first, second = (scatter_blobs(rng, size, count=8) for _ in range(2))
    left, right = (first.moved(0.7 * np.eye(3), [-7, 0, 0]), second.moved(0.7 * np.eye(3), [7, 0, 0]))
    rotation = Rotation.from_rotvec([0.0, 0.0, np.deg2rad(30)]).as_matrix()
    volume, reference = left.joined(right), left.joined(right.moved(rotation, [-1.0, -4.0, 1.0]))
    x = np.broadcast_to(np.arange(size) - size // 2, (size,) * 3)
    whole = align(volume.draw(size), reference.draw(size))
    on_left = align(volume.draw(size), reference.draw(size), mask=1 / (1 + np.exp(np.clip(x + 0.5, -8, 8) * 2)))
    assert angle_between(on_left.rotation, np.eye(3)) < 1.0
    assert np.linalg.norm(on_left.shift) < 0.3
    assert angle_between(whole.rotation, np.eye(3)) > 2.0
    assert on_left.score > whole.score + 0.02


def test_kinds_of_arrays_and_bits(rng):
    volume, reference, _, _ = _make_pair(rng, 24, mirrored=False, snr=1.0)
    first = align(volume, reference)
    given = volume.copy(), reference.copy()
    for array in given:
        array.setflags(write=False)
    again = align(*given)
    tensors = align(torch.from_numpy(volume).double(), torch.from_numpy(reference))
    threads = torch.get_num_threads()
    torch.set_num_threads(1 if threads > 1 else 2)
    try:
        other_threads = align(volume, reference)
    finally:
        torch.set_num_threads(threads)
    for other in (again, tensors, other_threads):
        assert first.rotation.tobytes() == other.rotation.tobytes()
        assert first.shift.tobytes() == other.shift.tobytes()
        assert (first.score, first.other_hand_score) == (other.score, other.other_hand_score)
    np.testing.assert_array_equal(given[0], volume)


def test_resolution_is_heeded(rng):
    volume, reference, rotation, _ = _make_pair(rng, 32, mirrored=False)
    fine = np.fft.fftfreq(32)
    squared = fine[:, None, None] ** 2 + fine[:, None] ** 2 + fine**2
    # Strong noise beyond 1/6 per voxel: an alignment down to 8 voxels does not see it, one to 3 does.
    noise = np.fft.ifftn(np.fft.fftn(rng.normal(size=volume.shape)) * (squared > 1 / 36)).real
    noisy = (volume + 2 * volume.std() * noise / noise.std()).astype(np.float32)
    coarse = align(noisy, reference, resolution=8.0, try_mirror=False)
    assert coarse.score > 0.9
    assert angle_between(coarse.rotation, rotation) < 1.5
    assert align(noisy, reference, try_mirror=False).score < coarse.score - 0.1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"reference": np.eye(26)[None] * np.ones((26, 1, 1))}, "24 voxels an axis, another 26"),
        ({"volume": np.ones((24, 24, 24))}, "the volume is 1 everywhere"),
        ({"reference": np.zeros((24, 24, 24))}, "the reference is 0 everywhere"),
        ({"volume": np.full((24, 24, 24), np.nan)}, "the volume holds 13824 values that are not finite"),
        ({"volume": np.zeros((24, 24, 23))}, r"the volume must be cubic, \(n, n, n\), got \(24, 24, 23\)"),
        ({"mask": np.eye(22)[None] * np.ones((22, 1, 1))}, "the mask has 22 voxels an axis, the volumes 24"),
        ({"mask": np.arange(24.0) * np.ones((24, 24, 1))}, "mask values must be in"),
        ({"resolution": 1.0}, "at a resolution of 2.4 to 6 Å, got 1.0"),
        ({"resolution": 9.0}, "got 9.0"),
        ({"resolution": float("nan")}, "got nan"),
        ({"pixel_size": 0.0}, "pixel_size must be positive, got 0.0"),
    ],
)
def test_refusals(change, message, rng):
    volume = scatter_blobs(rng, 24).draw(24)
    with pytest.raises(ValueError, match=message):
        align(**{"volume": volume, "reference": volume, **change})


def test_a_box_too_small(rng):
    volume = rng.normal(size=(10, 10, 10))
    with pytest.raises(ValueError, match="10 voxels an axis are too small"):
        align(volume, volume)
