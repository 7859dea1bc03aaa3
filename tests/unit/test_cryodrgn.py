"""cryoDRGN's pickles: converted, readable by NumPy 1.26, and never run."""

import collections
import os
import pickle
import pickletools
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from cryobench._errors import FormatError
from cryobench.imaging.ctf import Ctf
from cryobench.io.formats.pickles import read_pickle, write_pickle
from cryobench.io.programs.cryodrgn import read_ctf, read_poses, write_ctf, write_poses

GRID = {"box_size": 64, "pixel_size": 1.5}


def dump(path: Path, value: object, protocol: int | None = None) -> Path:
    path.write_bytes(pickle.dumps(value, protocol=protocol))
    return path


def globals_of(path: Path) -> set[str]:
    return {str(argument) for name, argument, _ in pickletools.genops(path.read_bytes()) if name.name == "GLOBAL"}


@pytest.fixture
def poses(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return Rotation.random(5, rng=rng).as_matrix(), rng.uniform(-20, 20, (5, 2))


def test_poses_round_trip_in_our_units(tmp_path: Path, poses: tuple[np.ndarray, np.ndarray]) -> None:
    write_poses(tmp_path / "poses.pkl", *poses, **GRID)
    stored = pickle.loads((tmp_path / "poses.pkl").read_bytes())
    assert [part.dtype for part in stored] == [np.float32, np.float32]
    np.testing.assert_allclose(stored[0], poses[0], atol=1e-7)
    np.testing.assert_allclose(stored[1], poses[1] / 96, atol=1e-7)
    found = read_poses(tmp_path / "poses.pkl", **GRID)
    np.testing.assert_allclose(found[0], poses[0], atol=1e-7)
    np.testing.assert_allclose(found[1], poses[1], rtol=1e-6)


def test_translations_in_pixels_are_noticed(tmp_path: Path, poses: tuple[np.ndarray, np.ndarray]) -> None:
    path = dump(tmp_path / "poses.pkl", (poses[0], poses[1] / 1.5))
    with pytest.raises(FormatError, match=r"poses\.pkl holds translations up to .* --shift-unit pixel"):
        read_poses(path, **GRID)
    np.testing.assert_allclose(read_poses(path, **GRID, shift_unit="pixel")[1], poses[1])


@pytest.mark.parametrize("protocol", range(6))
def test_every_protocol_is_read(tmp_path: Path, poses: tuple[np.ndarray, np.ndarray], protocol: int) -> None:
    path = dump(tmp_path / "poses.pkl", (poses[0], poses[1] / 96), protocol)
    np.testing.assert_allclose(read_poses(path, **GRID)[1], poses[1])


@pytest.mark.parametrize("core", [b"numpy.core", b"numpy._core"])
def test_module_names_of_both_numpys_are_read(tmp_path: Path, core: bytes) -> None:
    data = pickle.dumps((np.arange(3), np.float64(2)), protocol=3).replace(b"numpy._core", core)
    assert core + b".multiarray" in data
    (tmp_path / "x.pkl").write_bytes(data)
    array, scalar = read_pickle(tmp_path / "x.pkl")
    np.testing.assert_array_equal(array, [0, 1, 2])
    assert scalar == 2


def test_what_is_written_names_what_old_numpy_knows(tmp_path: Path) -> None:
    trap = np.frombuffer(b"cnumpy._core.multiarray\n_reconstruct\n", dtype=np.uint8)
    value = (np.arange(5, dtype=np.float32), trap, collections.OrderedDict(a=np.float64(1)))
    write_pickle(tmp_path / "x.pkl", value)
    assert globals_of(tmp_path / "x.pkl") <= {
        "numpy.core.multiarray _reconstruct", "numpy.core.multiarray scalar", "numpy ndarray", "numpy dtype",
        "collections OrderedDict", "_codecs encode",
    }  # fmt: skip
    found = read_pickle(tmp_path / "x.pkl")
    np.testing.assert_array_equal(found[1], trap)
    assert found[2] == {"a": 1.0}
    np.testing.assert_array_equal(pickle.loads((tmp_path / "x.pkl").read_bytes())[0], value[0])


class Malicious:
    """Makes a folder when it is unpickled without care."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.folder),)


def test_a_malicious_pickle_is_refused_and_not_run(tmp_path: Path) -> None:
    folder = tmp_path / "trap"
    data = pickle.dumps((np.zeros(2), Malicious(folder)))
    pickle.loads(data)
    assert folder.exists()
    folder.rmdir()
    (tmp_path / "poses.pkl").write_bytes(data)
    for read in (lambda path: read_poses(path, **GRID), read_ctf, read_pickle):
        with pytest.raises(FormatError, match=r"poses\.pkl asks for (posix|nt)\.mkdir, which is refused"):
            read(tmp_path / "poses.pkl")
    assert not folder.exists()


@pytest.mark.parametrize(
    "code",
    [
        b"cbuiltins\neval\n(S'1'\ntR.",
        b"cos\nsystem\n(S'true'\ntR.",
        b"cnumpy\nload\n(S'x'\ntR.",
        b"cnumpy.core.multiarray\nfromfile\n(S'x'\ntR.",
        b"\x80\x04\x8c\x05numpy\x8c\x0cndarray.dump\x93.",
        b"cpickle\nloads\n(S'x'\ntR.",
    ],
)
def test_names_outside_the_list_are_refused(tmp_path: Path, code: bytes) -> None:
    (tmp_path / "x.pkl").write_bytes(code)
    with pytest.raises(FormatError, match=r"x\.pkl asks for .*, which is refused"):
        read_pickle(tmp_path / "x.pkl")


ROOM = (b"cnumpy\nndarray\n((I9\ntR.", b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I9\ntS'b'\ntR.")
"""Pickles that make an array of nine numbers without holding one."""


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"\x80\x04.", b"c_codecs\nencode\n(S'x'\nS'zlib'\ntR.", b"P1\n.", *ROOM]
)
def test_damaged_pickles_are_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.pkl").write_bytes(content)
    with pytest.raises(FormatError, match=r"x\.pkl cannot be read as a pickle of arrays"):
        read_pickle(tmp_path / "x.pkl")


def test_truncated_and_missing_pickles_are_named(tmp_path: Path, poses: tuple[np.ndarray, np.ndarray]) -> None:
    write_poses(tmp_path / "poses.pkl", *poses, **GRID)
    content = (tmp_path / "poses.pkl").read_bytes()
    (tmp_path / "poses.pkl").write_bytes(content[: len(content) // 2])
    with pytest.raises(FormatError, match=r"poses\.pkl cannot be read"):
        read_poses(tmp_path / "poses.pkl", **GRID)
    with pytest.raises(FormatError, match=r"none\.pkl does not exist"):
        read_ctf(tmp_path / "none.pkl")


@pytest.mark.parametrize("form", [lambda r: (r, None), lambda r: (r,), lambda r: r])
def test_absent_translations_are_zero(tmp_path: Path, rng: np.random.Generator, form) -> None:
    rotations = Rotation.random(3, rng=rng).as_matrix()
    found, shifts = read_poses(dump(tmp_path / "poses.pkl", form(rotations)), **GRID)
    np.testing.assert_array_equal(found, rotations)
    np.testing.assert_array_equal(shifts, np.zeros((3, 2)))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"rotations": np.zeros((3, 3, 3))}, "found a dict of 1"),
        ((np.zeros((3, 3, 3)),) * 3, "found a tuple of 3"),
        (np.zeros((3, 3)), r"found \(3, 3\)"),
        ((None, np.zeros((3, 2))), "must hold arrays of numbers, found None|holds nan"),
        ((np.zeros((3, 3)), np.zeros((3, 2))), r"found \(3, 3\) and\s+\(3, 2\)"),
        ((np.zeros((3, 3, 3)), np.zeros((2, 2))), r"found \(3, 3, 3\) and\s+\(2, 2\)"),
        ((np.zeros((1, 3, 3)), np.array([[0, np.nan]])), r"holds nan at \(0, 1\)"),
        (("a", "b"), "must hold arrays of numbers"),
    ],
)
def test_other_contents_are_refused(tmp_path: Path, value: object, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        read_poses(dump(tmp_path / "poses.pkl", value), **GRID)


def make_ctf(rng: np.random.Generator) -> Ctf:
    return Ctf.from_columns(
        4,
        defocus_u=rng.uniform(8e3, 3e4, 4),
        defocus_v=rng.uniform(8e3, 3e4, 4),
        defocus_angle=rng.uniform(0, np.pi, 4),
        voltage_kv=np.array([300.0, 200, 300, 100]),
        phase_shift=rng.uniform(0, 1, 4),
    )


def test_ctf_columns_are_cryodrgns(tmp_path: Path, rng: np.random.Generator) -> None:
    ctf = make_ctf(rng)
    write_ctf(tmp_path / "ctf.pkl", ctf, box_size=64, pixel_size=1.31)
    stored = pickle.loads((tmp_path / "ctf.pkl").read_bytes())
    assert stored.dtype == np.float32
    expected = [64, 1.31, ctf.defocus_u[1], ctf.defocus_v[1], np.rad2deg(ctf.defocus_angle[1]), 200, 2.7, 0.1,
                np.rad2deg(ctf.phase_shift[1])]  # fmt: skip
    np.testing.assert_allclose(stored[1], expected, rtol=1e-6)
    found, box_size, pixel_size = read_ctf(tmp_path / "ctf.pkl")
    assert (box_size, pixel_size) == (64, 1.31)
    for name in Ctf.__dataclass_fields__:
        np.testing.assert_allclose(getattr(found, name), getattr(ctf, name), rtol=1e-6, err_msg=name)


def test_cropped_images_have_larger_pixels(tmp_path: Path, rng: np.random.Generator) -> None:
    write_ctf(tmp_path / "ctf.pkl", make_ctf(rng), box_size=256, pixel_size=1.5)
    assert read_ctf(tmp_path / "ctf.pkl", box_size=128)[1:] == (128, 3.0)
    assert read_ctf(tmp_path / "ctf.pkl", box_size=256)[1:] == (256, 1.5)


def test_ctf_tables_of_another_form_are_refused(tmp_path: Path, rng: np.random.Generator) -> None:
    path = tmp_path / "ctf.pkl"
    write_ctf(path, make_ctf(rng), **GRID)
    table = pickle.loads(path.read_bytes())
    for value, message in (
        (table[:, 1:], r"must hold an array \(n, 9\) .* found shape \(4, 8\)"),
        (table[:0], r"found shape \(0, 9\)"),
        (np.where(np.arange(9) == 1, np.arange(1, 5)[:, None], table), "pixel size must be positive and the same"),
        (np.where(np.arange(9) == 0, 0, table), "box size must be positive"),
        (np.where(np.arange(9) == 3, np.inf, table), r"holds inf at \(0, 3\)"),
    ):
        with pytest.raises(FormatError, match=message):
            read_ctf(dump(path, value))
    with pytest.raises(ValueError, match=r"column 5 \(voltage, kV\) of particle 0 is -1, expected 10 to 2000 kV"):
        read_ctf(dump(path, np.where(np.arange(9) == 5, -1, table)))
