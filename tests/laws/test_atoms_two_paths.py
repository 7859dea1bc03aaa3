"""Two roads from atoms to an image: projected in closed form, or rendered as a volume and summed along z."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from scipy.stats import multivariate_normal

from cryobench.atoms import AtomicModel, sigma_from_resolution
from cryobench.imaging.real_space.atoms import project_atoms
from cryobench.volumes import render


def _random_model(rng: np.random.Generator, count: int, radius: float) -> AtomicModel:
    positions = rng.normal(size=(count, 3))
    positions *= (radius * rng.random(count) ** (1 / 3) / np.linalg.norm(positions, axis=1))[:, None]
    return AtomicModel.from_positions(positions, rng.choice([6, 7, 8, 16], count))


def _random_rotations(rng: np.random.Generator, count: int) -> torch.Tensor:
    return torch.from_numpy(Rotation.random(count, rng=rng).as_matrix())


@pytest.mark.parametrize("box_size", [32, 33])
@pytest.mark.parametrize(("ratio", "error"), [(0.45, 3e-2), (0.6, 2e-3), (0.8, 1e-5), (1.0, 2e-6)])
def test_projection_is_pixel_size_times_the_sum_of_the_rendered_volume(rng, box_size, ratio, error):
    """The error falls as exp(-2 π² ratio²), ratio = sigma / pixel_size, down to the cutoff's."""
    pixel_size = 1.5
    resolution = ratio * pixel_size * np.pi * np.sqrt(2)
    model = _random_model(rng, 300, 18.0)
    rotations = _random_rotations(rng, 3)
    images = project_atoms(model.positions, model.atomic_numbers, rotations, box_size, pixel_size, resolution)
    for image, rotation in zip(images, rotations, strict=True):
        volume = render(model.transformed(rotation.numpy()), box_size, pixel_size, resolution)
        summed = pixel_size * volume.double().sum(0)
        assert torch.linalg.norm(image - summed) < error * torch.linalg.norm(summed)


@pytest.mark.parametrize("box_size", [28, 29])
def test_rotating_the_model_is_rotating_the_pose(rng, box_size):
    model = _random_model(rng, 200, 15.0)
    pose, turn = _random_rotations(rng, 2)
    turned = model.transformed(turn.numpy())
    one = project_atoms(turned.positions, model.atomic_numbers, pose[None], box_size, 1.5, 5.0)
    other = project_atoms(model.positions, model.atomic_numbers, (pose @ turn)[None], box_size, 1.5, 5.0)
    torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5 * other.max().item())


@pytest.mark.parametrize("box_size", [28, 29])
def test_the_shift_centres_the_particle(rng, box_size):
    model = _random_model(rng, 100, 12.0)
    rotations = _random_rotations(rng, 1)
    arguments = (model.atomic_numbers, rotations, box_size, 1.5, 5.0)
    shifts = torch.tensor([[3.0, -6.0]])  # x, y: 2 and -4 px
    displaced = project_atoms(model.positions, *arguments, shifts=shifts)
    centred = project_atoms(model.positions, *arguments)
    # Content of the displaced image moved by +shift is the centred image.
    moved = displaced[:, 4:-2, :-4]
    torch.testing.assert_close(centred[:, :-6, 2:-2], moved, rtol=1e-4, atol=1e-4 * centred.max().item())


@pytest.mark.parametrize("box_size", [20, 21])
def test_one_atom_is_a_normal_density_of_the_image_plane(rng, box_size):
    position, pixel_size, resolution = np.array([[2.2, -3.1, 9.0]]), 1.3, 6.0
    rotations, shifts = _random_rotations(rng, 2), torch.from_numpy(rng.uniform(-3, 3, (2, 2)))
    images = project_atoms(position, np.array([8]), rotations, box_size, pixel_size, resolution, shifts=shifts)
    axis = (np.arange(box_size) - box_size // 2) * pixel_size
    points = np.stack(np.meshgrid(axis, axis, indexing="xy"), axis=-1)
    sigma = sigma_from_resolution(resolution)
    for image, rotation, shift in zip(images, rotations.numpy(), shifts.numpy(), strict=True):
        expected = 8 * multivariate_normal((rotation @ position[0])[:2] - shift, sigma**2).pdf(points)
        np.testing.assert_allclose(image.numpy(), expected, atol=2e-5 * 8 / (2 * np.pi * sigma**2))


@pytest.mark.parametrize("resolution", [6.0, 6.9])
def test_an_atom_ends_at_the_cutoff(rng, resolution):
    """Five sigma along each axis, wherever the atom lies within a pixel."""
    for _ in range(20):
        position = rng.uniform(-2, 2, (1, 3))
        image = project_atoms(position, np.array([8]), torch.eye(3)[None], 41, 1.0, resolution)[0].numpy()
        inside = np.abs(np.arange(41) - 20 - position[0, :2, None]) <= 5 * sigma_from_resolution(resolution)
        np.testing.assert_array_equal(image > 0, inside[1][:, None] & inside[0])


def test_mass_is_kept_by_every_pose(rng):
    model = _random_model(rng, 100, 12.0)
    images = project_atoms(model.positions, model.atomic_numbers, _random_rotations(rng, 5), 40, 1.5, 6.0)
    masses = images.double().sum((1, 2)) * 1.5**2
    np.testing.assert_allclose(masses, model.atomic_numbers.sum(), rtol=1e-5)


def test_what_lies_outside_the_image_is_cut_off():
    rotations = torch.eye(3)[None]
    far = np.array([[100.0, 0, 0], [0, -100.0, 0]])
    assert project_atoms(far, np.array([6, 6]), rotations, 16, 1.0, 3.0).max() == 0
    # Half of an atom that is centred on the line half a pixel beyond the edge... is what reaches inside.
    edge = np.array([[-8.5, 0.0, 0.0]])
    image = project_atoms(edge, np.array([6]), rotations, 16, 1.0, 6.0)
    assert image.double().sum().item() == pytest.approx(3.0, rel=1e-3)


def test_an_image_does_not_depend_on_its_batch_or_the_threads(rng):
    model = _random_model(rng, 500, 15.0)
    rotations = _random_rotations(rng, 7)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        together = project_atoms(model.positions, model.atomic_numbers, rotations, 32, 1.5, 3.0)
        torch.set_num_threads(1)
        alone = [project_atoms(model.positions, model.atomic_numbers, pose[None], 32, 1.5, 3.0) for pose in rotations]
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(together, torch.cat(alone))


@pytest.mark.parametrize("box_size", [20, 21])
def test_each_image_may_show_a_conformation_of_its_own(rng, box_size):
    model = _random_model(rng, 80, 9.0)
    positions = model.positions + rng.normal(size=(3, 80, 3))
    rotations, shifts = _random_rotations(rng, 3), torch.from_numpy(rng.normal(size=(3, 2)))
    arguments = (model.atomic_numbers, rotations, box_size, 1.5, 5.0)
    together = project_atoms(positions, *arguments, shifts=shifts)
    for image in range(3):
        assert torch.equal(together[image], project_atoms(positions[image], *arguments, shifts=shifts)[image])
    with pytest.raises(ValueError, match="2 for 3 rotations"):
        project_atoms(positions[:2], *arguments)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": np.ones(2)}, "2 weights for 3 positions"),
        ({"shifts": torch.zeros(2, 2)}, "2 shifts for 1 rotations"),
        ({"pixel_size": 0.0}, "16 pixels of 0.0 Å"),
        ({"resolution": -3.0}, "resolution must be a positive"),
    ],
)
def test_nonsense_is_refused(change, message):
    arguments = {
        "positions": np.zeros((3, 3)),
        "weights": np.ones(3),
        "rotations": torch.eye(3)[None],
        "box_size": 16,
        "pixel_size": 1.0,
        "resolution": 3.0,
    }
    with pytest.raises(ValueError, match=message):
        project_atoms(**arguments | change)
