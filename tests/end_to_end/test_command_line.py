"""The command line from the outside: the whole road on a small data set, and what it says to wrong input."""

import json
import shutil
import signal
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from cryobench.cli.main import run_cli
from cryobench.io.formats.mrc import read_volume
from cryobench.io.store import load_dataset, load_reconstruction, load_scores

SETS = ["box_size=24", "pixel_size=16", "resolution=16", "n_states=4", "images_per_state=40", "n_queries=8", "snr=2"]


def _run_here(*words: object) -> int:
    """Exit status of a command line in this process, which has imported everything already."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["cryobench", *map(str, words)])
        try:
            run_cli()
        except SystemExit as stop:
            return int(stop.code or 0)
    return 0


@pytest.fixture
def command(capsys):
    """Run a command line in this process; gives (exit status, what was printed on both channels)."""

    def call(*words: object) -> tuple[int, str]:
        capsys.readouterr()
        status = _run_here(*words)
        printed = capsys.readouterr()
        return status, printed.out + printed.err

    return call


@pytest.fixture(scope="module")
def road(tmp_path_factory):
    """A data set and two runs, made once by the command line itself; the first in a process of its own."""
    base = tmp_path_factory.mktemp("road")
    sets = [word for pair in SETS for word in ("--set", pair)]
    simulate = ["simulate", "igg-1d", "-o", base / "data", "--preset", "tiny", "--seed", 2, *sets]
    subprocess.run([sys.executable, "-m", "cryobench", *map(str, simulate)], check=True, capture_output=True)
    assert _run_here("run", "consensus", base / "data", "-o", base / "consensus") == 0
    assert _run_here("run", "3d-class", base / "data", "-o", base / "classes", "--set", "n_classes=3") == 0
    return base


def _snapshot(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.stat().st_size for path in sorted(folder.rglob("*"))}


def test_help_lists_every_command(command):
    status, printed = command("--help")
    assert status == 0
    for name in ("demo", "list", "simulate", "run", "volumes", "score", "report"):
        assert name in printed


_PROBE = """
import sys
from cryobench.cli.main import run_cli
try:
    run_cli()
except SystemExit:
    pass
heavy = ("torch", "numba", "pandas", "scipy", "sklearn", "vl_convert", "numpy")
print([name for name in heavy if name in sys.modules])
"""


@pytest.mark.parametrize(("word", "shown"), [("--help", "simulate"), ("list", "heterogeneity-fsc")])
def test_help_and_lists_import_nothing_heavy(word, shown):
    words = [sys.executable, "-c", _PROBE, word]
    printed = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    assert shown in printed
    assert printed.strip().endswith("[]")


def test_version(command):
    assert command("--version") == (0, f"cryobench {version('cryobench')}\n")


def test_whole_road(road, command):
    status, printed = command("score", road / "consensus", road / "classes")
    assert status == 0, printed
    assert "3d-class" in printed
    assert "consensus" in printed
    scores = load_scores(road / "classes")
    assert scores["fsc-auc"].n == 8
    assert scores["fsc-auc"].low <= scores["fsc-auc"].value <= scores["fsc-auc"].high
    status, printed = command("report", road / "consensus", road / "classes", "-o", road / "page")
    assert status == 0, printed
    assert (road / "page" / "index.html").exists()


def test_show_says_what_a_data_set_is_and_writes_its_card(road, command, tmp_path):
    status, printed = command("show", road / "data", "-o", tmp_path / "card")
    assert status == 0, printed
    for words in ("IgG-1D", "160", "SNR over all pixels", "dihedral", "--set images_per_state=40"):
        assert words in printed, words
    assert (tmp_path / "card" / "index.html").exists()
    status, printed = command("show", road / "consensus")
    assert status == 2
    assert "is not a data set" in printed


def test_run_records_what_it_cost(road):
    record = load_reconstruction(road / "classes").record
    assert record.status == "finished"
    assert record.settings["n_classes"] == 3
    assert record.cost.wall_seconds > 0
    assert record.cost.cpu_seconds > 0
    assert record.cost.peak_memory_bytes > 2**20
    assert record.cost.attempts == 1
    assert record.machine.memory_bytes > 2**20
    assert record.priors.poses == "given"
    assert record.dataset.sha256 == load_dataset(road / "data").card["sha256"]
    assert not (road / "classes" / "checkpoint").exists()


def test_repeated_run_is_loaded_and_another_is_refused(road, command):
    before = json.loads((road / "classes" / "run.json").read_text())
    assert command("run", "3d-class", road / "data", "-o", road / "classes", "--set", "n_classes=3")[0] == 0
    assert json.loads((road / "classes" / "run.json").read_text()) == before
    status, printed = command("run", "3d-class", road / "data", "-o", road / "classes", "--set", "n_classes=2")
    assert status == 2
    assert "settings" in printed


def test_volumes_of_particles_states_and_latents(road, command, tmp_path):
    assert command("volumes", road / "classes", "-p", 0, "-p", 77, "-o", tmp_path / "a")[0] == 0
    found = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert found == ["call.json", "particle-000000.mrc", "particle-000077.mrc"]
    own = load_reconstruction(road / "classes")
    decoded, pixel_size = read_volume(tmp_path / "a" / "particle-000000.mrc")
    assert pixel_size == pytest.approx(16)
    assert decoded.shape == (24, 24, 24)
    assert np.array_equal(decoded, own.model["volumes"][own.posteriors[0].argmax()])
    assert command("volumes", road / "classes", "--states", "-o", tmp_path / "b")[0] == 0
    assert len(list((tmp_path / "b").glob("state-*.mrc"))) == 4
    np.save(tmp_path / "rows.npy", np.eye(3, dtype=np.float32))
    assert command("volumes", road / "classes", "--latents", tmp_path / "rows.npy", "-o", tmp_path / "c")[0] == 0
    assert len(list((tmp_path / "c").glob("latent-*.mrc"))) == 3


def test_score_after_the_data_set_moved(road, command, tmp_path):
    shutil.copytree(road, tmp_path / "moved")
    base = tmp_path / "moved"
    record = json.loads((base / "consensus" / "run.json").read_text())
    record["dataset"]["path"] = str(tmp_path / "nowhere")
    (base / "consensus" / "run.json").write_text(json.dumps(record))
    status, printed = command("score", base / "consensus")
    assert status == 2
    assert "--dataset" in printed
    assert command("score", base / "consensus", "--dataset", base / "data")[0] == 0


WRONG = {
    "unknown recipe": (["simulate", "igg-2d", "-o", "{new}"], "igg-1d"),
    "unknown preset": (["simulate", "igg-1d", "-o", "{new}", "--preset", "huge"], "tiny"),
    "unknown setting": (["simulate", "igg-1d", "-o", "{new}", "--set", "boxsize=32"], "box_size"),
    "setting without value": (["simulate", "igg-1d", "-o", "{new}", "--set", "box_size"], "KEY=VALUE"),
    "setting of wrong type": (["simulate", "igg-1d", "-o", "{new}", "--set", "box_size=wide"], "box_size"),
    "structure absent": (["simulate", "igg-1d", "-o", "{new}", "--structure", "{base}/no.pdb"], "no.pdb"),
    "structure without atoms": (
        ["simulate", "igg-1d", "-o", "{new}", "--structure", "{base}/empty.pdb"],
        "empty.pdb",
    ),
    "structure of another type": (
        ["simulate", "igg-1d", "-o", "{new}", "--structure", "{base}/page.pdb"],
        "page.pdb",
    ),
    "data set absent": (["run", "consensus", "{base}/nothing", "-o", "{new}"], "nothing"),
    "data set is a run": (["run", "consensus", "{road}/consensus", "-o", "{new}"], "consensus"),
    "unknown method": (["run", "3dclass", "{road}/data", "-o", "{new}"], "3d-class"),
    "unknown method setting": (["run", "3d-class", "{road}/data", "-o", "{new}", "--set", "k=3"], "n_classes"),
    "more classes than particles": (
        ["run", "3d-class", "{road}/data", "-o", "{fail}", "--set", "n_classes=161"],
        "160",
    ),
    "device absent": (["run", "consensus", "{road}/data", "-o", "{new}", "--device", "tpu"], "cpu, cuda or auto"),
    "run absent": (["score", "{base}/nothing"], "nothing"),
    "unknown metric": (["score", "{road}/consensus", "--metric", "fsc"], "per-image-fsc"),
    "nothing to decode": (["volumes", "{road}/classes", "-o", "{new}"], "--particles"),
    "particle out of range": (["volumes", "{road}/classes", "-p", "160", "-o", "{new}"], "0 to 159"),
    "page over something else": (["report", "{road}/consensus", "-o", "{base}"], "{base}"),
    "no such thing to list": (["list", "recipe"], "recipes"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_input_is_refused_clearly(case, road, command, tmp_path):
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "empty.pdb").write_text("HEADER    NOTHING\nEND\n")
    (tmp_path / "base" / "page.pdb").write_text("<html></html>")
    places = {"new": tmp_path / "new", "fail": tmp_path / "fail", "base": tmp_path / "base", "road": road}
    words, expected = WRONG[case]
    before = _snapshot(road), _snapshot(tmp_path / "base")
    status, printed = command(*(word.format(**places) for word in words))
    assert status == 2, printed
    assert expected.format(**places) in printed.replace("\n", "")
    assert "Traceback" not in printed
    assert not (tmp_path / "new").exists()
    assert (_snapshot(road), _snapshot(tmp_path / "base")) == before


def test_damaged_data_sets_are_refused(road, command, tmp_path):
    def damaged(name: str) -> Path:
        shutil.copytree(road / "data", tmp_path / name)
        return tmp_path / name

    stack = damaged("truncated") / "particles" / "001.mrcs"
    stack.write_bytes(stack.read_bytes()[:-100])
    status, printed = command("run", "consensus", tmp_path / "truncated", "-o", tmp_path / "run")
    assert status == 2
    assert "001.mrcs" in printed

    table = damaged("shortened") / "particles.star"
    table.write_text("\n".join(table.read_text().rstrip().splitlines()[:-5]) + "\n")
    status, printed = command("run", "consensus", tmp_path / "shortened", "-o", tmp_path / "run")
    assert status == 2
    assert "particles.star" in printed
    assert not (tmp_path / "run").exists()


def test_nan_pixels_name_the_particle(road, command, tmp_path):
    shutil.copytree(road / "data", tmp_path / "data")
    stack = tmp_path / "data" / "particles" / "000.mrcs"
    content = bytearray(stack.read_bytes())
    pixel = 1024 + 4 * (24 * 24 * 5 + 100)  # a pixel of the sixth image of that stack
    # Particles are shuffled: the image belongs to the sixth particle of state 0 in the table.
    particle = np.flatnonzero(load_dataset(road / "data").truth.states == 0)[5]
    content[pixel : pixel + 4] = np.float32(np.nan).tobytes()
    stack.write_bytes(content)
    status, printed = command("run", "consensus", tmp_path / "data", "-o", tmp_path / "run")
    assert status == 2
    assert f"particle {particle} " in printed
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["status"] == "failed"
    assert "NaN" in record["error"]


def test_interrupted_simulation_says_how_to_go_on(command, tmp_path):
    words = ["simulate", "igg-1d", "-o", str(tmp_path / "data"), "--preset", "tiny", "--set", "images_per_state=200"]
    process = subprocess.Popen(
        [sys.executable, "-m", "cryobench", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (tmp_path / "data" / "simulation" / "000.json").exists():
        time.sleep(0.002)
    process.send_signal(signal.SIGINT)
    printed = process.communicate(timeout=60)[0]
    assert process.returncode == 130, printed
    assert "same command" in printed
    assert not list((tmp_path / "data").rglob(".*.part"))
    status, printed = command(*words)
    assert status == 0, printed


def test_run_killed_half_way_is_continued(road, command, tmp_path):
    words = ["run", "3d-class", str(road / "data"), "-o", str(tmp_path / "run"), "--set", "n_classes=3"]
    process = subprocess.Popen(
        [sys.executable, "-m", "cryobench", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if (tmp_path / "run" / "checkpoint").exists() and any((tmp_path / "run" / "checkpoint").iterdir()):
            break
        time.sleep(0.01)
    process.kill()
    process.wait()
    status, printed = command(*words)
    assert status == 0, printed
    resumed, whole = load_reconstruction(tmp_path / "run"), load_reconstruction(road / "classes")
    assert np.array_equal(resumed.posteriors, whole.posteriors)
    assert np.array_equal(resumed.volumes.read(0), whole.volumes.read(0))
