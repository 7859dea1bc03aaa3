"""Files and folders appear whole or not at all, whatever interrupts the writing."""

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cryobench._errors import CryobenchError, FormatError
from cryobench.io import atomic
from cryobench.io.atomic import (
    DiskFull,
    atomic_folder,
    atomic_write,
    canonical_json,
    check_free_space,
    read_array,
    read_json,
    remove_partial_files,
    write_array,
    write_bytes,
    write_json,
)


def listing(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def write_half(path: Path, error: BaseException) -> None:
    with atomic_write(path) as file:
        file.write(b"half")
        raise error


def write_half_a_folder(path: Path, error: BaseException) -> None:
    with atomic_folder(path, replace=True) as folder:
        (folder / "new").write_text("half")
        raise error


def test_a_file_takes_its_name_only_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file.bin"
    with atomic_write(path) as file:
        file.write(b"content")
        assert not path.exists()
    assert path.read_bytes() == b"content"
    assert listing(tmp_path) == ["deep", "deep/file.bin"]


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), SystemExit(1), OSError(errno.EIO, "x")])
def test_an_exception_leaves_the_previous_file(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(b"before")
    with pytest.raises(type(error)):
        write_half(path, error)
    assert path.read_bytes() == b"before"
    assert listing(tmp_path) == ["file.bin"]


def full_disk(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_disk_that_fills_up_is_named_and_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", full_disk)
    with (
        pytest.raises(DiskFull, match=r"file\.bin needs 4 bytes, .* free") as caught,
        atomic_write(tmp_path / "file.bin", bytes_needed=4) as file,
    ):
        file.write(b"half")
    assert isinstance(caught.value, CryobenchError)
    assert isinstance(caught.value, OSError)
    assert listing(tmp_path) == []


def test_a_disk_that_is_too_small_is_noticed_before_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(100, 50, 50))
    with (
        pytest.raises(DiskFull, match=r"file\.bin needs 51 bytes, 50 bytes are free"),
        atomic_write(tmp_path / "file.bin", bytes_needed=51),
    ):
        pytest.fail("the block must not be entered")
    with pytest.raises(DiskFull, match=r"needs 51 bytes .* 50 bytes free"):
        check_free_space(tmp_path / "not" / "there" / "yet", 51)
    check_free_space(tmp_path, 50)
    write_bytes(tmp_path / "file.bin", b"x" * 50)
    assert listing(tmp_path) == ["file.bin"]


def test_a_folder_takes_its_name_only_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    with atomic_folder(path) as folder:
        (folder / "a").write_text("new")
        assert not path.exists()
    assert listing(tmp_path) == ["folder", "folder/a"]
    with pytest.raises(FileExistsError, match="already exists"), atomic_folder(path):
        pytest.fail("the block must not be entered")


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    path.mkdir()
    (path / "old").write_text("old")
    with pytest.raises(KeyboardInterrupt):
        write_half_a_folder(path, KeyboardInterrupt())
    assert listing(tmp_path) == ["folder", "folder/old"]
    with atomic_folder(path, replace=True) as folder:
        (folder / "new").write_text("new")
    assert listing(tmp_path) == ["folder", "folder/new"]


@pytest.mark.parametrize(("renames", "kept"), [(1, "old"), (2, "new")])
def test_a_folder_whose_replacement_was_killed_is_there_for_the_next_call(
    tmp_path: Path, renames: int, kept: str
) -> None:
    path = tmp_path / "folder"
    path.mkdir()
    (path / "old").touch()
    program = (
        "import os, pathlib, shutil, sys\nfrom cryobench.io.atomic import atomic_folder\ndone = []\n"
        "rename = pathlib.Path.replace\n"
        "def replace(one, other):\n    rename(one, other)\n    done.append(one)\n"
        "    if len(done) == int(sys.argv[2]):\n        os._exit(9)\n"
        "pathlib.Path.replace = replace\n"
        "with atomic_folder(pathlib.Path(sys.argv[1]), replace=True) as folder:\n    (folder / 'new').touch()\n"
    )
    assert subprocess.run([sys.executable, "-c", program, str(path), str(renames)], check=False).returncode == 9
    with pytest.raises(ValueError, match="x"):
        write_half_a_folder(path, ValueError("x"))
    remove_partial_files(tmp_path)
    assert listing(tmp_path) == ["folder", f"folder/{kept}"]


def test_a_full_disk_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(DiskFull, match="folder does not fit"):
        write_half_a_folder(tmp_path / "folder", OSError(errno.ENOSPC, "No space left on device"))
    assert listing(tmp_path) == []


def test_what_killed_writers_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    for name in ("a/.file.mrc.123-abcd.part", "a/file.part", "a/.hidden", "b/keep"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / ".folder.1-2.part").mkdir()
    (tmp_path / ".folder.1-2.part" / "x").write_text("x")
    remove_partial_files(tmp_path)
    assert listing(tmp_path) == ["a", "a/.hidden", "a/file.part", "b", "b/keep"]


def test_partial_files_of_other_processes_are_what_is_removed(tmp_path: Path, monkeypatch) -> None:
    with atomic_write(tmp_path / "file") as file:
        remove_partial_files(tmp_path)
        assert listing(tmp_path) == [Path(file.name).name]
        with monkeypatch.context() as elsewhere:
            elsewhere.setattr("os.getpid", lambda: -1)
            remove_partial_files(tmp_path)
        assert listing(tmp_path) == []
        # Put it back, or the rename at the end has nothing to rename.
        Path(file.name).write_bytes(b"")


def test_those_of_an_earlier_process_of_the_same_number_are_removed(tmp_path: Path) -> None:
    """In a container a program has the same number each time."""
    program = (
        "import os, pathlib, sys\nfrom cryobench.io import atomic\nos.getpid = lambda: int(sys.argv[2])\n"
        "with atomic.atomic_write(pathlib.Path(sys.argv[1])) as file:\n"
        "    file.write(b'x')\n    os._exit(9)\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "file"), str(os.getpid())], check=False)
    assert len(listing(tmp_path)) == 1
    remove_partial_files(tmp_path)
    assert listing(tmp_path) == []


def test_json_round_trip_with_numpy_and_paths(tmp_path: Path) -> None:
    value = {"b": np.float32(0.5), "a": np.arange(3), "path": Path("x/y"), "n": np.int64(3), "å": (1, None, True)}
    write_json(tmp_path / "x.json", value)
    assert read_json(tmp_path / "x.json") == {
        "b": 0.5, "a": [0, 1, 2], "path": "x/y", "n": 3, "å": [1, None, True],
    }  # fmt: skip
    assert list(json.loads((tmp_path / "x.json").read_text(encoding="utf-8"))) == list(value)


def test_json_refuses_what_json_cannot_hold(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "x.json", {"a": float("nan")})
    with pytest.raises(TypeError, match="set cannot be written as JSON"):
        write_json(tmp_path / "x.json", {"a": {1}})
    assert listing(tmp_path) == []


@pytest.mark.parametrize(
    ("content", "message"), [(b"{", "not valid JSON"), (b"\xff\xfe", "not valid JSON"), (b"[1]", "found list")]
)
def test_bad_json_names_the_file(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(FormatError, match=rf"x\.json .*{message}"):
        read_json(tmp_path / "x.json")


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"x\.json does not exist"):
        read_json(tmp_path / "x.json")
    with pytest.raises(FormatError, match=r"x\.npy does not exist"):
        read_array(tmp_path / "x.npy")


def test_canonical_json_is_that_of_what_is_read_back(tmp_path: Path) -> None:
    value = {"b": (1, 2), "a": {10: "x", 9: "y"}, "c": np.float32(0.1)}
    write_json(tmp_path / "x.json", value)
    back = read_json(tmp_path / "x.json")
    assert canonical_json(value) == canonical_json(back) == canonical_json(dict(reversed(back.items())))
    assert canonical_json(value) != canonical_json({**back, "b": [1, 3]})


def test_arrays_round_trip_and_damage_is_named(tmp_path: Path, rng: np.random.Generator) -> None:
    path = tmp_path / "x.npy"
    values = rng.normal(size=(5, 3))
    write_array(path, values)
    np.testing.assert_array_equal(read_array(path), values)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(FormatError, match=r"x\.npy cannot be read: its header states an array \(5, 3\) of 120"):
        read_array(path)
    with path.open("wb") as file:
        np.save(file, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(FormatError, match=r"x\.npy cannot be read: Python objects in it are never opened"):
        read_array(path)
    with pytest.raises(ValueError, match="Object arrays"):
        write_array(tmp_path / "y.npy", np.array([{}], dtype=object))
    assert listing(tmp_path) == ["x.npy"]


def test_free_bytes_are_those_of_the_disk(tmp_path: Path) -> None:
    assert abs(atomic._free_bytes(tmp_path) - shutil.disk_usage(tmp_path).free) < 1e9
