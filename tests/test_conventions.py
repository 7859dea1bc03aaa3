"""One test per sentence of CONVENTIONS.md, in its order. Sizes are even and odd throughout."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.linalg import expm
from scipy.spatial.transform import Rotation

from cryobench.atoms.model import AtomicModel
from cryobench.data import ArrayImages, Particles
from cryobench.fourier import fft_images, fft_volume, fourier_crop, fourier_pad, ifft_images
from cryobench.imaging.ctf import Ctf, electron_wavelength, evaluate_ctf
from cryobench.imaging.grid import volume_to_fourier
from cryobench.imaging.shift import shift_images
from cryobench.imaging.slices import extract_slices
from cryobench.io.formats.mrc import MrcStacks, begin_stack
from cryobench.io.programs.cryodrgn import read_poses, write_poses
from cryobench.io.programs.cryosparc import write_cs
from cryobench.metrics import fsc, fsc_auc
from cryobench.rng import stream
from cryobench.rotations import euler_from_rotations, rotations_from_euler
from cryobench.volumes import Alignment
from cryobench.volumes.render import render

SIZES = pytest.mark.parametrize("n", [24, 25])


def _spot(n: int, offset: tuple[float, float, float], sigma: float = 1.5) -> torch.Tensor:
    """A Gaussian spot (z, y, x) at ``offset`` = (x, y, z) voxels from the centre."""
    axis = torch.arange(n, dtype=torch.float32) - n // 2
    z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
    squared = (x - offset[0]) ** 2 + (y - offset[1]) ** 2 + (z - offset[2]) ** 2
    return torch.exp(-squared / (2 * sigma**2))


def _project(volume: torch.Tensor, rotation: np.ndarray) -> torch.Tensor:
    grid = volume_to_fourier(volume, kernel="wide", padding=2)
    slices = extract_slices(grid, torch.tensor(rotation[None], dtype=torch.float32))
    return ifft_images(slices, volume.shape[-1])[0]


def _peak(image: torch.Tensor) -> tuple[float, float]:
    """Centre of mass (x, y) in px from index n // 2."""
    n = image.shape[-1]
    axis = torch.arange(n, dtype=torch.float32) - n // 2
    positive = image.clamp(min=float(image.max()) * 0.05)
    positive = positive - positive.min()
    total = positive.sum()
    return float((positive.sum(0) * axis).sum() / total), float((positive.sum(1) * axis).sum() / total)


def test_every_sentence_has_its_test():
    table = Path(__file__).parents[1].joinpath("CONVENTIONS.md").read_text(encoding="utf-8")
    numbers = [int(number) for number in re.findall(r"^\| (\d+) \|", table, flags=re.MULTILINE)]
    tests = [int(name.split("_")[2]) for name in globals() if re.match(r"test_sentence_\d+", name)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert sorted(tests) == numbers


@SIZES
def test_sentence_1_axes_and_centre(n):
    model = AtomicModel.from_positions(np.array([[6.0, 0.0, 0.0]]), np.array([6]))
    volume = render(model, n, 2.0, 6.0)
    assert np.unravel_index(int(volume.argmax()), volume.shape) == (n // 2, n // 2, n // 2 + 3)
    # The projection of a centred spot is centred as well, in every view.
    rotation = Rotation.random(random_state=1).as_matrix()
    image = _project(_spot(n, (0, 0, 0)), rotation)
    assert np.unravel_index(int(image.argmax()), image.shape) == (n // 2, n // 2)


@SIZES
def test_sentence_2_coordinates_are_x_y_z(n):
    quarter = Rotation.from_rotvec([0, 0, np.pi / 2]).as_matrix()  # x goes to y
    image = _project(_spot(n, (5, 0, 0)), quarter)
    assert np.unravel_index(int(image.argmax()), image.shape) == (n // 2 + 5, n // 2)


@SIZES
def test_sentence_3_spectra(n, rng):
    image = torch.from_numpy(rng.standard_normal((n, n)))
    spectrum = fft_images(image)
    assert spectrum.shape == (n, n // 2 + 1)
    assert spectrum[0, 0].real == pytest.approx(float(image.sum()))
    axis = np.arange(n) - n // 2
    ky, kx = -3, 2
    waves = np.exp(-2j * np.pi * (ky * axis[:, None] + kx * axis[None, :]) / n)
    assert complex(spectrum[ky, kx]) == pytest.approx(complex((image.numpy() * waves).sum()))


def test_sentence_4_rotation_takes_reference_to_particle():
    n, offset = 32, np.array([5.0, -3.0, 4.0])
    rotation = Rotation.random(random_state=2).as_matrix()
    x, y = _peak(_project(_spot(n, tuple(offset)), rotation))
    assert (x, y) == pytest.approx(tuple((rotation @ offset)[:2]), abs=0.1)


@SIZES
def test_sentence_5_projection_is_the_sum_over_z_and_a_slice(n):
    volume = _spot(n, (3, -2, 4)) + 0.5 * _spot(n, (-4, 1, 0))
    assert torch.allclose(_project(volume, np.eye(3)), volume.sum(0), atol=2e-2)
    # A rotation that permutes axes takes grid points to grid points: there the slice is the spectrum itself.
    rotation = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    grid = volume_to_fourier(volume, kernel="wide", padding=2)
    got = extract_slices(grid, torch.tensor(rotation[None], dtype=torch.float32))[0]
    spectrum = fft_volume(volume)
    ky, kx = 2, 3
    along = np.array([kx, ky, 0]) @ rotation  # k R, (x, y, z)
    expected = spectrum[int(along[2]), int(along[1]), int(along[0])]
    assert abs(complex(got[ky, kx]) - complex(expected)) < 2e-3 * float(spectrum.abs().max())


def test_sentence_6_euler_angles(rng):
    angles = np.stack([rng.uniform(-np.pi, np.pi, 50), rng.uniform(0.1, 3, 50), rng.uniform(-np.pi, np.pi, 50)], 1)
    elementary = [Rotation.from_euler(axis, angles[:, i : i + 1]).as_matrix() for i, axis in enumerate("zyz")]
    product = elementary[0] @ elementary[1] @ elementary[2]
    assert np.allclose(rotations_from_euler(angles), product.swapaxes(1, 2))
    assert np.allclose(euler_from_rotations(rotations_from_euler(angles)), angles)
    for tilt in (0.0, np.pi):
        back = euler_from_rotations(rotations_from_euler(np.array([[0.3, tilt, 0.4]])))[0]
        assert back[0] == 0
        assert np.allclose(rotations_from_euler(back[None]), rotations_from_euler(np.array([[0.3, tilt, 0.4]])))


@SIZES
def test_sentence_7_shift_centres(n):
    centred = _spot(n, (0, 0, 0)).sum(0)
    seen = torch.roll(centred, shifts=(-3, 2), dims=(0, 1))  # at x = +2, y = −3 px
    shift = torch.tensor([[-2.0 * 1.5, 3.0 * 1.5]])
    moved = ifft_images(shift_images(fft_images(seen[None]), shift, n, pixel_size=1.5), n)[0]
    assert torch.allclose(moved, centred, atol=1e-4)


def test_sentence_8_poses_file_holds_fractions(tmp_path):
    rotations, shifts = Rotation.random(3, random_state=4).as_matrix(), np.array([[3.0, -6.0], [0, 0], [12, 1.5]])
    write_poses(tmp_path / "poses.pkl", rotations, shifts, box_size=64, pixel_size=1.5)
    import pickle

    stored = pickle.loads((tmp_path / "poses.pkl").read_bytes())
    assert np.allclose(stored[1], shifts / 1.5 / 64)
    assert np.allclose(stored[0], rotations)
    back = read_poses(tmp_path / "poses.pkl", box_size=64, pixel_size=1.5)
    assert np.allclose(back[1], shifts, atol=1e-5)


def test_sentence_9_ctf_at_zero_is_minus_amplitude_contrast():
    ctf = Ctf.from_columns(1, defocus_u=15_000.0, defocus_v=12_000.0, amplitude_contrast=0.07)
    assert evaluate_ctf(ctf, torch.zeros(1, 2)).item() == pytest.approx(-0.07, abs=1e-6)
    gamma = 0.4
    plate = Ctf.from_columns(1, defocus_u=0.0, defocus_v=0.0, amplitude_contrast=0.07, phase_shift=-gamma)
    expected = np.sqrt(1 - 0.07**2) * np.sin(gamma) - 0.07 * np.cos(gamma)
    assert evaluate_ctf(plate, torch.zeros(1, 2)).item() == pytest.approx(expected, abs=1e-6)


def test_sentence_10_underfocus_is_positive():
    defocus, s = 10_000.0, 0.05
    ctf = Ctf.from_columns(1, defocus_u=defocus, defocus_v=defocus, amplitude_contrast=0.0, phase_shift=0.2)
    wavelength = electron_wavelength(300.0)
    gamma = 2 * np.pi * (-0.5 * defocus * wavelength * s**2 + 0.25 * 2.7e7 * wavelength**3 * s**4) - 0.2
    assert evaluate_ctf(ctf, torch.tensor([[s, 0.0]])).item() == pytest.approx(np.sin(gamma), abs=1e-5)
    weak = torch.tensor([[0.01, 0.0]])
    below = evaluate_ctf(Ctf.from_columns(1, defocus_u=8e3, defocus_v=8e3, amplitude_contrast=0.0), weak)
    assert below.item() < 0  # underfocused phase contrast keeps protein dark


def test_sentence_11_defocus_angle_from_x_towards_y():
    u, v, angle, s = 20_000.0, 10_000.0, np.deg2rad(30), 0.03
    ctf = Ctf.from_columns(1, defocus_u=u, defocus_v=v, defocus_angle=angle)
    along = torch.tensor([[s * np.cos(angle), s * np.sin(angle)]], dtype=torch.float32)
    across = torch.tensor([[-s * np.sin(angle), s * np.cos(angle)]], dtype=torch.float32)
    for direction, defocus in ((along, u), (across, v)):
        round_ctf = Ctf.from_columns(1, defocus_u=defocus, defocus_v=defocus)
        assert evaluate_ctf(ctf, direction).item() == pytest.approx(
            evaluate_ctf(round_ctf, direction).item(), abs=1e-4
        )


def test_sentence_12_images_are_read_as_recorded():
    n = 24
    ctf = Ctf.from_columns(1, defocus_u=12_000.0, defocus_v=12_000.0)
    projection = _spot(n, (0, 0, 0), sigma=2.5).sum(0)
    from cryobench.imaging.ctf_and_shift import apply_transfer

    recorded = ifft_images(apply_transfer(fft_images(projection[None]), ctf, torch.zeros(1, 2), pixel_size=3.0), n)
    assert recorded[0, n // 2, n // 2] < 0  # dark
    stored = Particles(ArrayImages(-recorded.numpy()), 3.0, ctf, sign=-1)
    assert np.array_equal(stored.read([0]), recorded.numpy())


@SIZES
def test_sentence_13_snr_over_all_pixels(n, rng):
    from cryobench.imaging.noise import signal_variance

    images = rng.standard_normal((5, n, n)).astype(np.float32) + 3
    images[:, : n // 2] = 3
    assert signal_variance(images) == pytest.approx(images.reshape(5, -1).var(axis=1).mean(), rel=1e-5)


@pytest.mark.parametrize(("old", "new"), [(24, 17), (25, 16), (24, 12), (25, 13)])
def test_sentence_14_resampling_keeps_values(old, new):
    axis = (np.arange(old) - old // 2) / old
    coarse = (np.arange(new) - new // 2) / new

    def wave(u: np.ndarray) -> np.ndarray:
        return 1 + np.cos(2 * np.pi * 3 * u) + np.sin(2 * np.pi * 2 * u)

    fine_image = torch.from_numpy(wave(axis)[:, None] * wave(axis)[None, :])
    coarse_image = torch.from_numpy(wave(coarse)[:, None] * wave(coarse)[None, :])
    assert torch.allclose(fourier_crop(fine_image, new, dimensions=2), coarse_image)
    assert torch.allclose(fourier_pad(coarse_image, old, dimensions=2), fine_image)


@SIZES
def test_sentence_15_density_and_projection_units(n):
    model = AtomicModel.from_positions(np.array([[1.0, 2.0, -1.0], [-4.0, 0.0, 3.0]]), np.array([8, 26]))
    volume = render(model, n, 1.5, 6.0)
    assert float(volume.sum()) * 1.5**3 == pytest.approx(34, rel=1e-4)
    assert float(_project(volume, np.eye(3)).sum()) == pytest.approx(float(volume.sum()), rel=1e-3)


def test_sentence_16_named_streams():
    first = stream(5, "noise", 7).standard_normal(4)
    assert np.array_equal(first, stream(5, "noise", 7).standard_normal(4))
    for other in (stream(6, "noise", 7), stream(5, "shifts", 7), stream(5, "noise", 8)):
        assert not np.array_equal(first, other.standard_normal(4))


@SIZES
def test_sentence_17_published_shells(n, rng):
    volume, truth = rng.standard_normal((2, n, n, n)).astype(np.float32)

    curve = fsc(volume, truth).values
    assert len(curve) == n // 2
    assert curve[0] == 1
    frequency = np.fft.fftfreq(n, 1 / n)
    radius = np.sqrt(sum(axis**2 for axis in np.meshgrid(frequency, frequency, frequency, indexing="ij")))
    first, second = np.fft.fftn(volume.astype(float)), np.fft.fftn(truth.astype(float))
    assert curve[1] == pytest.approx(np.sign((first[0, 0, 0] * second[0, 0, 0]).real), abs=1e-6)
    for shell in range(1, n // 2):
        inside = (radius >= shell - 1) & (radius < shell)
        cross = (first[inside] * second[inside].conj()).sum().real
        norm = np.sqrt((np.abs(first[inside]) ** 2).sum() * (np.abs(second[inside]) ** 2).sum())
        assert curve[shell] == pytest.approx(cross / norm, abs=1e-5)


def test_sentence_18_auc_of_a_perfect_curve():
    volume = np.random.default_rng(0).standard_normal((128, 128, 128)).astype(np.float32)
    curve = fsc(volume, volume)
    assert fsc_auc(curve) == pytest.approx(63 / 128, abs=1e-4)
    assert fsc_auc(curve, normalised=True) == pytest.approx(1, abs=1e-4)


def test_sentence_19_cryosparc_poses(tmp_path, rng):
    with begin_stack(tmp_path / "stack.mrcs", 3, 8, 2.0) as stack:
        stack.append(rng.standard_normal((3, 8, 8)).astype(np.float32))
    rotations = rotations_from_euler(rng.uniform(0.2, 1.5, (3, 3)))
    shifts = rng.uniform(-4, 4, (3, 2))
    ctf = Ctf.from_columns(3, defocus_u=1e4, defocus_v=1e4)
    images = MrcStacks([tmp_path / "stack.mrcs"])
    write_cs(tmp_path / "particles.cs", Particles(images, 2.0, ctf, rotations, shifts, sign=-1))
    table = np.load(tmp_path / "particles.cs")
    for row in range(3):
        x, y, z = table["alignments3D/pose"][row]
        exponential = expm(np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]]))
        np.testing.assert_allclose(exponential.T, rotations[row], atol=1e-6)
    np.testing.assert_allclose(
        table["alignments3D/shift"] * table["alignments3D/psize_A"][:, None], shifts, atol=1e-6
    )
    assert (table["blob/sign"] == 1).all()


@SIZES
@pytest.mark.parametrize("mirrored", [False, True])
def test_sentence_20_alignment(n, mirrored):
    rotation = Rotation.from_rotvec([0.4, -0.9, 0.3]).as_matrix()
    place, shift = np.array([5.0, -2.0, 4.0]), np.array([2.0, 3.0, -4.0])
    alignment = Alignment(rotation, shift, mirrored, score=1.0, pixel_size=2.0)
    moved = rotation @ (place * (1, 1, -1) if mirrored else place) + shift / 2
    expected = _spot(n, tuple(moved.tolist())).numpy()
    found = alignment.apply(_spot(n, tuple(place.tolist())))
    np.testing.assert_allclose(found.numpy(), expected, atol=0.01)
