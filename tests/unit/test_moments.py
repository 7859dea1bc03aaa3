"""Sums of K numerators and their weights in one pass: against the accumulator of single volumes and the reference."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from cryobench.imaging.accumulate import SliceAccumulator
from cryobench.imaging.kernels import reference
from cryobench.imaging.kernels.cpu.slices import body as cpu
from cryobench.imaging.layout import GridLayout
from cryobench.imaging.moments import MomentAccumulator


def draw(rng, box_size, n, numerators, weights):
    shape = (n, box_size, box_size // 2 + 1)
    return (
        torch.view_as_complex(torch.from_numpy(rng.standard_normal((*shape, 2)).astype(np.float32))),
        torch.from_numpy(rng.standard_normal(shape).astype(np.float32)),
        torch.as_tensor(Rotation.random(n, random_state=rng).as_matrix(), dtype=torch.float32),
        torch.from_numpy(rng.standard_normal((n, numerators)).astype(np.float32)),
        torch.from_numpy(rng.standard_normal((n, weights)).astype(np.float32)),
    )


@pytest.mark.parametrize(("box_size", "padding"), [(12, 1), (13, 2)])
@pytest.mark.parametrize(("numerators", "weights"), [(1, 1), (3, 6), (9, 30)])
def test_compiled_body_agrees_with_reference(box_size, padding, numerators, weights, rng):
    numerator, weight, rotations, first, second = draw(rng, box_size, 4, numerators, weights)
    layout = GridLayout(box_size, padding, "trilinear")
    grids = []
    for body in (cpu, reference):
        grid = torch.zeros(*layout.shape, 2 * numerators + weights)
        body.accumulate_interleaved((numerator, weight), grid, (first, second), rotations, layout, 4.5)
        grids.append(grid)
    assert float(grids[1].abs().max()) > 0.5
    torch.testing.assert_close(grids[0], grids[1], atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("box_size", [12, 13])
def test_totals_are_those_of_volumes_one_by_one(box_size, rng):
    numerator, weight, rotations, first, second = draw(rng, box_size, 5, 2, 3)
    sums = MomentAccumulator(box_size, n_numerators=2, n_weights=3, radius=4)
    numerators, weights = (SliceAccumulator(box_size, n_volumes=k, radius=4) for k in (2, 3))
    for part in (slice(0, 2), slice(2, 5)):
        sums.add(
            numerator[part],
            weight[part],
            rotations[part],
            numerator_factors=first[part],
            weight_factors=second[part],
        )
    numerators.add(numerator, weight, rotations, class_weights=first, threshold=0.0)
    weights.add(numerator, weight, rotations, class_weights=second, threshold=0.0)
    for one, other in zip(sums.totals(), (numerators.totals()[0], weights.totals()[1]), strict=True):
        assert one.values.shape == other.values.shape
        torch.testing.assert_close(one.values, other.values, atol=2e-5, rtol=1e-4)


def test_wrong_shapes_are_named(rng):
    numerator, weight, rotations, first, second = draw(rng, 12, 3, 2, 3)
    sums = MomentAccumulator(12, n_numerators=2, n_weights=3)
    with pytest.raises(ValueError, match=r"numerator_factors must have shape \(3, 2\), got \(3, 3\)"):
        sums.add(numerator, weight, rotations, numerator_factors=second, weight_factors=second)
    with pytest.raises(ValueError, match="orthonormal"):
        sums.add(numerator, weight, 2 * rotations, numerator_factors=first, weight_factors=second)
