"""One process at a time works in a folder; the lock of a dead one does not stand in the way."""

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from cryobench._errors import CryobenchError
from cryobench.cli.main import run_cli
from cryobench.io import lock
from cryobench.io.lock import FolderBusy, Owner, is_empty, lock_folder, lock_path


def leave(folder: Path, owner: Owner) -> Path:
    """The lock of somebody else."""
    path = lock_path(folder)
    path.write_text(json.dumps(asdict(owner)))
    return path


def test_the_second_is_refused_and_learns_of_the_first(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "run"
    with (
        lock_folder(folder, doing="run 3d-class"),
        pytest.raises(FolderBusy, match=rf"run is in use: process {os.getpid()} .*cryobench run 3d-class") as caught,
        lock_folder(folder.parent / ".." / "deep" / "run", doing="score"),
    ):
        pass
    assert isinstance(caught.value, CryobenchError)
    assert list(folder.parent.iterdir()) == []
    with lock_folder(folder, doing="score"):
        assert [path.name for path in folder.parent.iterdir()] == [".run.lock"]


def test_it_is_released_whatever_ends_the_block(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), lock_folder(tmp_path / "run", doing="run"):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_the_lock_of_a_process_that_was_killed_is_taken_over(tmp_path: Path) -> None:
    program = (
        "import sys, time, pathlib\nfrom cryobench.io.lock import lock_folder\n"
        "with lock_folder(pathlib.Path(sys.argv[1]), doing='simulate igg-1d'):\n"
        "    print('held', flush=True)\n    time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "data")], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(FolderBusy, match=rf"process {process.pid} .*simulate igg-1d"), take(tmp_path / "data"):
            pass
        process.kill()
    with take(tmp_path / "data"):
        assert json.loads(lock_path(tmp_path / "data").read_text())["pid"] == os.getpid()
    assert list(tmp_path.iterdir()) == []


def take(folder: Path):
    return lock_folder(folder, doing="test")


def test_a_number_given_to_another_process_since_holds_no_lock(tmp_path: Path) -> None:
    here = Owner.here("run")
    leave(tmp_path / "run", replace(here, started=here.started - 100, since_boot=here.since_boot - 100))
    with take(tmp_path / "run"):
        pass
    leave(tmp_path / "run", here)
    with pytest.raises(FolderBusy), take(tmp_path / "run"):
        pass


@pytest.mark.skipif(not lock._BOOT.exists(), reason="only Linux counts start times from the start of the system")
def test_a_lock_holds_when_the_clock_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's start time, from which psutil counts those of processes, moves with its clock."""
    leave(tmp_path / "run", Owner.here("run"))
    booted, created = lock.psutil.boot_time(), lock.psutil.Process().create_time()
    monkeypatch.setattr(lock.psutil, "boot_time", lambda: booted + 3600)
    monkeypatch.setattr(lock.psutil.Process, "create_time", lambda _: created + 3600)
    with pytest.raises(FolderBusy), take(tmp_path / "run"):
        pass
    # After a restart of the system, the same process at the same time after it is another one.
    leave(tmp_path / "run", replace(Owner.here("run"), started=created, boot="an earlier one"))
    with take(tmp_path / "run"):
        pass


def test_a_process_of_another_host_is_believed_and_the_way_out_said(tmp_path: Path) -> None:
    path = leave(tmp_path / "run", Owner(1, "elsewhere", 0.0, "run recovar"))
    with (
        pytest.raises(FolderBusy, match=rf"on elsewhere.*if it is no longer running, remove {path}"),
        take(tmp_path / "run"),
    ):
        pass
    assert path.exists()


def test_a_damaged_lock_is_waited_for_and_then_taken_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = lock_path(tmp_path / "run")
    path.write_text('{"pid": 3')
    waited: list[float] = []

    def grow_old(seconds: float) -> None:
        waited.append(seconds)
        os.utime(path, (time.time() - 60,) * 2)

    monkeypatch.setattr(lock.time, "sleep", grow_old)
    with take(tmp_path / "run"):
        pass
    assert len(waited) == 1


def test_a_lock_taken_over_by_another_meanwhile_is_left_alone(tmp_path: Path) -> None:
    path = leave(tmp_path / "run", Owner.here("run"))
    lock._remove_stale(path, "what it held before")
    assert json.loads(path.read_text())["doing"] == "run"
    assert list(tmp_path.iterdir()) == [path]


def test_where_the_parent_cannot_be_written_it_lies_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    monkeypatch.setattr(lock.os, "access", lambda path, mode: Path(path) != tmp_path)
    with take(folder):
        assert [path.name for path in folder.iterdir()] == [".lock"]
        assert is_empty(folder)
    (folder / "file").touch()
    assert not is_empty(folder)
    assert is_empty(tmp_path / "missing")


def test_the_command_line_says_so_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["cryobench", "simulate", "igg-1d", "-o", str(tmp_path / "data")])
    with take(tmp_path / "data"), pytest.raises(SystemExit) as stop:
        run_cli()
    assert stop.value.code == 2
    printed = " ".join(capsys.readouterr().err.split())
    assert f"process {os.getpid()} on " in printed
    assert "Traceback" not in printed
