"""Scores over shifts against plain sums, shifted images, and their adjoint."""

import numpy as np
import pytest
import torch

from cryobench.fourier import fft_images, ifft_images
from cryobench.imaging.half_disc import HalfDisc
from cryobench.imaging.shift_scores import (
    DiscRows,
    ShiftGrid,
    average_by_phases,
    average_shifts,
    score_by_phases,
    score_shifts,
)


def _draw(size: int, n: int, b: int, seed: int = 0):
    disc = HalfDisc(size, (size - 1) // 2)
    rows = DiscRows(disc, disc.count(disc.radius - 2))
    generator = torch.Generator().manual_seed(seed)
    slices, images = (torch.randn(count, rows.count, dtype=torch.complex64, generator=generator) for count in (n, b))
    weights = torch.rand(b, rows.count, generator=generator)
    which = np.arange(n) % b
    centres = np.random.default_rng(seed).normal(0, 2, (n, 2)).astype(np.float32)
    return disc, rows, slices, images, weights, which, centres


@pytest.mark.parametrize(("size", "count"), [(16, 1), (17, 3), (24, 7), (32, 14)])
def test_the_kernels_equal_sums_with_a_matrix_of_phases(size: int, count: int) -> None:
    _, rows, slices, images, weights, which, centres = _draw(size, 10, 4)
    grid = ShiftGrid(2.5, count)
    rest = (images, weights, which, centres, grid, rows)
    torch.testing.assert_close(score_shifts(slices, *rest), score_by_phases(slices, *rest), rtol=1e-4, atol=2e-4)
    factors = torch.rand(10, count, count)
    rest = (images, which, centres, grid, rows)
    torch.testing.assert_close(
        average_shifts(factors, *rest), average_by_phases(factors, *rest), rtol=1e-4, atol=1e-4
    )


def test_averages_are_the_adjoint_of_scores() -> None:
    _, rows, slices, images, weights, which, centres = _draw(20, 12, 5)
    grid = ShiftGrid(3.0, 5)
    factors = torch.rand(12, 5, 5)
    scores = score_shifts(slices, images, torch.zeros_like(weights), which, centres, grid, rows)
    averages = average_shifts(factors, images, which, centres, grid, rows)
    one = float((factors * scores).double().sum())
    other = float((slices.conj() * averages).real.double().sum())
    assert one == pytest.approx(other, rel=1e-5)


@pytest.mark.parametrize("size", [16, 17])
def test_a_shift_by_whole_pixels_is_a_roll(size: int) -> None:
    """The shift moves the content of an image towards +x and +y, as CONVENTIONS says of a particle's shift."""
    disc = HalfDisc(size, (size - 1) // 2)
    rows = DiscRows(disc, disc.count(disc.radius))
    image = ifft_images(fft_images(torch.randn(1, size, size)), size)
    packed = disc.from_images(image)
    moved = average_shifts(
        torch.ones(1, 1, 1), packed, np.array([0]), np.array([[2.0, -3.0]], np.float32), ShiftGrid(0.0, 1), rows
    )
    rolled = disc.from_images(torch.roll(image, (2, -3), dims=(2, 1)))
    torch.testing.assert_close(moved, rolled, rtol=1e-4, atol=1e-3)


def test_a_grid_of_shifts_is_cell_centred() -> None:
    grid = ShiftGrid(10.0, 14)
    assert grid.spacing == pytest.approx(10 / 7)
    np.testing.assert_allclose(grid.offsets[[0, -1]], [-10 + 5 / 7, 10 - 5 / 7])
    assert grid.finer(16).spacing == pytest.approx(10 / 7 / 16)
    assert grid.pairs.shape == (196, 2)
    with pytest.raises(ValueError, match="an extent ≥ 0 px"):
        ShiftGrid(-1.0, 3)
