"""The transform as a value that is applied, and the modes of aligning many volumes."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from cryobench._errors import UnknownName
from cryobench.volumes import Alignment, align, align_all
from moved_blobs import MIRROR, add_noise, angle_between, draw_transform, invert, scatter_blobs

TURN = Rotation.from_rotvec([0.3, -1.1, 0.6]).as_matrix()


def _correlate(first, second):
    return np.corrcoef(np.asarray(first).ravel(), np.asarray(second).ravel())[0, 1]


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("size", [32, 33])
def test_applied_and_back(size, mirrored, rng):
    blobs = scatter_blobs(rng, size, count=6)
    shift = np.array([2.0, -3.0, 4.0])
    alignment = Alignment(TURN, shift, mirrored, 0.9, 0.5, 2.0)
    points = blobs.moved(alignment.matrix, shift / 2.0)
    volume, expected = blobs.draw(size), points.draw(size)
    moved = alignment.apply(volume)
    assert isinstance(moved, np.ndarray)
    np.testing.assert_allclose(moved, expected, atol=3e-3 * expected.max())
    np.testing.assert_allclose(invert(alignment).apply(expected), volume, atol=3e-3 * volume.max())


def test_applied_to_other_volumes(rng):
    alignment = Alignment(TURN, np.array([3.0, 0.0, -3.0]), True, 0.9, None, 1.5)
    volumes = torch.from_numpy(rng.normal(size=(2, 12, 12, 12)).astype(np.float32))
    both = alignment.apply(volumes)
    assert isinstance(both, torch.Tensor)
    assert torch.equal(both[1], alignment.apply(volumes[1]))
    doubled = Alignment(TURN, np.array([6.0, 0.0, -6.0]), True, 0.9, None, 3.0)
    assert torch.equal(alignment.apply(volumes[0], pixel_size=0.75), doubled.apply(volumes[0], pixel_size=1.5))
    assert not torch.equal(alignment.apply(volumes[0], pixel_size=0.75), both[0])
    assert alignment.matrix == pytest.approx(TURN @ MIRROR)
    with pytest.raises(ValueError, match="read-only"):
        alignment.rotation[0, 0] = 2


def test_what_is_found_can_be_applied(rng):
    blobs = scatter_blobs(rng, 32)
    rotation, shift, _ = draw_transform(rng, 3.0)
    volume, reference = blobs.draw(32), blobs.moved(rotation @ MIRROR, shift).draw(32)
    found = align(volume, reference, pixel_size=1.8)
    assert _correlate(volume, reference) < 0.9
    assert _correlate(found.apply(volume), reference) > 0.9999
    assert _correlate(invert(found).apply(reference), volume) > 0.9999


def _make_set(rng, transforms, size=24, snr=2.0):
    volumes, references = [], []
    for rotation, shift in transforms:
        blobs = scatter_blobs(rng, size)
        volumes.append(add_noise(blobs.draw(size), snr, rng))
        references.append(add_noise(blobs.moved(rotation @ MIRROR, shift).draw(size), snr, rng))
    return volumes, references


def test_one_transform_for_a_reconstruction(rng):
    rotation, shift, _ = draw_transform(rng, 2.0)
    volumes, references = _make_set(rng, [(rotation, shift)] * 9, snr=0.5)
    # The second pair is not looked at: six of nine are.
    volumes[1] = np.full_like(volumes[1], np.nan)
    found = align_all(volumes, references, mode="reconstruction")
    assert len(found) == 9
    assert all(one is found[0] for one in found)
    assert found[0].mirrored
    error = angle_between(found[0].rotation, rotation)
    assert error < 1.5
    alone = [align(volumes[i], references[i]) for i in (0, 2, 4)]
    assert error < np.mean([angle_between(one.rotation, rotation) for one in alone])


def test_one_transform_for_each_volume(rng):
    transforms = [draw_transform(rng, 2.0)[:2] for _ in range(3)]
    volumes, references = _make_set(rng, transforms, snr=10.0)
    found = align_all(torch.from_numpy(np.stack(volumes)), references, mode="volume", pixel_size=2.0)
    for one, (rotation, shift) in zip(found, transforms, strict=True):
        assert one.mirrored
        assert angle_between(one.rotation, rotation) < 1.5
        np.testing.assert_allclose(one.shift, 2 * shift, atol=0.6)


def test_no_transform_at_all(rng):
    rotation, shift, _ = draw_transform(rng, 2.0)
    volumes, references = _make_set(rng, [(rotation, shift)] * 2)
    found = align_all(volumes, [volumes[0], references[1]], mode="none", pixel_size=2.0)
    assert found[0].score == pytest.approx(1, abs=1e-6)
    best = align(volumes[1], references[1])
    assert found[1].score < best.score - 0.2
    for one in found:
        np.testing.assert_array_equal(one.matrix, np.eye(3))
        np.testing.assert_array_equal(one.shift, np.zeros(3))
        assert one.other_hand_score is None
        assert one.pixel_size == 2.0


def test_modes_and_lengths(rng):
    volume = scatter_blobs(rng, 16).draw(16)
    with pytest.raises(UnknownName, match="Did you mean 'volume'"):
        align_all([volume], [volume], mode="volumes")
    with pytest.raises(ValueError, match="2 volumes and 1 references"):
        align_all([volume, volume], [volume], mode="none")
    with pytest.raises(ValueError, match="0 volumes"):
        align_all([], [], mode="reconstruction")
    with pytest.raises(ValueError, match="16 voxels an axis, another 18"):
        align_all([volume] * 2, [volume, scatter_blobs(rng, 18).draw(18)], mode="reconstruction")
