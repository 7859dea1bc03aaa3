"""Meshes over lattice cells: conforming, filling, and with the coordinates of what they hold."""

import numpy as np
import pytest

from cryobench.reconstruction.deformation import as_pairs, make_mesh

PIXEL_SIZE = 2.0


def ball(size=16, radius=6.0):
    axis = np.arange(size) - size // 2
    return axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2 < radius**2


def volumes_of(mesh):
    """(t,) signed, in cells."""
    corners = mesh.corners[mesh.elements].astype(float)
    return np.linalg.det(corners[:, 1:] - corners[:, :1]) / 6


@pytest.mark.parametrize("cell", [4.0, 5.3])
def test_six_tetrahedra_fill_every_cell(cell):
    mesh = make_mesh(ball(), PIXEL_SIZE, cell)
    sizes = np.abs(volumes_of(mesh)).reshape(-1, 6)
    assert np.allclose(sizes, 1 / 6)
    assert len(np.unique(mesh.corners, axis=0)) == mesh.n_vertices


def test_neighbours_meet_in_whole_triangles():
    mesh = make_mesh(np.ones((8, 8, 8), dtype=bool), 1.0, 2.0)
    faces = np.sort(np.concatenate([np.delete(mesh.elements, corner, axis=1) for corner in range(4)]), axis=1)
    _, counts = np.unique(faces, axis=0, return_counts=True)
    assert counts.max() == 2
    # A cube of 4³ cells has 6 · 4² squares of two triangles on its surface.
    assert (counts == 1).sum() == 6 * 16 * 2


@pytest.mark.parametrize(("size", "cell"), [(16, 4.0), (15, 5.3), (16, 32 / 7)])
def test_voxels_lie_where_their_weights_say(size, cell):
    region = ball(size)
    mesh = make_mesh(region, PIXEL_SIZE, cell)
    bound = mesh.bind(size, PIXEL_SIZE, np.flatnonzero(region))
    assert len(bound) == region.sum()
    assert bound.weights.min() >= 0
    assert np.allclose(bound.weights.sum(1), 1, atol=1e-6)
    found = ((mesh.corners * cell)[bound.vertices_of()] * bound.weights[..., None]).sum(1)
    z, y, x = np.unravel_index(bound.voxels, (size,) * 3)
    assert np.allclose(found, (np.stack([x, y, z], axis=1) - size // 2) * PIXEL_SIZE, atol=1e-5)


def test_voxels_outside_are_left_out():
    mesh = make_mesh(ball(radius=3.0), PIXEL_SIZE, 4.0)
    bound = mesh.bind(16, PIXEL_SIZE, np.arange(16**3))
    assert ball(radius=3.0).sum() <= len(bound) < 16**3
    assert len(mesh.bind(16, PIXEL_SIZE, np.array([0]))) == 0


def test_an_empty_region_is_refused():
    with pytest.raises(ValueError, match="mesh would be empty"):
        make_mesh(np.zeros((8, 8, 8), dtype=bool), 1.0, 2.0)


def three_slabs():
    """Labels 0, 1, 2 along x, a cell wide each; 3 is on its own."""
    labels = np.zeros((12, 12, 12), dtype=int)
    for label in range(4):
        labels[:, :, 3 * label : 3 * label + 3] = label
    labels[:, :, 9:] = 2
    return labels


def test_sub_meshes_share_vertices_only_where_they_are_fused():
    labels, region = three_slabs(), np.ones((12, 12, 12), dtype=bool)
    whole = make_mesh(region, 1.0, 3.0)
    tree = make_mesh(region, 1.0, 3.0, labels=labels)
    apart = make_mesh(region, 1.0, 3.0, labels=labels, fused=((0, 1),))
    assert tree.n_vertices == whole.n_vertices  # slabs end where cells do: the tree 1 > 0, 1 > 2 joins all of them
    assert apart.n_vertices == whole.n_vertices + 25
    label_of = np.repeat(apart.cells[:, 0], 6)
    vertices = {label: set(apart.elements[label_of == label].ravel()) for label in range(3)}
    assert len(vertices[0] & vertices[1]) == 25
    assert not vertices[1] & vertices[2]
    # Vertices that are one keep their place.
    corners = apart.corners[apart.elements]
    steps = corners[:, 1:] - corners[:, :-1]
    assert (np.abs(steps).sum(2) == 1).all()


def test_a_voxel_hangs_on_the_mesh_of_its_own_label():
    labels, region = three_slabs(), np.ones((12, 12, 12), dtype=bool)
    mesh = make_mesh(region, 1.0, 4.0, labels=labels, fused=())
    voxels = np.arange(12**3)
    bound = mesh.bind(12, 1.0, voxels, labels.ravel())
    label_of = np.repeat(mesh.cells[:, 0], 6)
    of_voxel = np.repeat(label_of, np.diff(bound.starts))
    assert len(bound) == len(voxels)
    assert np.array_equal(of_voxel, labels.ravel()[bound.voxels])


def test_what_cannot_be_fused_is_refused():
    labels, region = three_slabs(), np.ones((12, 12, 12), dtype=bool)
    with pytest.raises(ValueError, match="do not touch"):
        make_mesh(region, 1.0, 3.0, labels=labels, fused=((0, 2),))
    with pytest.raises(ValueError, match="segment 7 is to be fused"):
        make_mesh(region, 1.0, 3.0, labels=labels, fused=((0, 7),))
    with pytest.raises(ValueError, match="written as 0>1"):
        as_pairs(["0-1"])
    assert as_pairs(["0>1", "2 > 0"]) == ((0, 1), (2, 0))
