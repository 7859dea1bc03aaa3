"""Projection in real space against scipy's interpolation, its gradients against PyTorch's, and back-rotation."""

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates
from scipy.spatial.transform import Rotation

from cryobench.imaging.real_space.volumes import (
    grid_points,
    project_reference,
    project_volumes,
    sample_volumes,
    spread_images,
)

SIDES = [(12, 8), (12, 9), (13, 8), (13, 9), (9, 12)]


def draw(side: int, count: int = 2, each: int = 3) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(side)
    maps = Rotation.random(count * each, random_state=side).as_matrix().reshape(count, each, 3, 3)
    volumes = torch.randn(count, side, side, side, generator=generator)
    return volumes, torch.from_numpy(maps).float(), torch.randn(count, 3, generator=generator)


@pytest.mark.parametrize(("side", "size"), SIDES)
def test_a_projection_is_the_sum_of_scipys_samples(side: int, size: int):
    volumes, maps, offsets = draw(side)
    found = project_volumes(volumes, maps, offsets, size)
    points = grid_points(size).numpy()
    for i, j in ((0, 0), (1, 2)):
        places = points @ maps[i, j].numpy().T + offsets[i].numpy()
        voxels = places[:, ::-1].T * (side / size) + side // 2
        samples = map_coordinates(np.pad(volumes[i].numpy(), 1), voxels + 1, order=1, mode="constant")
        np.testing.assert_allclose(found[i, j], samples.reshape(size, size, size).sum(0), atol=2e-4)


@pytest.mark.parametrize(("side", "size"), SIDES)
def test_compiled_projection_and_gradients_are_those_of_pytorch(side: int, size: int):
    smooth = torch.nn.functional.avg_pool3d(draw(side)[0], 3, 1, 1)
    _, maps, offsets = draw(side)
    weights = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(1))
    found = []
    for project in (project_volumes, project_reference):
        leaves = [each.clone().requires_grad_() for each in (smooth, maps, offsets)]
        images = project(*leaves, size)
        (images * weights).sum().backward()
        found.append([images.detach(), *(each.grad for each in leaves)])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, atol=float(2e-4 * other.abs().max()), rtol=0)


@pytest.mark.parametrize(("side", "size"), SIDES)
def test_an_unrotated_volume_projects_to_its_sum_over_z(side: int, size: int):
    volumes, _, _ = draw(side)
    rest = torch.eye(3).expand(2, 1, 3, 3)
    projections = project_volumes(volumes, rest, torch.zeros(2, 3), size)[:, 0]
    torch.testing.assert_close(projections, sample_volumes(volumes, size).sum(1), atol=1e-5, rtol=1e-4)
    if side == size:
        torch.testing.assert_close(projections, volumes.sum(1), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("size", [8, 9])
def test_an_image_is_spread_along_its_line_of_sight(size: int):
    generator = torch.Generator().manual_seed(3)
    images = torch.randn(2, size, size, generator=generator)
    rotations = torch.from_numpy(Rotation.random(2, random_state=3).as_matrix()).float()
    points = grid_points(size)
    found = spread_images(images, rotations, points)
    for image, rotation, values in zip(images, rotations, found, strict=True):
        x, y, _ = rotation.numpy() @ points.numpy().T
        expected = map_coordinates(np.pad(image.numpy(), 1), [y + size // 2 + 1, x + size // 2 + 1], order=1)
        np.testing.assert_allclose(values, expected, atol=1e-4)
