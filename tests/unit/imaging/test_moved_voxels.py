"""Projections of moved voxels: an adjoint pair, exact gradients, and the slices of a volume that does not move."""

import numpy as np
import pytest
import torch

from cryobench.imaging.grid import volume_to_fourier
from cryobench.imaging.half_disc import HalfDisc
from cryobench.imaging.real_space.moved_voxels import (
    FINENESS,
    BoundVoxels,
    gather_by_index,
    gather_voxels,
    kernel_response,
    project_voxels,
    spread_by_index,
    spread_voxels,
)
from cryobench.imaging.slices import extract_slices
from cryobench.rotations import rotations_from_quaternions


def draw_case(seed=0, n=5, box_size=12, count=70):
    """Voxels at random weights in elements at random places, some of them beyond the box."""
    generator = np.random.default_rng(seed)
    elements = generator.integers(0, 9, (6, 4)).astype(np.int32)
    starts = np.array([0, 20, 20, 31, 50, 61, count])
    weights = generator.dirichlet(np.ones(4), count).astype(np.float32)
    voxels = generator.permutation(box_size**3)[:count]
    bound = BoundVoxels(elements, starts, weights, voxels, box_size)
    positions = torch.from_numpy(generator.uniform(-9, 30, (n, 9, 2))).float()
    values = torch.from_numpy(generator.standard_normal(count)).float()
    images = torch.from_numpy(generator.standard_normal((n, 2 * box_size, 2 * box_size))).float()
    return positions, values, images, bound


def resting_case(box_size, seed=1):
    """Every voxel a vertex of its own, which is four times in an element, and places at random rotations."""
    generator = np.random.default_rng(seed)
    axis = np.arange(box_size) - box_size // 2
    z, y, x = (each.ravel() for each in np.meshgrid(axis, axis, axis, indexing="ij"))
    inside = x**2 + y**2 + z**2 < (0.36 * box_size) ** 2
    points = np.stack([x, y, z], axis=1)[inside]
    centres = generator.uniform(-0.2, 0.2, (6, 3)) * box_size
    volume = np.exp(-((points[:, None] - centres) ** 2).sum(2) / (2 * 1.0**2)).sum(1)
    count = len(points)
    elements = np.repeat(np.arange(count)[:, None], 4, axis=1).astype(np.int32)
    bound = BoundVoxels(
        elements, np.arange(count + 1), np.full((count, 4), 0.25, np.float32), np.flatnonzero(inside), box_size
    )
    rotations = torch.from_numpy(rotations_from_quaternions(generator.standard_normal((8, 4)))).float()
    positions = torch.from_numpy(points).float()
    positions = positions @ rotations[:, :2].transpose(1, 2) * FINENESS + FINENESS * box_size // 2
    return positions, torch.from_numpy(volume).float(), rotations, bound


def test_kernel_equals_the_readable_body():
    positions, values, images, bound = draw_case()
    spread = spread_voxels(positions, values, bound)
    assert torch.allclose(spread.double(), spread_by_index(positions.double(), values.double(), bound), atol=1e-4)
    found = gather_voxels(positions, values, images, bound, of_positions=True)
    expected = gather_by_index(positions.double(), values.double(), images.double(), bound, of_positions=True)
    for one, other in zip(found, expected, strict=True):
        assert torch.allclose(one.double(), other, atol=1e-4)


def test_gathering_is_the_adjoint_of_spreading():
    positions, values, images, bound = draw_case(seed=2)
    there = float((spread_voxels(positions, values, bound).double() * images).sum())
    back = float((values.double() * gather_voxels(positions, values, images, bound, of_positions=False)[0]).sum())
    assert there == pytest.approx(back, rel=1e-5)


@pytest.mark.parametrize("of", ["places", "values"])
def test_gradients_equal_finite_differences(of):
    positions, values, images, bound = draw_case(seed=3)
    positions, values, images = positions.double(), values.double(), images.double()
    free = {"places": positions.float().requires_grad_(), "values": values.float().requires_grad_()}
    (project_voxels(free["places"], free["values"], bound) * images.float()).sum().backward()
    gradient = free[of].grad
    assert gradient is not None
    change = torch.from_numpy(np.random.default_rng(4).standard_normal(gradient.shape))
    step = 1e-7  # no voxel crosses the border of a pixel
    ends = []
    for sign in (1, -1):
        moved = {"places": positions, "values": values}
        moved[of] = moved[of] + sign * step * change
        ends.append(float((spread_by_index(moved["places"], moved["values"], bound) * images).sum()))
    assert (ends[0] - ends[1]) / (2 * step) == pytest.approx(float((gradient.double() * change).sum()), rel=1e-4)


def test_every_image_holds_the_whole_mass_wherever_voxels_go():
    positions, values, _, bound = draw_case(seed=5)
    sums = spread_voxels(positions * 40, values, bound).double().sum((1, 2))
    assert torch.allclose(sums, values.double().sum().expand(len(sums)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("box_size", [20, 21])
def test_a_volume_at_rest_has_its_slices(box_size):
    positions, values, rotations, bound = resting_case(box_size)
    radius = (box_size - 1) // 2 - 1
    fine = HalfDisc(FINENESS * box_size, radius)
    projected = fine.from_images(spread_voxels(positions, values, bound))
    found = projected / torch.from_numpy(kernel_response(fine)).float()
    volume_ft = volume_to_fourier(bound.put(values), padding=2, kernel="wide")
    expected = HalfDisc(box_size, radius).pack(extract_slices(volume_ft, rotations, radius=radius))
    wrong = (found - expected).abs().square().sum() / expected.abs().square().sum()
    assert float(wrong.sqrt()) < 0.02
    outer = torch.from_numpy(fine.shells > 0.7 * radius)
    scale = (found * expected.conj()).real[:, outer].sum() / expected.abs().square()[:, outer].sum()
    assert float(scale) == pytest.approx(1, abs=0.02)


def test_values_are_put_where_they_were_taken():
    _, values, _, bound = draw_case()
    assert torch.equal(bound.take(bound.put(values)), values)
