"""⟨A x, y⟩ = ⟨x, A* y⟩ for every linear operator of the imaging core, in the real inner product."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from cryobench.imaging.accumulate import SliceAccumulator
from cryobench.imaging.grid import FourierVolume
from cryobench.imaging.kernels import reference
from cryobench.imaging.layout import GridLayout, fill, fold
from cryobench.imaging.moments import MomentAccumulator
from cryobench.imaging.slices import extract_slices

GRIDS = pytest.mark.parametrize(
    ("box_size", "kernel", "padding"),
    [(n, kernel, padding) for n in (12, 13) for kernel in ("trilinear", "wide") for padding in (1, 2)],
)
TOLERANCE = 2e-5


def draw_rotations(rng, n):
    return torch.as_tensor(Rotation.random(n, random_state=rng).as_matrix(), dtype=torch.float32)


def draw_complex(rng, shape):
    pair = rng.standard_normal((*shape, 2)).astype(np.float32)
    return torch.view_as_complex(torch.from_numpy(pair))


def inner(first, second):
    return float((first.to(torch.complex128).conj() * second.to(torch.complex128)).real.sum())


def assert_adjoint(forward_x, y, x, adjoint_y):
    scale = float(forward_x.abs().pow(2).sum().sqrt() * y.abs().pow(2).sum().sqrt())
    assert abs(inner(forward_x, y)) > 1e-3 * scale  # the test would be vacuous for orthogonal vectors
    assert abs(inner(forward_x, y) - inner(x, adjoint_y)) < TOLERANCE * scale


def align(forward_x, noise):
    """A vector with a large component along ``forward_x``, so that the inner product is not near zero."""
    return forward_x + noise * (forward_x.abs().mean() / noise.abs().mean())


def halve(slices):
    """Half-slices with the x = 0 column halved, as the accumulators insert them."""
    halved = slices.clone()
    halved[..., 0] *= 0.5
    return halved


@pytest.mark.parametrize("box_size", [12, 13])
@pytest.mark.parametrize("padding", [1, 2])
def test_accumulation_is_adjoint_of_extraction(box_size, padding, rng):
    layout = GridLayout(box_size, padding, "trilinear")
    values, rotations = draw_complex(rng, layout.shape), draw_rotations(rng, 5)
    slices = extract_slices(FourierVolume(values, box_size, padding), rotations, radius=box_size / 3)
    y = align(slices, draw_complex(rng, slices.shape))
    sums = SliceAccumulator(box_size, padding=padding, radius=box_size / 3)
    sums.add(y, torch.ones(y.shape), rotations)
    assert_adjoint(slices, halve(y), values, sums.sums[0][0])


@pytest.mark.parametrize("box_size", [12, 13])
def test_accumulation_into_classes_is_adjoint_of_extraction(box_size, rng):
    layout = GridLayout(box_size, 1, "trilinear")
    values, rotations, index = draw_complex(rng, (*layout.shape, 3)), draw_rotations(rng, 6), [2, 0, 0, 1, 2, 0]
    slices = extract_slices(FourierVolume(values, box_size), rotations)[torch.arange(6), index]
    y = align(slices, draw_complex(rng, slices.shape))
    sums = SliceAccumulator(box_size, n_volumes=3)
    sums.add(y, torch.ones(y.shape), rotations, class_weights=torch.eye(3)[index])
    assert_adjoint(slices, halve(y), values, sums.sums[0].movedim(0, -1))


@pytest.mark.parametrize("box_size", [12, 13])
@pytest.mark.parametrize("volumes", [1, 3, 11])
def test_accumulation_of_moments_is_adjoint_of_extraction(box_size, volumes, rng):
    layout = GridLayout(box_size, 1, "trilinear")
    values, rotations = draw_complex(rng, (*layout.shape, volumes)), draw_rotations(rng, 5)
    factors = torch.from_numpy(rng.standard_normal((5, volumes)).astype(np.float32))
    slices = (extract_slices(FourierVolume(values, box_size), rotations) * factors[:, :, None, None]).sum(1)
    y = align(slices, draw_complex(rng, slices.shape))
    sums = MomentAccumulator(box_size, n_numerators=volumes, n_weights=1)
    sums.add(y, torch.ones(y.shape), rotations, numerator_factors=factors, weight_factors=torch.ones(5, 1))
    inserted = torch.view_as_complex(sums.values[..., :-1].reshape(*layout.shape, volumes, 2).contiguous())
    assert_adjoint(slices, halve(y), values, inserted)


@pytest.mark.parametrize("box_size", [9, 10])
@pytest.mark.parametrize("kernel", ["trilinear", "wide"])
def test_reference_is_adjoint_in_double_precision(box_size, kernel, rng):
    layout = GridLayout(box_size, 2, kernel)
    values = draw_complex(rng, layout.shape).to(torch.complex128)
    rotations = draw_rotations(rng, 3).double()
    slices = reference.extract(values, rotations, layout, layout.max_radius)
    y = draw_complex(rng, slices.shape).to(torch.complex128)
    inserted = reference.insert(y, rotations, layout, layout.max_radius)
    assert inner(slices, y) == pytest.approx(inner(values, inserted), rel=1e-10)


@GRIDS
def test_fold_counts_what_fill_copies(box_size, kernel, padding, rng):
    """On a Hermitian spectrum, fold(fill(F)) is F times the number of copies of each frequency and of its mate."""
    layout = GridLayout(box_size, padding, kernel)
    size = layout.padded_size
    spectrum = torch.fft.rfftn(torch.from_numpy(rng.standard_normal((size,) * 3).astype(np.float32)))
    copies = fold(torch.ones(layout.shape), layout)
    torch.testing.assert_close(fold(fill(spectrum, layout), layout), spectrum * copies, atol=1e-3, rtol=1e-5)
