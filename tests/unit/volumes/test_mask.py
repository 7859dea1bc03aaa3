"""Masks: shape, edge, union, threshold, and the record of how they were made."""

import hashlib

import numpy as np
import pytest
import torch

from cryobench.volumes import Mask, find_enclosing_level, make_soft_mask
from cryobench.volumes.mask import make_largest_sphere


def _distance(box_size: int, pixel_size: float, centre: tuple[int, int, int] | None = None) -> np.ndarray:
    half = box_size // 2
    z, y, x = np.indices((box_size,) * 3)
    cz, cy, cx = centre or (half, half, half)
    return pixel_size * np.sqrt((z - cz) ** 2 + (y - cy) ** 2 + (x - cx) ** 2)


@pytest.mark.parametrize("box_size", [24, 25])
def test_sphere_and_its_edge(box_size):
    values = make_largest_sphere(box_size, 0.8).numpy()
    distance = _distance(box_size, 1.0) / (0.8 * box_size / 2)
    assert (values[distance <= 0.9] == 1).all()
    assert (values[distance >= 1.0] == 0).all()
    edge = (distance > 0.9) & (distance < 1.0)
    np.testing.assert_allclose(values[edge], 0.5 + 0.5 * np.cos(np.pi * (distance[edge] - 0.9) / 0.1), atol=1e-6)


@pytest.mark.parametrize("box_size", [24, 25])
def test_one_voxel_grows_to_a_ball(box_size):
    volume = torch.zeros(box_size, box_size, box_size)
    volume[10, 12, 7] = 1.0
    mask = make_soft_mask(volume, 1.5, threshold=0.5, dilation=6.0, edge=4.5)
    distance = _distance(box_size, 1.5, (10, 12, 7))
    expected = 0.5 + 0.5 * np.cos(np.pi * np.clip((distance - 6.0) / 4.5, 0, 1))
    np.testing.assert_allclose(mask.values.numpy(), expected, atol=1e-6)


def test_region_at_the_border_and_at_opposite_corners():
    volume = torch.zeros(20, 20, 20)
    volume[0, 0, 0] = volume[19, 19, 19] = 1.0
    mask = make_soft_mask(volume, 1.0, threshold=0.5, dilation=3.0, edge=0.0)
    expected = (_distance(20, 1.0, (0, 0, 0)) <= 3) | (_distance(20, 1.0, (19, 19, 19)) <= 3)
    np.testing.assert_array_equal(mask.values.numpy(), expected)


def test_union_of_volumes_is_independent_of_their_order_and_scale(rng):
    volumes = torch.from_numpy(rng.random((3, 16, 16, 16)))
    volumes = volumes**8
    together = make_soft_mask(list(volumes), 3.0, dilation=0.0, edge=0.0)
    single = [make_soft_mask(volume, 3.0, dilation=0.0, edge=0.0).values for volume in volumes]
    assert torch.equal(together.values, torch.stack(single).amax(0))
    scaled = make_soft_mask(
        (volume * scale for volume, scale in zip(volumes.flip(0), (1, 50, 7), strict=True)),
        3.0,
        dilation=0.0,
        edge=0.0,
    )
    assert torch.equal(together.values, scaled.values)
    assert together.sha256 == scaled.sha256


def test_default_threshold_encloses_its_share_of_the_positive_mass(rng):
    density = rng.normal(size=(12, 12, 12)) ** 3
    level = find_enclosing_level(density, 0.9)
    positive = density[density > 0]
    assert positive[positive >= level].sum() >= 0.9 * positive.sum()
    assert positive[positive > level].sum() < 0.9 * positive.sum()
    mask = make_soft_mask(torch.from_numpy(density), 1.0, enclosed_mass=0.9, dilation=0.0, edge=0.0)
    np.testing.assert_array_equal(mask.values.numpy(), density >= level)


def test_record_and_hash():
    soft = make_soft_mask(torch.ones(4, 4, 4), 1.0, threshold=0.5)
    assert soft.recipe["threshold"] == 0.5
    assert soft.recipe["volumes"] == 1
    assert soft.sha256 == hashlib.sha256(soft.values.numpy().astype("<f4").tobytes()).hexdigest()


@pytest.mark.parametrize(
    ("volumes", "options", "message"),
    [
        (torch.zeros(4, 4, 4), {}, "no positive density"),
        (torch.ones(4, 4, 4), {"threshold": 2.0}, "no voxel of the 1 volumes reaches the threshold 2.0"),
        ([torch.ones(4, 4, 4), torch.ones(5, 5, 5)], {}, r"must have one shape, got \(4, 4, 4\) and \(5, 5, 5\)"),
        ([torch.ones(4, 4, 4), torch.full((4, 4, 4), torch.nan)], {}, "volume 1 holds values that are not finite"),
        ([], {}, "at least one volume"),
        (torch.ones(4, 4, 4), {"enclosed_mass": 1.5}, "between 0 and 1"),
        (torch.ones(4, 4, 4), {"edge": -1.0}, "at least 0"),
    ],
)
def test_nonsense_is_refused(volumes, options, message):
    with pytest.raises(ValueError, match=message):
        make_soft_mask(volumes, 1.0, **options)


def test_values_outside_the_unit_interval_are_no_mask():
    with pytest.raises(ValueError, match=r"must be in \[0, 1\], got 0.0 to 2.0"):
        Mask(torch.tensor([0.0, 2.0]).reshape(1, 1, 2), 1.0, {})
    with pytest.raises(ValueError, match="zero everywhere"):
        Mask(torch.zeros(2, 2, 2), 1.0, {})
