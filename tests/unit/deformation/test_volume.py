"""Density moved with a mesh: its sum stays, at rest it is the map, and a rigid motion is a rotation of the map."""

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates

from cryobench.reconstruction.deformation import FlowNetwork, make_mesh, move_density, spread_density
from cryobench.rotations import rotations_from_quaternions

SIZE, PIXEL_SIZE = 24, 3.0


def draw_map():
    axis = np.arange(SIZE) - SIZE // 2
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    centres = np.array([[0, 0, 0], [4, 1, -2], [-3, 3, 2], [1, -4, 3]])
    volume = sum(np.exp(-((x - a) ** 2 + (y - b) ** 2 + (z - c) ** 2) / (2 * 1.6**2)) for a, b, c in centres)
    region = x**2 + y**2 + z**2 < 100
    mesh = make_mesh(region, PIXEL_SIZE, 9.0)
    bound = mesh.bind(SIZE, PIXEL_SIZE, np.flatnonzero(region))
    volume = torch.from_numpy(volume * region).float()
    return volume, mesh, bound


def test_mass_is_conserved_under_any_motion():
    volume, mesh, bound = draw_map()
    values = bound.take(volume)
    noise = torch.from_numpy(np.random.default_rng(0).standard_normal((mesh.n_vertices, 3))).float()
    for size in (0.3, 3.0, 100.0):  # the last one leaves the box, which is periodic
        positions = (mesh.rest + size * noise) * mesh.cell
        total = float(values.double().sum())
        assert float(spread_density(positions, values, bound, PIXEL_SIZE).double().sum()) == pytest.approx(
            total, rel=1e-6
        )
        assert float(move_density(positions, values, bound, PIXEL_SIZE).double().sum()) == pytest.approx(
            total, rel=1e-5
        )


def test_without_motion_it_is_the_map():
    volume, mesh, bound = draw_map()
    found = move_density(mesh.rest * mesh.cell, bound.take(volume), bound, PIXEL_SIZE)
    assert float((found - volume).square().sum() / volume.square().sum()) < 1e-4


def test_a_rigid_motion_is_the_maps_own():
    volume, mesh, bound = draw_map()
    rotation = rotations_from_quaternions(np.array([[0.9, 0.2, -0.3, 0.1]]))[0]
    shift = np.array([3.0, -4.5, 1.5])
    positions = torch.from_numpy(mesh.rest.numpy() * mesh.cell @ rotation.T + shift).float()
    found = move_density(positions, bound.take(volume), bound, PIXEL_SIZE).numpy()
    axis = np.arange(SIZE) - SIZE // 2
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    points = np.stack([x, y, z], axis=-1) * PIXEL_SIZE
    back = (points - shift) @ rotation / PIXEL_SIZE + SIZE // 2
    expected = map_coordinates(volume.numpy(), back[..., ::-1].reshape(-1, 3).T, order=5).reshape(found.shape)
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.999


def test_the_flow_hardly_moves_anything_at_first_and_tells_latents_apart():
    torch.manual_seed(0)
    flow = FlowNetwork(2, 64, 6, 50)
    latents = torch.randn(200, 2)
    moved = flow(latents).detach()
    assert flow.last.bias is None
    assert moved.shape == (200, 50, 3)
    assert float(moved.square().mean().sqrt()) < 0.1
    assert float(moved.std(0).mean()) > 0.1 * float(moved.square().mean().sqrt())
    assert float(flow(torch.zeros(1, 2)).detach().abs().max()) == 0
