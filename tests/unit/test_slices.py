"""The compiled bodies against the plain one, the radius, mates, threads and refusals."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from cryobench.imaging.accumulate import SliceAccumulator
from cryobench.imaging.grid import FourierVolume, fourier_to_volume, volume_to_fourier
from cryobench.imaging.interpolation import kernel_transform, tap_polynomials, tune_beta
from cryobench.imaging.kernels import reference
from cryobench.imaging.kernels.cpu.slices import body as cpu
from cryobench.imaging.layout import GridLayout, fill, read
from cryobench.imaging.slices import extract_slices

GRIDS = pytest.mark.parametrize(
    ("box_size", "kernel", "padding"),
    [(n, kernel, padding) for n in (12, 13) for kernel in ("trilinear", "wide") for padding in (1, 2)],
)


def draw_rotations(rng, n):
    return torch.as_tensor(Rotation.random(n, random_state=rng).as_matrix(), dtype=torch.float32)


def draw_complex(rng, shape):
    return torch.view_as_complex(torch.from_numpy(rng.standard_normal((*shape, 2)).astype(np.float32)))


def relative(first, second):
    return float((first - second).abs().pow(2).sum().sqrt() / second.abs().pow(2).sum().sqrt())


@GRIDS
@pytest.mark.parametrize("volumes", [None, 1, 15])
def test_compiled_body_agrees_with_reference(box_size, kernel, padding, volumes, rng):
    layout = GridLayout(box_size, padding, kernel)
    values = draw_complex(rng, layout.shape if volumes is None else (*layout.shape, volumes))
    rotations = draw_rotations(rng, 5)
    slices = cpu.extract(values, rotations, layout, 4.5)
    exact = reference.extract(values, rotations, layout, 4.5)
    assert slices.shape == exact.shape
    assert relative(slices, exact) < 3e-6


@pytest.mark.parametrize(("box_size", "padding"), [(12, 1), (13, 2)])
def test_compiled_accumulation_agrees_with_reference(box_size, padding, rng):
    layout, rotations = GridLayout(box_size, padding, "trilinear"), draw_rotations(rng, 4)
    data = draw_complex(rng, (4, box_size, box_size // 2 + 1))
    entries = torch.tensor([0, 2, 3, 1, 2]), torch.tensor([0, 0, 0, 1, 1]), torch.tensor([0.5, 1.0, -0.2, 0.8, 1.5])
    sums = []
    for body in (cpu, reference):
        grids = torch.zeros(2, *layout.shape, dtype=torch.complex64), torch.zeros(2, *layout.shape)
        body.accumulate((data, data.abs()), grids, entries, rotations, layout, 4.5)
        sums.append(grids)
    for compiled, exact in zip(*sums, strict=True):
        assert relative(compiled, exact) < 3e-6


@pytest.mark.parametrize("kernel", ["trilinear", "wide"])
@pytest.mark.parametrize("box_size", [16, 17])
def test_radius_blanks_the_rest_and_nothing_else(box_size, kernel, rng):
    volume = torch.from_numpy(rng.standard_normal((box_size,) * 3).astype(np.float32))
    grid, rotations = volume_to_fourier(volume, kernel=kernel), draw_rotations(rng, 2)
    whole, part = extract_slices(grid, rotations), extract_slices(grid, rotations, radius=5)
    x = torch.arange(box_size // 2 + 1)
    y = torch.from_numpy(np.rint(np.fft.fftfreq(box_size) * box_size).astype(int))
    squared = y[:, None] ** 2 + x**2
    assert torch.equal(part[:, squared <= 25], whole[:, squared <= 25])
    assert not part[:, squared > 25].any()
    limit = (box_size - 1) // 2
    assert whole[:, squared <= limit**2].all()
    assert not whole[:, squared > limit**2].any()


@pytest.mark.parametrize("box_size", [12, 13])
@pytest.mark.parametrize("padding", [1, 2])
def test_identity_pose_reads_the_central_plane(box_size, padding, rng):
    """Trilinear interpolation at grid points is exact: nothing remains but the grid correction's padding."""
    volume = torch.from_numpy(rng.standard_normal((box_size,) * 3).astype(np.float32))
    slices = extract_slices(volume_to_fourier(volume, padding=padding), torch.eye(3)[None])[0]
    axis = torch.as_tensor(kernel_transform("trilinear", box_size, padding), dtype=torch.float32)
    image = (volume / (axis[:, None, None] * axis[:, None] * axis)).sum(0)
    spectrum = torch.fft.rfft2(torch.fft.ifftshift(image))
    inside = slices != 0
    assert inside.sum() > box_size
    torch.testing.assert_close(slices[inside], spectrum[inside], atol=2e-3, rtol=1e-4)


def naive_full_insertion(slices, rotations, box_size, padding):
    """Every pixel of the full slice, and the mate of each, into the full periodic spectrum. Plain NumPy."""
    size = box_size * padding
    total = np.zeros((size,) * 3, complex)
    frequencies = np.rint(np.fft.fftfreq(box_size) * box_size).astype(int)
    for image, rotation in zip(slices, rotations, strict=True):
        for row, ky in enumerate(frequencies):
            for kx in range(box_size // 2 + 1):
                if kx**2 + ky**2 > ((box_size - 1) // 2) ** 2:
                    continue
                # A pixel of the x = 0 column comes twice in the half-slice: once itself, once as a mate.
                share = 0.5 if kx == 0 else 1.0
                u = padding * (np.array([kx, ky]) @ rotation[:2])
                # Taps are laid out from the point or its mate, whichever has x ≥ 0; the other's mirror them.
                mirror = -1 if u[0] < 0 else 1
                base = np.floor(mirror * u).astype(int)
                weights = [[1 - f, f] for f in mirror * u - base]
                for i, j, k in np.ndindex(2, 2, 2):
                    weight = share * weights[0][i] * weights[1][j] * weights[2][k]
                    x, y, z = mirror * (base + np.array([i, j, k]))
                    total[z % size, y % size, x % size] += weight * image[row, kx]
                    total[-z % size, -y % size, -x % size] += weight * np.conj(image[row, kx])
    return total


@pytest.mark.parametrize(("box_size", "padding"), [(8, 1), (9, 1), (6, 2), (7, 2)])
def test_half_slices_and_mates_make_the_full_insertion(box_size, padding, rng):
    rotations = draw_rotations(rng, 3)
    images = torch.from_numpy(rng.standard_normal((3, box_size, box_size)).astype(np.float32))
    slices = torch.fft.rfft2(images)
    sums = SliceAccumulator(box_size, padding=padding)
    sums.add(slices, torch.ones(slices.shape), rotations)
    size = box_size * padding
    for found, inserted in zip(sums.totals(), (slices, torch.ones_like(slices)), strict=True):
        full = naive_full_insertion(inserted.numpy(), rotations.double().numpy(), box_size, padding)
        along, along_x = (axis % size for axis in found.layout.frequencies)
        expected = full[np.ix_(along, along, along_x)]
        np.testing.assert_allclose(found.values.numpy(), expected, atol=1e-5 * np.abs(full).max())


def test_accumulator_sorts_by_class(rng):
    n, box_size = 7, 12
    rotations, data = draw_rotations(rng, n), draw_complex(rng, (n, box_size, box_size // 2 + 1))
    weight = torch.from_numpy(rng.random(data.shape).astype(np.float32))
    gamma = torch.from_numpy(rng.dirichlet(np.ones(3) / 3, n).astype(np.float32))
    gamma[0] = torch.tensor([1.0, 0.0, 0.0])
    accumulator = SliceAccumulator(box_size, n_volumes=3)
    for part in (slice(0, 4), slice(4, 7)):
        accumulator.add(data[part], weight[part], rotations[part], class_weights=gamma[part], threshold=0)
    merged = SliceAccumulator(box_size, n_volumes=3)
    merged.merge(accumulator)
    numerator, weights = merged.totals()
    assert numerator.n_volumes == 3
    for k in range(3):
        factor = gamma[:, k, None, None]
        alone = SliceAccumulator(box_size)
        alone.add(data * factor, weight * factor, rotations)
        one, one_weight = alone.totals()
        torch.testing.assert_close(numerator[k].values, one.values, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(weights[k].values, one_weight.values, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kernel", ["trilinear", "wide"])
def test_bits_do_not_depend_on_threads_or_batches(kernel, rng):
    n, box_size = 23, 24
    rotations, data = draw_rotations(rng, n), draw_complex(rng, (n, box_size, box_size // 2 + 1))
    grid = volume_to_fourier(
        torch.from_numpy(rng.standard_normal((5, *(box_size,) * 3)).astype(np.float32)), kernel=kernel
    )
    gamma = torch.from_numpy(rng.random((n, 2)).astype(np.float32))
    before = torch.get_num_threads()

    def compute(threads):
        torch.set_num_threads(threads)
        accumulator = SliceAccumulator(box_size, n_volumes=2)
        accumulator.add(data, data.abs(), rotations, class_weights=gamma)
        return extract_slices(grid, rotations), *accumulator.sums

    try:
        results = [compute(threads) for threads in (1, 2, 5)]
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        for first, second in zip(results[0], other, strict=True):
            assert torch.equal(first, second)
    assert torch.equal(extract_slices(grid, rotations[4:6]), results[0][0][4:6])


@GRIDS
def test_layout_reads_back_what_it_filled(box_size, kernel, padding, rng):
    layout = GridLayout(box_size, padding, kernel)
    size = layout.padded_size
    spectrum = torch.fft.rfftn(torch.from_numpy(rng.standard_normal((size,) * 3).astype(np.float32)))
    stored = fill(spectrum, layout)
    back = read(stored, layout)
    assert torch.equal(back[back != 0], spectrum[back != 0])
    grid = FourierVolume(stored, box_size, padding, kernel)
    assert int((back != 0).sum()) == int((grid.multiplicities() > 0).sum())
    inside = grid.multiplicities() * (grid.radii() <= layout.max_radius)
    axes = (np.fft.fftfreq(size) * size,) * 2 + (np.arange(size // 2 + 1),)
    z, y, x = np.meshgrid(*axes, indexing="ij")
    twice = np.where((x == 0) | (2 * x == size), 1, 2) * (np.sqrt(x**2 + y**2 + z**2) <= padding * layout.max_radius)
    power = float((inside * stored.abs().double() ** 2).sum())
    assert power == pytest.approx(float((torch.from_numpy(twice) * spectrum.abs().double() ** 2).sum()), rel=1e-6)


def test_grid_correction_is_finite_and_kernel_weights_are_mirror_images():
    for padding in (1, 2, 3):
        assert 4 < tune_beta(padding) < 13
        for kernel in ("trilinear", "wide"):
            transform = kernel_transform(kernel, 20, padding)
            assert (transform > 0.1).all()
            assert (transform / transform.max() > 0.15).all()
            polynomials = tap_polynomials(kernel, padding)
            forward = np.array([np.polyval(p, 0.3) for p in polynomials])
            np.testing.assert_allclose(forward, [np.polyval(p, -0.3) for p in polynomials[::-1]], rtol=1e-6)


def test_fourier_to_volume_divides_by_the_kernel_on_both_ways(rng):
    axis = torch.arange(12) - 6
    centres = rng.uniform(-3, 3, (2, 3))
    along = [torch.exp(-((axis - torch.from_numpy(centres[:, k, None])) ** 2) / 4.5).float() for k in range(3)]
    volume = torch.einsum("bz,by,bx->bzyx", *along)
    grid = volume_to_fourier(volume, padding=2)
    axis = torch.as_tensor(kernel_transform("trilinear", 12, 2), dtype=torch.float32)
    twice = fourier_to_volume(grid) * (axis[:, None, None] * axis[:, None] * axis) ** 2
    # Frequencies beyond the stored band are lost: hardly anything of a volume as smooth as this.
    assert relative(twice, volume) < 0.02
    assert torch.equal(fourier_to_volume(grid[1]), fourier_to_volume(grid)[1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"radius": 6}, "radius must be in"),
        ({"radius": -1}, "radius must be in"),
        ({"rotations": 2 * torch.eye(3)[None]}, "orthonormal"),
        ({"rotations": torch.full((1, 3, 3), float("nan"))}, "orthonormal"),
    ],
)
def test_refusals(change, message):
    grid = volume_to_fourier(torch.zeros(2, 12, 12, 12))
    arguments = {"rotations": torch.eye(3)[None]} | change
    with pytest.raises(ValueError, match=message):
        extract_slices(grid, **arguments)


def test_refusals_of_shapes():
    with pytest.raises(ValueError, match="cubes"):
        volume_to_fourier(torch.zeros(8, 8, 9))
    with pytest.raises(ValueError, match="at least 4 voxels"):
        GridLayout(3, 1, "wide")
    with pytest.raises(ValueError, match="grid of a box of 12"):
        FourierVolume(torch.zeros(3, 3, 3, dtype=torch.complex64), 12)
    with pytest.raises(ValueError, match=r"numerator must have shape \(1, 12, 7\)"):
        SliceAccumulator(12).add(torch.zeros(1, 12, 6) + 0j, torch.ones(1, 12, 6), torch.eye(3)[None])


@pytest.mark.gate
@pytest.mark.parametrize(("extent", "count"), [("few", 5), pytest.param("all", 16, marks=pytest.mark.slow)])
def test_triton_bodies_agree_with_reference_in_the_interpreter(extent, count):
    """In a process of its own, since Triton decides on import whether it interprets."""
    pytest.importorskip("triton")
    program = Path(__file__).parent / "triton_interpreted.py"
    environment = os.environ | {"TRITON_INTERPRET": "1", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, str(program), extent],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    errors = json.loads(done.stdout.splitlines()[-1])
    assert len(errors) == count
    assert max(errors.values()) < 2e-6, errors


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@GRIDS
@pytest.mark.parametrize("volumes", [None, 11])
def test_cuda_body_agrees_with_cpu(box_size, kernel, padding, volumes, rng):
    layout = GridLayout(box_size, padding, kernel)
    values = draw_complex(rng, layout.shape if volumes is None else (*layout.shape, volumes))
    grid, rotations = FourierVolume(values, box_size, padding, kernel), draw_rotations(rng, 5)
    slices = extract_slices(grid, rotations)
    there = extract_slices(grid.to("cuda"), rotations.cuda())
    assert relative(there.cpu(), slices) < 1e-5
