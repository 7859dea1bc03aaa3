"""Archives are unpacked into one folder and nowhere else; nothing half-done, doubled or too large is kept."""

import io
import shutil
import stat
import zipfile
from pathlib import Path

import pytest

from cryobench._errors import FormatError
from cryobench.io import atomic
from cryobench.io.atomic import DiskFull
from cryobench.io.published.unpack import _check_name, unpack_zip
from published_archive import files_in, write_archive, zip_folder


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published set, packed; its files lie beside it in a folder of its name."""
    base = tmp_path_factory.mktemp("published")
    write_archive(base / "IgG-1D")
    return zip_folder(base / "IgG-1D", base / "IgG-1D.zip")


def evil(path: Path, name: str, *, mode: int = 0o100644, content: bytes = b"x") -> Path:
    """A zip archive of two files, one of them with that name."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("set/first.txt", "first")
        entry = zipfile.ZipInfo(name)
        entry.external_attr = mode << 16
        archive.writestr(entry, content)
    return path


NAMES = [
    "../evil.txt",
    "set/../../evil.txt",
    "/etc/evil.txt",
    "set\\..\\evil.txt",
    "C:/evil.txt",
    "set/a\\b.txt",
    "..",
]


@pytest.mark.parametrize("name", NAMES)
def test_names_that_lead_out_are_refused_before_anything_is_unpacked(tmp_path: Path, name: str) -> None:
    with pytest.raises(FormatError, match="leads out of the folder"):
        unpack_zip(evil(tmp_path / "a.zip", name), tmp_path / "deep" / "out")
    assert [path.name for path in tmp_path.rglob("*")] == ["a.zip"]


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_links_and_devices_are_refused(tmp_path: Path, kind: int) -> None:
    path = evil(tmp_path / "a.zip", "set/link", mode=kind | 0o777, content=b"/etc/passwd")
    with pytest.raises(FormatError, match="a link or a device"):
        unpack_zip(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        path = evil(tmp_path / "a.zip", "set/first.txt")
    with pytest.raises(FormatError, match=r"two files named set/first\.txt"):
        unpack_zip(path, tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("set/FIRST.txt", r"holds 'set/FIRST\.txt', which some file systems confuse with 'set/first\.txt'"),
        ("Set/first.txt", "some file systems confuse with"),
        ("set/first.txt.", "some file systems confuse with"),
        ("set/first.txt/second", r"holds 'set/first\.txt' and, as if that were a folder, 'set/first\.txt/second'"),
        ("set//second.txt", "a file without a name"),
        ("set/ /second.txt", "a file without a name"),
        ("set/...", "a file without a name"),
    ],
)
def test_names_that_are_not_different_everywhere_are_refused(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        unpack_zip(evil(tmp_path / "a.zip", name), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_one_letter_written_in_two_ways_is_one_name(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("caf\u00e9.mrc", "one")
        archive.writestr("cafe\u0301.mrc", "two")
    with pytest.raises(FormatError, match="some file systems confuse with"):
        unpack_zip(tmp_path / "a.zip", tmp_path / "out")


def test_an_empty_name_is_refused(tmp_path: Path) -> None:
    content = evil(tmp_path / "a.zip", "set/x").read_bytes().replace(b"set/x", b"\0et/x")
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(FormatError, match=r"leads out of the folder|without a name"):
        unpack_zip(tmp_path / "a.zip", tmp_path / "out")
    entry = zipfile.ZipInfo("x")
    entry.filename = entry.orig_filename = ""
    with pytest.raises(FormatError, match="a file without a name"):
        _check_name(entry, tmp_path / "a.zip")


def test_a_file_that_is_there_is_known_by_its_content(tmp_path: Path) -> None:
    path = evil(tmp_path / "a.zip", "set/second.txt", content=b"second")
    unpack_zip(path, tmp_path / "out")
    (tmp_path / "out" / "first.txt").write_text("wrong")  # of the right size
    times = (tmp_path / "out" / "second.txt").stat().st_mtime_ns
    unpack_zip(path, tmp_path / "out")
    assert (tmp_path / "out" / "first.txt").read_text() == "first"
    assert (tmp_path / "out" / "second.txt").stat().st_mtime_ns == times


def test_archives_do_not_overwrite_one_another(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"holds 'first\.txt', which some file systems confuse with 'FIRST\.txt'"):
        unpack_zip(evil(tmp_path / "a.zip", "set/x"), tmp_path / "out", taken=["FIRST.txt"])


def test_an_archive_made_to_fill_the_disk_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive, archive.open("x", "w") as file:
        for _ in range(300):
            file.write(bytes(10**6))
    with pytest.raises(FormatError, match=r"a\.zip has 2\d\d,\d+ bytes but would unpack to 300,000,000"):
        unpack_zip(tmp_path / "a.zip", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_bomb_is_weighed_before_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("set/zeros", bytes(10**7))
    (tmp_path / "a.zip").write_bytes(buffer.getvalue())
    monkeypatch.setattr(atomic, "_free_bytes", lambda _: 10**6)
    with pytest.raises(DiskFull, match=r"0\.010 GB"):
        unpack_zip(tmp_path / "a.zip", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_damaged_archive_is_named_and_leaves_no_half_file(archive: Path, tmp_path: Path) -> None:
    content = archive.read_bytes()
    cut = tmp_path / "cut.zip"
    cut.write_bytes(content[: len(content) // 2])
    with pytest.raises(FormatError, match=r"cut\.zip is damaged or not a zip archive"):
        unpack_zip(cut, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    changed = bytearray(content)
    changed[len(content) // 2] ^= 0xFF
    (tmp_path / "changed.zip").write_bytes(changed)
    with pytest.raises(FormatError, match=r"changed\.zip is damaged"):
        unpack_zip(tmp_path / "changed.zip", tmp_path / "out")
    whole = files_in(archive.with_suffix(""))
    partly = files_in(tmp_path / "out")
    assert len(partly) < len(whole)
    assert all(whole[name] == value for name, value in partly.items())
    unpack_zip(archive, tmp_path / "out")
    assert files_in(tmp_path / "out") == whole


def test_only_what_encloses_everything_is_taken_off_and_litter_left_out(tmp_path: Path) -> None:
    def unpacked(*names: str) -> list[str]:
        path = tmp_path / "a.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for name in names:
                archive.writestr(name, "" if name.endswith("/") else name)
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        return sorted(unpack_zip(path, tmp_path / "out"))

    assert unpacked("set/", "set/a/b", "set/c", "__MACOSX/set/c", "set/.DS_Store") == ["a/b", "c"]
    assert unpacked("set/a", "other/b") == ["other/b", "set/a"]
    assert unpacked("./", "./a", "b") == ["a", "b"]
    with pytest.raises(FormatError, match="holds no files"):
        unpacked("set/")
