"""NumPy files are believed only as far as they hold what they promise."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from cryobench._errors import FormatError
from cryobench.io.atomic import read_array
from cryobench.io.formats.npy import map_npy, read_npy, read_npz


def npy(header: str, content: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    """A .npy file with a header of one's own."""
    return b"\x93NUMPY" + version + len(header).to_bytes(2, "little") + header.encode() + content


HUGE = "{'descr': '<f8', 'fortran_order': False, 'shape': (8000000000, 1000), }"


@pytest.mark.parametrize(
    "values",
    [
        np.arange(6.0).reshape(2, 3),
        np.asfortranarray(np.arange(24, dtype=np.int32).reshape(2, 3, 4)),
        np.zeros((0, 5), np.float32),
        np.array(3.5),
        np.array([b"ab", b"c"]),
        np.array([(1, 2.0)], [("uid", "<u8"), ("x", "<f4")]),
        np.arange(3, dtype=">f4"),
    ],
)
def test_arrays_come_back(tmp_path: Path, values: np.ndarray) -> None:
    np.save(tmp_path / "x.npy", values)
    np.savez(tmp_path / "x.npz", one=values, two=values)
    for found in (read_npy(tmp_path / "x.npy"), map_npy(tmp_path / "x.npy"), read_npz(tmp_path / "x.npz")["two"]):
        np.testing.assert_array_equal(found, values)
        assert found.dtype == values.dtype


@pytest.mark.filterwarnings("ignore:Stored array in format 2.0")
@pytest.mark.parametrize("n_classes", [20, 200])
def test_a_table_of_many_fields(tmp_path: Path, n_classes: int) -> None:
    """As of jobs of cryoSPARC with many classes, each of which has 18 fields."""
    fields = [
        (f"alignments_class_{number}/field_{index}", "<f4") for number in range(n_classes) for index in range(18)
    ]
    np.save(tmp_path / "x.npy", np.ones(2, fields))
    assert read_npy(tmp_path / "x.npy").dtype == np.dtype(fields)


@pytest.mark.parametrize("read", [read_npy, map_npy, read_array])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            npy(HUGE),
            r"states an array \(8000000000, 1000\) of 64,000,000,000,000 bytes, but there are 0",
        ),
        (npy(HUGE.replace("1000)", "2**60)")), "cannot be read as a NumPy file"),
        (npy(HUGE.replace("8000000000", "-8")), r"states an array \(-8, 1000\)"),
        (npy(HUGE.replace("<f8", "S0")), "cannot be read: it states an array"),
        (npy(HUGE.replace("<f8", "|O")), "Python objects in it are never opened"),
        (npy("{'descr': '<f8', 'fortran"), "cannot be read as a NumPy file"),
        (npy("[" * 9000), "cannot be read as a NumPy file"),
        (npy("-" * 60_000), "cannot be read as a NumPy file"),
        (npy(HUGE, version=b"\x07\x00"), r"version 7\.0 of the format is unknown"),
        (npy(HUGE)[:7], "expected an array as numpy.save writes it"),
        (npy(HUGE)[:40], "cannot be read as a NumPy file"),
        (b"0.1 0.2\n0.3 0.4\n", r"expected an array as numpy.save writes it, found one that begins with b'0.1"),
        (b"PK\x03\x04 and more", r"found an archive of arrays \(.npz\)"),
        (b"", "expected an array as numpy.save writes it"),
    ],
)
def test_damaged_files_are_named(tmp_path: Path, read, content: bytes, message: str) -> None:
    (tmp_path / "latents.npy").write_bytes(content)
    with pytest.raises(FormatError, match=rf"latents\.npy .*{message}"):
        read(tmp_path / "latents.npy")


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    for read in (read_npy, map_npy, read_npz):
        with pytest.raises(FormatError, match=r"none does not exist"):
            read(tmp_path / "none")
        with pytest.raises(FormatError, match="cannot be read"):
            read(tmp_path)


def test_text_is_no_array_of_numbers(tmp_path: Path) -> None:
    np.save(tmp_path / "latents.npy", np.array([["0.1", "0.2"]]))
    with pytest.raises(FormatError, match=r"latents\.npy holds an array of <U3, expected numbers"):
        read_array(tmp_path / "latents.npy", numbers=True)


def archive(path: Path, name: str, content: bytes, method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as target:
        target.writestr(name, content)
    return path


def test_archives_that_promise_more_than_they_hold(tmp_path: Path) -> None:
    path = archive(tmp_path / "x.npz", "a.npy", npy(HUGE))
    with pytest.raises(FormatError, match=r"x\.npz \(a\.npy\) cannot be read: its header states"):
        read_npz(path)
    whole = io.BytesIO()
    np.save(whole, np.zeros(10**5))
    path = archive(tmp_path / "x.npz", "a.npy", whole.getvalue(), zipfile.ZIP_DEFLATED)
    with pytest.raises(FormatError, match=r"x\.npz states 800,128 bytes of arrays, but has \d,?\d*: it is damaged"):
        read_npz(path)
    path.write_bytes(b"cut off")
    with pytest.raises(FormatError, match=r"x\.npz cannot be read as a file of NumPy arrays"):
        read_npz(path)
    np.savez(path, a=np.arange(100))
    content = bytearray(path.read_bytes())
    content[400] ^= 1
    path.write_bytes(content)
    with pytest.raises(FormatError, match=r"x\.npz cannot be read as a file of NumPy arrays"):
        read_npz(path)
