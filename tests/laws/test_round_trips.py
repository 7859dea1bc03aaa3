"""Written and read again, every format gives back what went in: any pose, shift, CTF, order, odd and even boxes."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from cryobench.data import Particles
from cryobench.imaging.ctf import Ctf
from cryobench.io.formats.mrc import MrcStacks, begin_stack, read_volume, write_volume
from cryobench.io.formats.pickles import read_pickle, write_pickle
from cryobench.io.programs.cryodrgn import read_ctf, read_poses, write_ctf, write_poses
from cryobench.io.programs.cryosparc import read_cs, write_cs
from cryobench.io.programs.relion import read_star, write_star
from cryobench.rotations import rotations_from_euler

COMMON = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
float32s = st.floats(-(2.0**100), 2.0**100, width=32)
right_angles = st.sampled_from([0.0, np.pi, -np.pi, np.pi / 2, -np.pi / 2, 1e-8, 1e-6, np.pi - 1e-8])
angles = st.one_of(st.floats(-np.pi, np.pi), right_angles)
pixel_sizes = st.floats(0.25, 20).map(lambda value: float(f"{value:.6g}"))


@st.composite
def poses(draw: st.DrawFn, n: int, extent: float) -> tuple[np.ndarray, np.ndarray]:
    """Rotations, those at the poles of the Euler angles included, and shifts up to ``extent``."""
    euler = draw(arrays(np.float64, (n, 3), elements=angles))
    shifts = draw(arrays(np.float64, (n, 2), elements=st.floats(-extent, extent)))
    return rotations_from_euler(euler), shifts


@st.composite
def ctfs(draw: st.DrawFn, n: int) -> Ctf:
    def column(low: float, high: float) -> np.ndarray:
        return draw(arrays(np.float64, n, elements=st.floats(low, high)))

    return Ctf(
        defocus_u=column(-5e4, 5e4),
        defocus_v=column(-5e4, 5e4),
        defocus_angle=column(-np.pi, np.pi),
        voltage_kv=draw(arrays(np.float64, n, elements=st.sampled_from([100.0, 200.0, 300.0]))),
        cs_mm=draw(arrays(np.float64, n, elements=st.sampled_from([0.01, 1.4, 2.7]))),
        amplitude_contrast=draw(arrays(np.float64, n, elements=st.sampled_from([0.0, 0.07, 0.1, 1.0]))),
        phase_shift=column(0, np.pi),
        b_factor=column(0, 200),
    )


@COMMON
@given(data=st.data(), size=st.integers(1, 7), pixel_size=pixel_sizes)
def test_volumes(data: st.DataObject, size: int, pixel_size: float) -> None:
    volume = data.draw(arrays(np.float32, (size,) * 3, elements=float32s))
    with TemporaryDirectory() as folder:
        write_volume(Path(folder, "v.mrc"), volume, pixel_size)
        found, found_pixel_size = read_volume(Path(folder, "v.mrc"))
    np.testing.assert_array_equal(found, volume)
    np.testing.assert_allclose(found_pixel_size, pixel_size, rtol=1e-6)


@COMMON
@given(data=st.data(), size=st.integers(1, 6), counts=st.lists(st.integers(1, 5), min_size=1, max_size=3))
def test_stacks_in_any_order(data: st.DataObject, size: int, counts: list[int]) -> None:
    total = sum(counts)
    images = np.arange(total * size * size, dtype=np.float32).reshape(total, size, size)
    asked = np.array(data.draw(st.lists(st.integers(0, total - 1), max_size=12)), dtype=np.int64)
    with TemporaryDirectory() as folder:
        paths, start = [], 0
        for i, count in enumerate(counts):
            paths.append(Path(folder, f"{i}.mrcs"))
            with begin_stack(paths[-1], count, size, 1.0) as writer:
                writer.append(images[start : start + count])
            start += count
        stacks = MrcStacks(paths)
        np.testing.assert_array_equal(stacks.read(asked), images[asked])
        # The same choice as entries of a table instead of indices.
        if len(asked):
            chosen = MrcStacks(paths, file_index=stacks.file_index[asked], image_index=stacks.image_index[asked])
            np.testing.assert_array_equal(chosen.read(np.arange(len(asked))), images[asked])


@COMMON
@given(
    data=st.data(), size=st.integers(3, 6), n=st.integers(1, 5), pixel_size=pixel_sizes, sign=st.sampled_from([1, -1])
)
def test_star_files(data: st.DataObject, size: int, n: int, pixel_size: float, sign: int) -> None:
    rotations, shifts = data.draw(poses(n, 50))
    ctf = data.draw(ctfs(n))
    order = np.array(data.draw(st.permutations(range(n))), dtype=np.int64)
    with TemporaryDirectory() as folder:
        stack = Path(folder, "particles.mrcs")
        with begin_stack(stack, n, size, pixel_size) as writer:
            writer.append(np.arange(n * size * size, dtype=np.float32).reshape(n, size, size))
        images = MrcStacks(stack, file_index=np.zeros(n, dtype=np.int64), image_index=order)
        made = Particles(images, pixel_size, ctf, rotations, shifts, sign=sign)
        write_star(Path(folder, "p.star"), made)
        found = read_star(Path(folder, "p.star"), sign=sign)
        np.testing.assert_array_equal(found.read(np.arange(n)), made.read(np.arange(n)))
    assert found.pixel_size == pixel_size
    # A tilt below 1e-7 rad is taken for none, which moves the matrix by as much.
    np.testing.assert_allclose(found.rotations, rotations, atol=2e-7)
    np.testing.assert_allclose(found.shifts, shifts, rtol=1e-8, atol=1e-30)
    for name in Ctf.__dataclass_fields__:
        np.testing.assert_allclose(getattr(found.ctf, name), getattr(ctf, name), rtol=1e-8, atol=1e-30, err_msg=name)


@COMMON
@given(
    data=st.data(), size=st.integers(3, 6), n=st.integers(1, 5), pixel_size=pixel_sizes, sign=st.sampled_from([1, -1])
)
def test_cryosparc_files(data: st.DataObject, size: int, n: int, pixel_size: float, sign: int) -> None:
    """To float32 the first time, and not at all from then on."""
    rotations, shifts = data.draw(poses(n, 50))
    ctf = data.draw(ctfs(n))
    order = np.array(data.draw(st.permutations(range(n))), dtype=np.int64)
    with TemporaryDirectory() as folder:
        stack = Path(folder, "particles.mrcs")
        with begin_stack(stack, n, size, pixel_size) as writer:
            writer.append(np.arange(n * size * size, dtype=np.float32).reshape(n, size, size))
        images = MrcStacks(stack, file_index=np.zeros(n, dtype=np.int64), image_index=order)
        made = Particles(images, pixel_size, ctf, rotations, shifts, sign=sign)
        write_cs(Path(folder, "p.cs"), made)
        found = read_cs(Path(folder, "p.cs"))
        np.testing.assert_array_equal(found.read(np.arange(n)), made.read(np.arange(n)))
        write_cs(Path(folder, "p.cs"), found)
        again = read_cs(Path(folder, "p.cs"))
    assert (found.pixel_size, found.sign) == (again.pixel_size, again.sign) == (pixel_size, sign)
    np.testing.assert_allclose(found.rotations, rotations, atol=6e-7)
    np.testing.assert_allclose(again.rotations, found.rotations, atol=1e-14)
    np.testing.assert_allclose(found.shifts, shifts, rtol=1e-6, atol=1e-30)
    np.testing.assert_allclose(again.shifts, found.shifts, rtol=1e-15, atol=1e-40)
    for name in Ctf.__dataclass_fields__:
        values = getattr(found.ctf, name)
        np.testing.assert_allclose(values, getattr(ctf, name), rtol=1e-6, atol=1e-30, err_msg=name)
        np.testing.assert_array_equal(getattr(again.ctf, name), values, err_msg=name)


@COMMON
@given(data=st.data(), n=st.integers(1, 5), box_size=st.integers(16, 512), pixel_size=pixel_sizes)
def test_cryodrgn_poses(data: st.DataObject, n: int, box_size: int, pixel_size: float) -> None:
    rotations, shifts = data.draw(poses(n, box_size * pixel_size / 2))
    with TemporaryDirectory() as folder:
        path = Path(folder, "poses.pkl")
        write_poses(path, rotations, shifts, box_size=box_size, pixel_size=pixel_size)
        found = read_poses(path, box_size=box_size, pixel_size=pixel_size)
    np.testing.assert_allclose(found[0], rotations, atol=1e-7)
    np.testing.assert_allclose(found[1], shifts, rtol=1e-6, atol=1e-30)


@COMMON
@given(data=st.data(), n=st.integers(1, 5), box_size=st.integers(16, 512), pixel_size=pixel_sizes)
def test_cryodrgn_ctf(data: st.DataObject, n: int, box_size: int, pixel_size: float) -> None:
    ctf = data.draw(ctfs(n))
    with TemporaryDirectory() as folder:
        path = Path(folder, "ctf.pkl")
        write_ctf(path, ctf, box_size=box_size, pixel_size=pixel_size)
        found, found_box_size, found_pixel_size = read_ctf(path)
    assert (found_box_size, found_pixel_size) == (box_size, pixel_size)
    for name in set(Ctf.__dataclass_fields__) - {"b_factor"}:
        np.testing.assert_allclose(getattr(found, name), getattr(ctf, name), rtol=1e-6, atol=1e-30, err_msg=name)


@COMMON
@given(
    values=arrays(st.sampled_from([np.float32, np.float64, np.int64, np.uint8, np.bool_]), array_shapes(max_dims=3))
)
def test_pickled_arrays(values: np.ndarray) -> None:
    with TemporaryDirectory() as folder:
        write_pickle(Path(folder, "x.pkl"), {"a": [values, (values.T, 3, "x", None)]})
        found = read_pickle(Path(folder, "x.pkl"))
    assert found["a"][0].dtype == values.dtype
    np.testing.assert_array_equal(found["a"][0], values)
    np.testing.assert_array_equal(found["a"][1][0], values.T)
    assert found["a"][1][1:] == (3, "x", None)
