"""⟨A x, y⟩ = ⟨x, A* y⟩ for every linear operator of the imaging core, in the real inner product."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from cryobench.imaging.ctf import Ctf
from cryobench.imaging.grid import FourierVolume, volume_to_fourier
from cryobench.imaging.kernels import reference
from cryobench.imaging.layout import GridLayout, fill, fold
from cryobench.imaging.operator import ImagingOperator
from cryobench.imaging.slices import extract_slices, insert_slices

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


@GRIDS
@pytest.mark.parametrize("volumes", [None, 1, 3, 11])
def test_insert_is_adjoint_of_extract(box_size, kernel, padding, volumes, rng):
    layout = GridLayout(box_size, padding, kernel)
    values = draw_complex(rng, layout.shape if volumes is None else (*layout.shape, volumes))
    rotations = draw_rotations(rng, 5)
    slices = extract_slices(FourierVolume(values, box_size, padding, kernel), rotations)
    y = align(slices, draw_complex(rng, slices.shape))
    inserted = insert_slices(y, rotations, box_size=box_size, kernel=kernel, padding=padding)
    assert_adjoint(slices, y, values, inserted.values)


@GRIDS
def test_insert_is_adjoint_of_extract_with_a_volume_per_particle(box_size, kernel, padding, rng):
    layout = GridLayout(box_size, padding, kernel)
    values = draw_complex(rng, (*layout.shape, 3))
    rotations, index = draw_rotations(rng, 6), torch.tensor([2, 0, 0, 1, 2, 0])
    options = {"radius": box_size / 3, "volume_index": index}
    slices = extract_slices(FourierVolume(values, box_size, padding, kernel), rotations, **options)
    y = align(slices, draw_complex(rng, slices.shape))
    grid = {"box_size": box_size, "kernel": kernel, "padding": padding}
    inserted = insert_slices(y, rotations, n_volumes=3, **grid, **options)
    assert_adjoint(slices, y, values, inserted.values)


@pytest.mark.parametrize("box_size", [9, 10])
@pytest.mark.parametrize("kernel", ["trilinear", "wide"])
def test_reference_is_adjoint_in_double_precision(box_size, kernel, rng):
    layout = GridLayout(box_size, 2, kernel)
    values = draw_complex(rng, layout.shape).to(torch.complex128)
    rotations = draw_rotations(rng, 3).double()
    slices = reference.extract(values, rotations, layout, layout.max_radius, None)
    y = draw_complex(rng, slices.shape).to(torch.complex128)
    inserted = reference.insert(y, rotations, layout, layout.max_radius, None, None)
    assert inner(slices, y) == pytest.approx(inner(values, inserted), rel=1e-10)


@GRIDS
def test_fold_counts_what_fill_copies(box_size, kernel, padding, rng):
    """On a Hermitian spectrum, fold(fill(F)) is F times the number of copies of each frequency and of its mate."""
    layout = GridLayout(box_size, padding, kernel)
    size = layout.padded_size
    spectrum = torch.fft.rfftn(torch.from_numpy(rng.standard_normal((size,) * 3).astype(np.float32)))
    copies = fold(torch.ones(layout.shape), layout)
    torch.testing.assert_close(fold(fill(spectrum, layout), layout), spectrum * copies, atol=1e-3, rtol=1e-5)


@GRIDS
def test_preparation_has_the_gradient_of_its_adjoint(box_size, kernel, padding, rng):
    """volume -> slices, through autograd: ⟨A v, y⟩ = ⟨v, ∇⟩."""
    volume = torch.from_numpy(rng.standard_normal((2, box_size, box_size, box_size)).astype(np.float32))
    volume.requires_grad_()
    rotations = draw_rotations(rng, 3)
    slices = extract_slices(volume_to_fourier(volume, kernel=kernel, padding=padding), rotations)
    y = align(slices.detach(), draw_complex(rng, slices.shape))
    slices.backward(y)
    assert_adjoint(slices.detach(), y, volume.detach(), volume.grad)


@pytest.mark.parametrize("box_size", [12, 13])
@pytest.mark.parametrize("volumes", [None, 2])
def test_imaging_operator(box_size, volumes, rng):
    layout = GridLayout(box_size, 1, "trilinear")
    defocus = rng.uniform(8e3, 2e4, 4)
    operator = ImagingOperator.from_poses(
        draw_rotations(rng, 4),
        torch.from_numpy(rng.uniform(-9, 9, (4, 2)).astype(np.float32)),
        Ctf.from_columns(4, defocus_u=defocus, defocus_v=defocus - 500),
        box_size=box_size,
        pixel_size=3.0,
    )
    values = draw_complex(rng, layout.shape if volumes is None else (*layout.shape, volumes))
    volume_ft = FourierVolume(values, box_size)
    images = operator.forward(volume_ft)
    y = align(images, draw_complex(rng, images.shape))
    assert_adjoint(images, y, values, operator.adjoint(y, volume_ft).values)
    normal = operator.normal(volume_ft).values
    assert inner(values, normal) == pytest.approx(float(images.abs().double().pow(2).sum()), rel=1e-5)
    torch.testing.assert_close(operator[1:3].forward(volume_ft), images[1:3])
