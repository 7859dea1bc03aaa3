"""Rotating the molecule or the pose, shifting the molecule or the image: the same image either way."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from cryobench.fourier import fft_images, ifft_images
from cryobench.imaging.ctf import Ctf
from cryobench.imaging.ctf_and_shift import apply_transfer
from cryobench.imaging.grid import volume_to_fourier
from cryobench.imaging.shift import shift_images
from cryobench.imaging.slices import extract_slices

SIZES = pytest.mark.parametrize("box_size", [24, 25])


def draw_points(rng, box_size, n=12):
    directions = rng.standard_normal((n, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return directions * rng.uniform(0, 0.25 * box_size, (n, 1))


def blobs(points, box_size):
    """Volume of Gaussians (σ = 1.5 voxels) at points (x, y, z) in voxels from the centre."""
    axis = np.arange(box_size) - box_size // 2
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    volume = sum(np.exp(-((x - p[0]) ** 2 + (y - p[1]) ** 2 + (z - p[2]) ** 2) / 4.5) for p in points)
    return torch.from_numpy(np.asarray(volume, dtype=np.float32))


def project(volume, rotations):
    rotations = torch.as_tensor(np.asarray(rotations), dtype=torch.float32)
    return extract_slices(volume_to_fourier(volume, kernel="wide", padding=2), rotations)


def relative(first, second):
    return float((first - second).abs().pow(2).sum().sqrt() / second.abs().pow(2).sum().sqrt())


@SIZES
def test_projection_is_the_sum_along_z(box_size, rng):
    volume = blobs(draw_points(rng, box_size), box_size)
    image = ifft_images(project(volume, np.eye(3)[None]), box_size)[0]
    assert relative(image, volume.sum(0)) < 2e-3


@SIZES
def test_rotated_molecule_and_rotated_pose(box_size, rng):
    points = draw_points(rng, box_size)
    molecule, pose = Rotation.random(2, random_state=rng).as_matrix()
    moved = project(blobs(points @ molecule.T, box_size), pose[None])
    posed = project(blobs(points, box_size), (pose @ molecule)[None])
    assert relative(moved, posed) < 3e-3
    wrong = project(blobs(points, box_size), (molecule @ pose)[None])
    assert relative(wrong, moved) > 0.1


@SIZES
def test_shifted_molecule_and_shifted_image(box_size, rng):
    """A molecule moved by d in its own frame moves in the image by the first two components of R d."""
    points, pose, pixel_size = draw_points(rng, box_size), Rotation.random(random_state=rng).as_matrix(), 2.5
    displacement = np.array([1.3, -0.8, 2.1])
    moved = project(blobs(points + displacement, box_size), pose[None])
    seen = torch.as_tensor((pose @ displacement)[None, :2] * pixel_size, dtype=torch.float32)
    shifted = shift_images(project(blobs(points, box_size), pose[None]), seen, box_size, pixel_size=pixel_size)
    assert relative(shifted, moved) < 3e-3


@SIZES
def test_stored_shift_centres_the_particle(box_size, rng):
    volume = blobs(draw_points(rng, box_size), box_size)
    rotations = torch.as_tensor(Rotation.random(2, random_state=rng).as_matrix(), dtype=torch.float32)
    shifts = torch.tensor([[4.0, -6.0], [1.5, 2.0]])
    ctf = Ctf.from_columns(2, defocus_u=9e3, defocus_v=9e3)
    grid = volume_to_fourier(volume, kernel="wide", padding=2)

    def image(stored):
        return apply_transfer(extract_slices(grid, rotations), ctf, -stored, pixel_size=3.0)

    centred = shift_images(image(shifts), shifts, box_size, pixel_size=3.0)
    # At an even size the Nyquist line keeps only a shift's real part; slices end below it.
    torch.testing.assert_close(centred, image(torch.zeros(2, 2)), atol=1e-3, rtol=1e-4)


@SIZES
def test_slices_are_hermitian(box_size, rng):
    """The x = 0 column holds each point and its mate, so a slice is the spectrum of a real image."""
    volume = torch.from_numpy(rng.standard_normal((box_size,) * 3).astype(np.float32))
    for kernel in ("trilinear", "wide"):
        rotations = torch.as_tensor(Rotation.random(4, random_state=rng).as_matrix(), dtype=torch.float32)
        slices = extract_slices(volume_to_fourier(volume, kernel=kernel), rotations)
        # At whole-number points the four taps are not symmetric: the wide kernel leaves a trace of phase at 0.
        assert slices[:, 0, 0].imag.abs().max() < (1e-5 if kernel == "trilinear" else 5e-3) * slices.abs().mean()
        slices[:, 0, 0] = slices[:, 0, 0].real.to(slices.dtype)
        assert relative(fft_images(ifft_images(slices, box_size)), slices) < 1e-6


@SIZES
def test_slices_at_opposite_in_plane_rotation_are_conjugate_columns(box_size, rng):
    """Turning a pose by 180° in its plane maps k to −k: the image is mirrored through its centre."""
    volume = blobs(draw_points(rng, box_size), box_size)
    pose = Rotation.random(random_state=rng).as_matrix()
    turned = np.diag([-1.0, -1.0, 1.0]) @ pose
    first, second = ifft_images(project(volume, np.stack([pose, turned])), box_size)
    odd = slice(1, None) if box_size % 2 == 0 else slice(None)
    torch.testing.assert_close(first[odd, odd].flip(0, 1), second[odd, odd], atol=1e-3, rtol=1e-3)
