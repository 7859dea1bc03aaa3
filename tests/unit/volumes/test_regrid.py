"""Volumes on another grid are the same function of space."""

import numpy as np
import pytest

from cryobench.volumes.regrid import regrid_volume


def blobs(size: int, pixel_size: float) -> np.ndarray:
    """Gaussians at fixed places in Å about voxel ``n // 2``."""
    axis = (np.arange(size) - size // 2) * pixel_size
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    places = [(0, 0, 0, 1.0), (14, -6, 5, 0.7), (-9, 11, -12, 0.5)]
    return sum(h * np.exp(-((x - a) ** 2 + (y - b) ** 2 + (z - c) ** 2) / 50) for a, b, c, h in places).astype("f4")


@pytest.mark.parametrize(
    ("size", "pixel_size", "new_size", "new_pixel_size"),
    [
        (48, 2.0, 32, 3.0),
        (47, 2.0, 32, 3.0),
        (48, 2.0, 33, 2.0),
        (33, 3.0, 48, 2.0),
        (41, 2.47, 36, 2.6),
        (30, 3.1, 40, 3.0),
    ],
)
def test_values_are_those_of_the_function_on_the_new_grid(size, pixel_size, new_size, new_pixel_size) -> None:
    found = regrid_volume(blobs(size, pixel_size), pixel_size, box_size=new_size, new_pixel_size=new_pixel_size)
    expected = blobs(new_size, new_pixel_size)
    reach = min(size * pixel_size, new_size * new_pixel_size) / 2 - 2 * max(pixel_size, new_pixel_size)
    axis = np.abs(np.arange(new_size) - new_size // 2) * new_pixel_size
    inside = np.flatnonzero(axis < reach)
    assert found.dtype == np.float32
    assert found.shape == (new_size,) * 3
    both = np.ix_(inside, inside, inside)
    assert np.abs(found[both] - expected[both]).max() < 0.01


def test_the_same_grid_is_left_alone() -> None:
    volume = blobs(24, 3.0)
    assert np.array_equal(regrid_volume(volume, 3.0, box_size=24, new_pixel_size=3.0), volume)


def test_what_is_no_volume_or_no_size_is_refused() -> None:
    with pytest.raises(ValueError, match="cubic"):
        regrid_volume(np.zeros((4, 4, 5), np.float32), 1.0, box_size=4, new_pixel_size=1.0)
    with pytest.raises(ValueError, match="positive"):
        regrid_volume(np.zeros((4, 4, 4), np.float32), 0.0, box_size=4, new_pixel_size=1.0)
