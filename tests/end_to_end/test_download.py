"""Published sets from a server on this machine: resumed, verified, unpacked and opened; nothing half-done is kept."""

import errno
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from cryobench._errors import FormatError
from cryobench.cli.main import run_cli
from cryobench.data import Dataset
from cryobench.io import atomic
from cryobench.io.atomic import DiskFull
from cryobench.io.lock import FolderBusy, lock_folder
from cryobench.io.published import download
from cryobench.io.store import load_dataset, verify_dataset
from published_archive import files_in, in_order, write_archive, zip_folder
from toy import toy_dataset
from zenodo_server import ZenodoServer

CONF_HET, COMP_HET, SPIKE = 11_629_428, 12_528_292, 14_941_494


@pytest.fixture(scope="module")
def original() -> Dataset:
    return in_order(toy_dataset(n=90, n_queries=3))


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory, original: Dataset) -> dict[str, Path]:
    base = tmp_path_factory.mktemp("published")
    write_archive(base / "IgG-1D", original)
    (base / "IgG-1D" / "pdbs").mkdir()
    (base / "IgG-1D" / "pdbs" / "000.pdb").write_text("ATOM\n")
    write_archive(base / "IgG-RL", original, images=["images/snr0.01", "images/snr0.005"])
    return {name: zip_folder(base / name, base / f"{name}.zip") for name in ("IgG-1D", "IgG-RL")}


@pytest.fixture
def server(archives: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ZenodoServer]:
    server = ZenodoServer()
    readme = tmp_path / "README.md"
    readme.write_text("two sets\n")
    server.records[CONF_HET] = [*archives.values(), readme]
    monkeypatch.setenv("CRYOBENCH_ZENODO_URL", server.url)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(download, "_PAUSE", 0.0)
    monkeypatch.setattr(download, "_CHUNK", 1000)
    monkeypatch.setattr(download, "_READ_AHEAD", 4096)
    monkeypatch.chdir(tmp_path)
    yield server
    server.stop()


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    def call(*words: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["cryobench", *map(str, words)])
        capsys.readouterr()
        try:
            run_cli()
            status = 0
        except SystemExit as stop:
            status = int(stop.code or 0)
        printed = capsys.readouterr()
        return status, (printed.out + printed.err).replace("\n", " ")

    return call


def fetch(folder: str = "set", **choices: object) -> Path:
    choices = {"title": "IgG-1D", **choices}
    return download.download_set(CONF_HET, Path(folder), **choices)  # type: ignore[arg-type]


def test_the_command_downloads_what_then_is_a_data_set(server, archives, original, command) -> None:
    status, printed = command("download", "igg-1d")
    assert status == 0, printed
    assert "igg-1d: 90 images of 24 px at 4 Å/px, 3 states, 90 query particles" in printed
    found = load_dataset(Path("IgG-1D"))
    np.testing.assert_array_equal(found.particles.read(np.arange(90)), original.particles.read(np.arange(90)))
    np.testing.assert_array_equal(found.truth.volumes.read(2), original.truth.volumes.read(2))
    unpacked, published = files_in(Path("IgG-1D")), files_in(archives["IgG-1D"].with_suffix(""))
    assert found.card["download"]["record"] == CONF_HET
    del unpacked["download.json"]
    assert unpacked == published
    assert not Path("IgG-1D.download").exists()
    assert command("verify", "IgG-1D") == (0, "IgG-1D is unchanged. ")
    asked = len(server.asked)
    assert command("download", "igg-1d")[0] == 0
    assert len(server.asked) == asked


def test_verification_finds_one_changed_byte(server, command) -> None:
    path = fetch() / "images" / "snr0.01" / "002_particles_24.mrcs"
    content = bytearray(path.read_bytes())
    content[5000] ^= 1
    path.write_bytes(content)
    status, printed = command("verify", "set")
    assert status == 2
    assert "images/snr0.01/002_particles_24.mrcs differ" in printed
    path.unlink()
    with pytest.raises(FormatError, match="002_particles_24"):
        verify_dataset(Path("set"))


def test_several_sets_of_images_are_listed(server, command) -> None:
    status, printed = command("download", "igg-rl", "-o", "here")
    assert status == 0, printed
    assert "2 sets of images" in printed
    assert f"{Path('here') / 'images' / 'snr0.005'}" in printed
    assert len(load_dataset(Path("here", "images", "snr0.005")).particles) == 90


def test_a_cut_connection_is_resumed_where_it_was_cut(server, archives) -> None:
    assert archives["IgG-1D"].stat().st_size > 150_000
    server.cuts = [100_000, 0, 1500]
    fetch()
    assert server.ranges_asked == [None, "bytes=100000-", "bytes=100000-", "bytes=101000-"]
    assert len(load_dataset(Path("set")).particles) == 90


def test_a_server_without_ranges_begins_again(server) -> None:
    server.ranges, server.cuts = False, [100_000, 50_000]
    fetch()
    assert server.ranges_asked == [None, "bytes=100000-", "bytes=50000-"]
    assert len(load_dataset(Path("set")).particles) == 90


def test_given_up_after_some_cuts_and_gone_on_with_by_the_next_call(server, archives) -> None:
    size = archives["IgG-1D"].stat().st_size
    server.cuts = [100_000] + [0] * 5
    with pytest.raises(ConnectionError, match=rf"interrupted after 100,000 of {size:,} bytes, 5 times in a row"):
        fetch()
    assert not Path("set").exists()
    assert Path("set.download", "IgG-1D.zip.part").stat().st_size == 100_000
    server.asked.clear()
    fetch()
    assert server.ranges_asked == ["bytes=100000-"]


def test_the_archive_is_not_fetched_again_if_unpacking_failed(server, monkeypatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("cryobench.io.published.unpack.shutil.copyfileobj", full)
        with pytest.raises(DiskFull):
            fetch()
    assert not Path("set").exists()
    server.asked.clear()
    fetch(keep_archive=True)
    assert server.ranges_asked == []
    assert Path("set.download", "IgG-1D.zip").is_file()


def test_a_wrong_hash_removes_the_file(server) -> None:
    server.checksums["IgG-1D.zip"] = "md5:" + "0" * 32
    with pytest.raises(FormatError, match=r"md5:[0-9a-f]{32}, but the record states md5:0{32}\. It was removed"):
        fetch()
    assert [path.name for path in Path().rglob("IgG-1D*")] == []
    assert not Path("set").exists()


@pytest.mark.parametrize(
    ("status", "message"), [(404, "status 404. Is the file still there"), (503, "0 of .* 5 times in a row .*503")]
)
def test_a_server_that_refuses(server, status: int, message: str) -> None:
    server.status = status
    with pytest.raises(ConnectionError, match=message):
        fetch()
    server.status = None
    assert fetch().is_dir()


def test_errors_of_the_record(server, command, monkeypatch) -> None:
    status, printed = command("download", "spike-md")
    assert (status, f"there is no record {SPIKE}" in printed) == (2, True)
    server.records[COMP_HET] = server.records[CONF_HET]
    status, printed = command("download", "ribosembly")
    assert status == 2
    assert "no file named like Ribosembly" in printed
    assert "IgG-1D.zip (0.00 GB)" in printed
    assert command("download", "igg-2d") == (2, command("download", "igg-2d")[1])
    assert "Did you mean 'igg-1d'" in command("download", "igg-2d")[1]
    assert "images, volumes" in command("download", "igg-1d", "--what", "truth")[1]
    assert "no file 'x.zip'" in command("download", "igg-1d", "--file", "x.zip")[1]
    monkeypatch.setenv("CRYOBENCH_ZENODO_URL", "http://127.0.0.1:9")
    status, printed = command("download", "igg-1d")
    assert status == 2
    assert "download it in a browser" in printed
    assert list(Path().iterdir()) == [Path("README.md")]


def test_names_of_files_are_matched(server, tmp_path) -> None:
    def remote(*names: str) -> list[download.RemoteFile]:
        return [download.RemoteFile(name, 1, "md5:0", "https://x") for name in names]

    def chosen(title: str | None, *names: str) -> list[str]:
        return [file.name for file in download.choose_files(remote(*names), title)]

    assert chosen("IgG-1D", "igg_1d.zip", "IgG-1D_noise.zip", "IgG-RL.zip") == ["igg_1d.zip"]
    assert chosen("Tomotwin-100", "CryoBench-Tomotwin-100-v2.zip", "Ribosembly.zip") == [
        "CryoBench-Tomotwin-100-v2.zip"
    ]
    assert chosen(None, "Spike-MD.zip", "sampled_pdbs.xtc") == ["Spike-MD.zip", "sampled_pdbs.xtc"]
    with pytest.raises(ValueError, match="2 files named like IgG-1D"):
        chosen("IgG-1D", "IgG-1D_a.zip", "IgG-1D_b.zip")
    with pytest.raises(FormatError, match=r"packs Spike-MD\.tar\.gz in a way"):
        download._sort_out(remote("Spike-MD.tar.gz"), "all")


def test_files_of_a_record_that_are_not_archives_are_taken_as_they_are(server, tmp_path, command) -> None:
    trajectory = tmp_path / "sampled_pdbs.xtc"
    trajectory.write_bytes(b"frames")
    server.records[SPIKE] = [server.records[CONF_HET][0], trajectory]
    assert command("download", "spike-md", "-o", "spike")[0] == 0
    assert Path("spike", "sampled_pdbs.xtc").read_bytes() == b"frames"
    assert Path("spike", "vols").is_dir()
    assert command("verify", "spike")[0] == 0
    Path("spike", "sampled_pdbs.xtc").write_bytes(b"Frames")
    assert "sampled_pdbs.xtc differ" in command("verify", "spike")[1]
    assert command("download", "spike-md", "-o", "some", "--what", "images")[0] == 0
    assert not Path("some", "sampled_pdbs.xtc").exists()


def test_parts(server, command) -> None:
    assert command("download", "igg-1d", "-o", "images", "--what", "images")[0] == 0
    assert not Path("images", "vols").exists()
    assert not Path("images", "pdbs").exists()
    assert load_dataset(Path("images")).truth.volumes is None
    status, printed = command("download", "igg-1d", "-o", "truth", "--what", "volumes")
    assert (status, "the truth of IgG-1D -> truth" in printed) == (0, True)
    assert not list(Path("truth").rglob("*.mrcs"))
    assert Path("truth", "gt_latents.pkl").is_file()
    assert len(list(Path("truth", "vols").rglob("*.mrc"))) == 3
    status, printed = command("download", "igg-1d", "-o", "images")
    assert (status, "is not what would be downloaded" in printed) == (2, True)


def test_the_truth_alone_is_fetched_out_of_the_archive(server, archives) -> None:
    server.cuts = [100]
    folder = fetch(part="volumes")
    assert server.sent < archives["IgG-1D"].stat().st_size / 2
    published = files_in(archives["IgG-1D"].with_suffix(""))
    found = files_in(folder)
    del found["download.json"]
    assert found == {name: content for name, content in published.items() if not name.endswith(".mrcs")}
    shutil.rmtree(folder)
    server.ranges, server.sent = False, 0
    assert files_in(fetch(part="volumes")).keys() == {*found, "download.json"}
    server.ranges, server.status = True, 404
    with pytest.raises(ConnectionError, match="404"):
        fetch("other", part="volumes")


def test_an_interrupted_call_for_another_part_leaves_nothing_of_it(server, monkeypatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            fetch()
    fetch()
    shutil.rmtree("set")
    work = Path("set.download", "contents", "vols")
    work.mkdir(parents=True)
    (work / "999.mrc").write_bytes(b"stale")
    fetch(part="images")
    assert not Path("set", "vols").exists()


@pytest.mark.parametrize("what", ["another set", "a file", "other things"])
def test_a_folder_in_use_is_left_alone(server, what: str) -> None:
    if what == "another set":
        fetch(title="IgG-RL")
    elif what == "a file":
        Path("set").write_text("mine")
    else:
        Path("set").mkdir()
        Path("set", "mine.txt").write_text("mine")
    before = files_in(Path("set")) if Path("set").is_dir() else Path("set").read_text()
    with pytest.raises(FormatError, match="choose another folder"):
        fetch()
    assert (files_in(Path("set")) if Path("set").is_dir() else Path("set").read_text()) == before


def test_too_small_a_disk_is_said_before_anything_is_fetched(server, archives, monkeypatch) -> None:
    size = archives["IgG-1D"].stat().st_size
    monkeypatch.setattr(atomic, "_free_bytes", lambda _: 2 * size)
    with pytest.raises(DiskFull, match=r"set\.download needs"):
        fetch()
    assert server.ranges_asked == []
    monkeypatch.setattr(atomic, "_free_bytes", lambda _: 20 * size)
    fetch()


def test_a_disk_that_fills_up_keeps_what_came(server, monkeypatch) -> None:
    class Full:
        """A file on a disk that is full after 1,000 bytes."""

        def __init__(self, stream) -> None:
            self._stream = stream

        def __getattr__(self, name: str):
            return getattr(self._stream, name)

        def write(self, chunk: bytes) -> None:
            self._stream.write(chunk[:1000])
            self._stream.flush()
            raise OSError(errno.ENOSPC, "No space left on device")

    real = download._receive
    with monkeypatch.context() as patch:
        patch.setattr(download, "_receive", lambda file, stream, *rest: real(file, Full(stream), *rest))
        with pytest.raises(DiskFull, match=r"full after 1,000 of .* They are kept"):
            fetch()
    fetch()
    assert server.ranges_asked == [None, "bytes=1000-"]


def test_ctrl_c_and_the_same_command(server) -> None:
    """A process that is stopped in the middle, and one that goes on."""
    words = [sys.executable, "-m", "cryobench", "download", "igg-1d", "-o", "set"]
    server.cuts = [1 << 17] + [0] * 100
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    part = Path("set.download", "IgG-1D.zip.part")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (part.exists() and part.stat().st_size == 1 << 17):
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    printed = process.communicate(timeout=60)[0]
    assert process.returncode == 130, printed
    assert "same command" in printed
    assert part.stat().st_size == 1 << 17
    server.cuts.clear()
    server.asked.clear()
    fetch()
    assert server.ranges_asked == [f"bytes={1 << 17}-"]


def test_an_archive_that_is_there_is_known_by_its_hash(server, archives) -> None:
    content = bytearray(archives["IgG-1D"].read_bytes())
    content[len(content) // 2] ^= 1
    Path("set.download").mkdir()
    Path("set.download", "IgG-1D.zip").write_bytes(content)
    fetch()
    verify_dataset(Path("set"))
    unpacked = files_in(Path("set"))
    del unpacked["download.json"]
    assert unpacked == files_in(archives["IgG-1D"].with_suffix(""))


@pytest.mark.parametrize("there", [True, False])
def test_into_a_folder_named_by_a_link(server, there: bool) -> None:
    """As to another disk: the download grows there, and the link stays."""
    Path("disk").mkdir()
    if there:
        Path("disk/set").mkdir()
    Path("set").symlink_to("disk/set")
    fetch()
    assert load_dataset(Path("disk/set")).card["download"]["record"] == CONF_HET
    assert Path("set").is_symlink()
    assert [path.name for path in Path("disk").iterdir()] == ["set"]


def test_one_download_at_a_time(server) -> None:
    with lock_folder(Path("set"), doing="download"), pytest.raises(FolderBusy, match="set is in use"):
        fetch()


def test_what_a_late_kill_left_is_removed_or_used_by_the_same_call(server, monkeypatch) -> None:
    """Killed when the archive was gone and the folder had not its name yet; and after it had."""
    fetch()
    Path("set.download").mkdir()
    Path("set").rename("set.download/contents")
    Path("set.download/request.json").write_text("{}")
    server.stop()
    fetch()
    assert sorted(path.name for path in Path().iterdir()) == ["README.md", "set"]
    Path("set.download").mkdir()
    Path("set.download/request.json").write_text("{}")
    fetch()
    assert not Path("set.download").exists()
