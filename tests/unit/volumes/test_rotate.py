"""Rigid motion of volumes: against blobs drawn where they should be, lattice motions, and the shift theorem."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from cryobench.volumes import rotate_volume
from moved_blobs import MIRROR, draw_transform, scatter_blobs

QUARTER_Z = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
"""x to y, y to -x."""
CYCLE = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
"""x to y to z to x."""


def _round_noise(rng, size):
    """Noise without the corners of its spectrum, which no rotation keeps."""
    spectrum = np.fft.fftn(rng.normal(size=(size,) * 3))
    axis = np.fft.fftfreq(size)
    spectrum[axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2 >= 0.2499] = 0
    return torch.from_numpy(np.fft.ifftn(spectrum).real.astype(np.float32))


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("size", [24, 25])
def test_blobs_go_where_their_centres_go(size, mirrored, rng):
    blobs = scatter_blobs(rng, size, count=6)
    rotation, shift, _ = draw_transform(rng, 2.0)
    expected = blobs.moved(rotation @ MIRROR if mirrored else rotation, shift).draw(size)
    volume = torch.from_numpy(blobs.draw(size))
    moved = rotate_volume(volume, rotation, shift * 1.7, pixel_size=1.7, mirrored=mirrored)
    assert moved.dtype == torch.float32
    np.testing.assert_allclose(moved.numpy(), expected, atol=2e-3 * expected.max())


@pytest.mark.parametrize("size", [16, 17])
def test_lattice_rotations_copy_voxels(size, rng):
    volume = _round_noise(rng, size)
    # Of an even box the first plane of each axis has no partner: the rest is an odd box about the same centre.
    inner = (slice(1 - size % 2, None),) * 3
    whole = volume[inner].numpy()
    quarter = rotate_volume(volume, QUARTER_Z)[inner].numpy()
    np.testing.assert_allclose(quarter, np.rot90(whole, axes=(2, 1)), atol=1e-5)
    cycled = rotate_volume(volume, CYCLE)[inner].numpy()
    # Value at (x, y, z) comes from the old (y, z, x).
    np.testing.assert_allclose(cycled, np.transpose(whole, (1, 2, 0)), atol=1e-5)
    np.testing.assert_allclose(rotate_volume(volume, np.eye(3)).numpy(), volume.numpy(), atol=1e-5)
    flipped = rotate_volume(volume, np.eye(3), mirrored=True)[inner].numpy()
    np.testing.assert_allclose(flipped, whole[::-1], atol=1e-5)


@pytest.mark.parametrize("size", [16, 17])
def test_whole_voxels_of_shift_copy_voxels_and_nothing_comes_from_outside(size, rng):
    volume = _round_noise(rng, size)
    moved = rotate_volume(volume, np.eye(3), np.array([3.0, -2.0, 1.0]))
    expected = torch.zeros_like(volume)
    expected[1:, :-2, 3:] = volume[:-1, 2:, :-3]
    np.testing.assert_allclose(moved.numpy(), expected.numpy(), atol=1e-5)
    assert not rotate_volume(volume, np.eye(3), np.array([float(size), 0.0, 0.0])).any()


def test_corners_of_the_spectrum_go(rng):
    size = 16
    volume = torch.from_numpy(rng.normal(size=(size,) * 3).astype(np.float32))
    kept = np.fft.fftn(rotate_volume(volume, np.eye(3)).numpy())
    axis = np.fft.fftfreq(size)
    outside = axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2 >= 0.25
    spectrum = np.fft.fftn(volume.numpy())
    assert np.abs(kept[outside]).max() < 1e-3
    np.testing.assert_allclose(kept[~outside], spectrum[~outside], atol=1e-3)


def test_there_and_back(rng):
    size = 32
    volume = torch.from_numpy(scatter_blobs(rng, size).draw(size))
    rotation, shift, _ = draw_transform(rng, 1.5)
    there = rotate_volume(volume, rotation, shift)
    back = rotate_volume(there, rotation.T, -rotation.T @ shift)
    assert (there - volume).abs().max() > 0.2 * volume.max()
    np.testing.assert_allclose(back.numpy(), volume.numpy(), atol=2e-3 * float(volume.max()))


def test_batches_and_threads_do_not_change_a_bit(rng):
    volumes = torch.from_numpy(rng.normal(size=(3, 12, 12, 12)).astype(np.float32))
    rotations = Rotation.random(3, random_state=5).as_matrix()
    shifts = torch.from_numpy(rng.normal(size=(3, 3)))
    together = rotate_volume(volumes, rotations, shifts)
    shared = rotate_volume(volumes, torch.from_numpy(rotations[1]), shifts[1])
    threads = torch.get_num_threads()
    torch.set_num_threads(1 if threads > 1 else 2)
    try:
        single = [rotate_volume(volumes[i], rotations[i], shifts[i]) for i in range(3)]
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(together, torch.stack(single))
    assert torch.equal(shared[1], single[1])
    assert not torch.equal(shared[0], single[0])
    assert rotate_volume(volumes[:0], rotations[0]).shape == (0, 12, 12, 12)


@pytest.mark.parametrize(
    ("shape", "rotation", "shift", "message"),
    [
        ((4, 4, 5), np.eye(3), None, r"got \(4, 4, 5\)"),
        ((4, 4), np.eye(3), None, r"got \(4, 4\)"),
        ((4, 4, 4), 2 * np.eye(3), None, "orthonormal"),
        ((4, 4, 4), np.full((3, 3), np.nan), None, "rotations must be finite"),
        ((4, 4, 4), -np.eye(3), None, "mirrored=True"),
        ((2, 4, 4, 4), np.stack([np.eye(3)] * 3), None, r"rotations of 2 volumes .* got \(3, 3, 3\)"),
        ((4, 4, 4), np.eye(3), np.zeros((2, 3)), r"shifts of 1 volumes .* got \(2, 3\)"),
        ((4, 4, 4), np.eye(3), np.array([0.0, np.inf, 0.0]), "finite"),
    ],
)
def test_refusals(shape, rotation, shift, message):
    with pytest.raises(ValueError, match=message):
        rotate_volume(torch.zeros(shape), rotation, shift)
