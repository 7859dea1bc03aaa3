"""The hierarchical search: planted poses, noise, astigmatism, local search, several volumes, other sources."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from cryobench.data import ArrayImages, Particles
from cryobench.imaging.ctf import Ctf, evaluate_ctf
from cryobench.imaging.grid import volume_to_fourier
from cryobench.imaging.half_disc import HalfDisc
from cryobench.imaging.shift_scores import ShiftGrid
from cryobench.imaging.slices import extract_slices
from cryobench.reconstruction.images import Spectra, centre, transform_images
from cryobench.reconstruction.poses import GridSlices, OrientationGrid, PoseSearch, SearchPlan, plan_radii
from cryobench.rotations import geodesic_distance, rotations_from_quaternions

SIZE = 32
PIXEL = 4.0
DISC = HalfDisc(SIZE, 15)


def _make_volume(seed: int = 0, n_blobs: int = 40) -> torch.Tensor:
    """(1, z, y, x): many narrow blobs within a third of the box, so that every frequency tells orientations."""
    generator = np.random.default_rng(seed)
    axis = np.arange(SIZE) - SIZE // 2
    centres = generator.normal(0, SIZE / 9, (n_blobs, 3))
    parts = [np.exp(-((axis - centres[:, k, None]) ** 2) / 2) for k in range(3)]
    return torch.from_numpy(np.einsum("bz,by,bx->zyx", *parts)).float()[None]


def _image(
    volume: torch.Tensor, rotations: np.ndarray, shifts: np.ndarray, ctf: Ctf, *, noise: float = 0.0, seed: int = 0
) -> Spectra:
    """Spectra of images of a volume at poses (shifts in px), with CTF and white noise of a power per entry."""
    n = len(rotations)
    slices = DISC.pack(extract_slices(volume_to_fourier(volume[0]), torch.from_numpy(rotations).float()))
    frequencies = torch.from_numpy(DISC.frequencies / (SIZE * PIXEL)).float()
    filtered = evaluate_ctf(ctf, frequencies)
    data = centre(filtered * slices, -shifts, DISC, pixel_size=1.0)
    drawn = np.random.default_rng(seed).normal(0, np.sqrt(noise / 2), (*data.shape, 2))
    data = data + torch.view_as_complex(torch.from_numpy(drawn).float())
    return Spectra(np.arange(n), data, filtered, DISC.shell_power(data), DISC.shell_power(filtered))


def _draw_poses(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, Ctf]:
    generator = np.random.default_rng(seed)
    rotations = rotations_from_quaternions(generator.normal(size=(n, 4)))
    defocus = generator.uniform(8_000, 20_000, n)
    return rotations, generator.uniform(-3, 3, (n, 2)), Ctf.from_columns(n, defocus_u=defocus, defocus_v=defocus)


def _search(noise: float = 1.0, **changes: object) -> PoseSearch:
    plan = SearchPlan(plan_radii(8, 15, 4), ShiftGrid(3.0, 7))
    return PoseSearch(replace(plan, **changes), DISC, np.full(16, noise))  # pyright: ignore[reportArgumentType]


VOLUME = _make_volume()
SOURCE = GridSlices(VOLUME, DISC)


def test_radii_of_the_levels_are_the_published_ones() -> None:
    assert plan_radii(12, 32, 4) == (12, 17, 22, 27, 32)
    assert plan_radii(12, 8, 2) == (8, 8, 8)


def test_a_pose_on_a_node_of_every_level_is_returned_exactly() -> None:
    grid, plan = OrientationGrid(), SearchPlan((8,), ShiftGrid(3.0, 7))
    pixels, angles = (each[::371] for each in grid.base)
    rotations = grid.rotations(0, pixels, angles)
    shifts = plan.shifts.pairs[np.arange(len(rotations)) * 5 % 49]
    _, _, ctf = _draw_poses(len(rotations))
    found = PoseSearch(plan, DISC, np.ones(16)).find(SOURCE, _image(VOLUME, rotations, shifts, ctf))
    np.testing.assert_array_equal(found.rotations, rotations)
    np.testing.assert_allclose(found.shifts, shifts, atol=1e-6)


def test_poses_of_noisy_images_are_found_within_twice_the_last_spacing() -> None:
    rotations, shifts, ctf = _draw_poses(60)
    clean = _image(VOLUME, rotations, shifts, ctf)
    noise = float(clean.data.abs().square().mean()) / 20
    images = _image(VOLUME, rotations, shifts, ctf, noise=noise)
    found = _search(noise).find(SOURCE, images)
    near = geodesic_distance(found.rotations, rotations) < 2 * OrientationGrid().spacing(4)
    assert near.mean() >= 0.95
    assert np.median(np.abs(found.shifts - shifts)) < 0.1
    assert (np.linalg.norm(found.shifts - shifts, axis=1)[near] < 0.2).mean() >= 0.95


def test_astigmatism_does_not_degrade_it() -> None:
    """It would, if the CTF were applied before slices are turned in plane."""
    rotations, shifts, _ = _draw_poses(40)
    errors = []
    for difference in (0.0, 3000.0):
        ctf = Ctf.from_columns(
            40, defocus_u=12_000 + difference / 2, defocus_v=12_000 - difference / 2, defocus_angle=0.7
        )
        noise = float(_image(VOLUME, rotations, shifts, ctf).data.abs().square().mean()) / 0.2
        found = _search(noise).find(SOURCE, _image(VOLUME, rotations, shifts, ctf, noise=noise))
        errors.append(float(np.mean(geodesic_distance(found.rotations, rotations))))
    assert errors[1] < 1.3 * errors[0]


def test_images_turned_by_a_right_angle_have_turned_poses() -> None:
    rotations, shifts, ctf = _draw_poses(12, seed=3)
    quarter = Rotation.from_euler("Z", 90, degrees=True).as_matrix()
    found = [
        _search().find(SOURCE, _image(VOLUME, turned, moved, ctf))
        for turned, moved in ((rotations, shifts), (quarter @ rotations, shifts @ quarter[:2, :2].T))
    ]
    distance = geodesic_distance(quarter @ found[0].rotations, found[1].rotations)
    assert np.degrees(distance.max()) < 0.1
    np.testing.assert_allclose(found[0].shifts @ quarter[:2, :2].T, found[1].shifts, atol=1e-5)
    np.testing.assert_allclose(found[0].scores, found[1].scores, rtol=1e-3)


def test_of_several_volumes_the_right_one_is_found() -> None:
    volumes = torch.cat([VOLUME, _make_volume(seed=1)])
    rotations, shifts, ctf = _draw_poses(12, seed=5)
    images = _image(volumes[1:], rotations, shifts, ctf)
    found = _search(margin=50.0).find(GridSlices(volumes, DISC), images)
    np.testing.assert_array_equal(found.volumes, 1)
    assert np.degrees(np.median(geodesic_distance(found.rotations, rotations))) < 1


def test_a_prior_of_shifts_holds_them_near_the_centre() -> None:
    rotations, shifts, ctf = _draw_poses(12, seed=7)
    noise = 1e3 * float(_image(VOLUME, rotations, shifts, ctf).data.abs().square().mean())
    images = _image(VOLUME, rotations, shifts, ctf, noise=noise)
    free, held = (_search(noise, shift_deviation=each).find(SOURCE, images).shifts for each in (None, 0.5))
    assert np.abs(held).mean() < 0.5 * np.abs(free).mean()


def test_symmetry_restricts_the_grid_and_finds_equivalent_poses() -> None:
    from cryobench.rotations import point_group

    group = point_group("C2")
    volume = (VOLUME + torch.rot90(VOLUME, 2, dims=(2, 3)).roll((1, 1), dims=(2, 3))) / 2
    rotations, shifts, ctf = _draw_poses(12, seed=8)
    images = _image(volume, rotations, shifts, ctf)
    found = _search(orientations=OrientationGrid(symmetry="C2")).find(GridSlices(volume, DISC), images)
    distance = np.min([geodesic_distance(found.rotations @ each, rotations) for each in group], axis=0)
    assert np.degrees(np.median(distance)) < 1


def test_mirrored_images_score_the_same_against_the_mirrored_volume() -> None:
    """No image tells a hand: turning all images over is looking at the mirror image of the particle."""
    rotations, shifts, ctf = _draw_poses(8, seed=9)
    images = _image(VOLUME, rotations, shifts, ctf)
    flipped = torch.flip(DISC.to_images(images.data), dims=(1,)).roll(1, dims=1)
    data = DISC.from_images(flipped)
    mirrored = Spectra(images.indices, data, images.ctf, images.power, images.ctf_power)
    source = GridSlices(torch.flip(VOLUME, dims=(2,)).roll(1, dims=2), DISC)
    one, other = _search().find(SOURCE, images), _search().find(source, mirrored)
    np.testing.assert_allclose(one.scores, other.scores, rtol=5e-3)


def test_what_is_no_plan_is_refused() -> None:
    with pytest.raises(ValueError, match="must ascend from 1, got \\(8, 4\\)"):
        SearchPlan((8, 4), ShiftGrid(1.0, 3))
    with pytest.raises(ValueError, match="needs a disc of that radius, got 15"):
        PoseSearch(SearchPlan((16,), ShiftGrid(1.0, 3)), DISC, np.ones(17))


def test_it_reads_particles_without_poses() -> None:
    rotations, shifts, ctf = _draw_poses(4, seed=10)
    images = DISC.to_images(_image(VOLUME, rotations, shifts, ctf).data)
    particles = Particles(ArrayImages(images.numpy()), PIXEL, ctf)
    found = _search().find(SOURCE, transform_images(particles, np.arange(4), DISC))
    assert np.degrees(geodesic_distance(found.rotations, rotations).max()) < 1.5
