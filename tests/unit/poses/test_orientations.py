"""Grids of orientations: how finely they cover the sphere of rotations, children, point groups."""

import numpy as np
import pytest

from cryobench.reconstruction.poses import OrientationGrid
from cryobench.reconstruction.poses.orientations import _pixels_of, in_asymmetric_unit
from cryobench.rotations import euler_from_rotations, geodesic_distance, point_group, rotations_from_quaternions


def _draw(n: int, seed: int = 0) -> np.ndarray:
    return rotations_from_quaternions(np.random.default_rng(seed).normal(size=(n, 4)))


def _nearest(grid: OrientationGrid, level: int, rotations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (n,) of a level that contain the views, and the indices (n,) of the nearest in-plane angles."""
    pixels = _pixels_of(rotations[:, 2], grid.nside * 2**level)
    relative = np.einsum("nij,nkj->nik", grid.directions(level, pixels), rotations)
    psi = np.arctan2(relative[:, 1, 0] - relative[:, 0, 1], relative[:, 0, 0] + relative[:, 1, 1])
    count = grid.n_inplane * 2**level
    return pixels, np.floor(psi * count / (2 * np.pi)).astype(int) % count


def test_the_first_level_is_that_of_the_published_search() -> None:
    grid = OrientationGrid()
    pixels, angles = grid.base
    rotations = grid.rotations(0, pixels, angles)
    assert rotations.shape == (4608, 3, 3)
    np.testing.assert_allclose(np.linalg.det(rotations), 1)
    psi = np.degrees(euler_from_rotations(rotations[:24])[:, 2])
    np.testing.assert_allclose(np.sort(psi % 360), 7.5 + 15 * np.arange(24), atol=1e-6)
    assert np.degrees(grid.spacing(4)) == pytest.approx(0.916, abs=1e-3)


@pytest.mark.parametrize("level", [0, 1, 3])
def test_some_node_is_near_any_rotation_and_a_child_of_it_nearer(level: int) -> None:
    grid, drawn = OrientationGrid(), _draw(500)
    pixels, angles = _nearest(grid, level, drawn)
    spacing = grid.spacing(level)
    distance = geodesic_distance(grid.rotations(level, pixels, angles), drawn)
    assert distance.max() < 1.1 * spacing
    children = grid.children(level, pixels, angles)
    assert children[0].shape == (500, 8)
    of_children = np.stack(
        [geodesic_distance(grid.rotations(level + 1, children[0][:, c], children[1][:, c]), drawn) for c in range(8)]
    ).min(0)
    assert of_children.max() < 0.7 * spacing
    assert of_children.mean() < 0.6 * distance.mean()


def test_children_are_eight_different_nodes_about_their_parent_also_at_the_poles() -> None:
    grid = OrientationGrid()
    pixels, angles = grid.base
    below, turned = grid.children(0, pixels, angles)
    assert all(len(set(zip(*each, strict=True))) == 8 for each in zip(below, turned, strict=True))
    parents = grid.rotations(0, pixels, angles)
    for child in range(8):
        distance = geodesic_distance(grid.rotations(1, below[:, child], turned[:, child]), parents)
        assert np.degrees(distance.max()) < 12


@pytest.mark.parametrize(("name", "order"), [("C1", 1), ("C7", 7), ("D2", 4), ("T", 12), ("O", 24), ("I", 60)])
def test_the_asymmetric_unit_holds_every_direction_once(name: str, order: int) -> None:
    group = point_group(name)
    assert len(group) == order
    directions = _draw(400, seed=1)[:, 2]
    inside = np.stack([in_asymmetric_unit(directions @ each.T, group) for each in group])
    assert (inside.sum(0) == 1).all()


def test_a_grid_of_a_symmetric_particle_covers_every_rotation_up_to_symmetry() -> None:
    grid = OrientationGrid(symmetry="D2")
    pixels, angles = grid.base
    assert len(pixels) < 4608 / 2.5
    rotations, group = grid.rotations(0, pixels, angles), point_group("D2")
    for drawn in _draw(40, seed=2):
        distances = [
            geodesic_distance(rotations, np.broadcast_to(drawn @ each, rotations.shape)).min() for each in group
        ]
        assert min(distances) < 1.1 * grid.spacing(0)


def test_what_is_no_grid_is_refused() -> None:
    with pytest.raises(ValueError, match="power of two, got 3"):
        OrientationGrid(nside=3)
    with pytest.raises(ValueError, match=r"named C1, C2, .*got 'C0'"):
        OrientationGrid(symmetry="C0")
