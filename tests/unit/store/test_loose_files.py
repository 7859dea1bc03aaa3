"""Files that somebody put into the folder of a run: they are named, with the import that takes them.

The commands that messages give are run as they stand.
"""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from typer.testing import CliRunner

from cryobench._errors import FormatError
from cryobench.cli.main import app
from cryobench.data import Dataset
from cryobench.importers.bring_in import import_results
from cryobench.io.formats.mrc import write_volume
from cryobench.io.formats.pickles import write_pickle
from cryobench.io.programs.cryodrgn import write_poses
from cryobench.io.programs.relion import write_pose_star
from cryobench.io.store import find_loose_files, load_reconstruction
from cryobench.testing.toy import toy_dataset
from stored import store_dataset, store_run

JOBS = Path(__file__).parents[2] / "fixtures" / "imports"
METRIC = ("--metric", "decodability")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return store_dataset(toy_dataset(size=16, n=60, n_queries=3), tmp_path_factory.mktemp("loose") / "data")


@pytest.fixture
def run(dataset: Dataset, tmp_path: Path) -> Path:
    store_run(dataset, tmp_path / "run")
    return tmp_path / "run"


def call(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def command_in(text: str) -> list[str]:
    """The words of the one import command of a text, to its end of line."""
    found = re.findall(r"(cryobench import .*)", text)
    assert len(found) == 1, text
    return shlex.split(found[0])[1:]


def write_results(folder: Path, dataset: Dataset) -> None:
    """Latents, maps of the query particles, labels and poses, as a user may name them."""
    assert dataset.truth is not None
    assert dataset.truth.volumes is not None
    folder.mkdir(exist_ok=True)
    write_pickle(folder / "z.pkl", dataset.truth.embedding)
    np.save(folder / "class_labels.npy", dataset.truth.states)
    for query in dataset.queries:
        volume = dataset.truth.volumes.read(int(dataset.truth.states[query]))
        write_volume(folder / "maps" / f"vol_{query:04d}.mrc", volume, dataset.particles.pixel_size)
    particles = dataset.particles
    assert particles.rotations is not None
    assert particles.shifts is not None
    write_pose_star(folder / "poses.star", particles.rotations, particles.shifts)


def test_a_run_with_what_commands_write_has_no_loose_files(run: Path) -> None:
    assert call("score", run, *METRIC).exit_code == 0
    (run / ".DS_Store").touch()
    assert find_loose_files(load_reconstruction(run)) == []
    assert "did not write" not in call("score", run, *METRIC).output


def test_an_imported_run_has_none_either(dataset: Dataset, tmp_path: Path) -> None:
    write_results(tmp_path / "theirs", dataset)
    options = {"latents": tmp_path / "theirs" / "z.pkl", "volumes": tmp_path / "theirs" / "maps"}
    assert find_loose_files(import_results("files", None, dataset, tmp_path / "run", options=options)) == []


@pytest.mark.parametrize("command", ["score", "report"])
def test_files_beside_a_run_are_named_with_the_import_that_takes_them(
    command: str, dataset: Dataset, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cryobench.report.pages.report.write_report", lambda *_, **__: tmp_path)
    write_results(run, dataset)
    (run / "notes.txt").write_text("of mine")
    (run / "volumes" / "better.mrc").write_bytes(b"")
    given = METRIC if command == "score" else ("-o", tmp_path / "page")
    if command == "report":
        assert call("score", run, *METRIC).exit_code == 0
    found = call(command, run, *given)
    assert found.exit_code == 0, found.output
    named = "class_labels.npy, maps/ (3), notes.txt, poses.star, volumes/ (1), z.pkl"
    assert found.output.count(f"{run} holds files that its run did not write; they are not scored: {named}.") == 1
    words = command_in(found.output)
    assert str(run / "maps") in words  # not the run's own volumes
    assert call(*words).exit_code == 0
    imported = load_reconstruction(Path(f"{run}-imported"))
    for part in ("latents", "posteriors", "rotations", "volumes"):
        assert getattr(imported, part) is not None
    assert imported.name == "run-imported"
    assert imported.record.dataset.sha256 == dataset.card["sha256"]


def test_a_part_that_the_run_lacks_is_loose(run: Path) -> None:
    entries = json.loads((run / "run.json").read_text())
    del entries["parts"]["latents"], entries["parts"]["volumes"]
    (run / "run.json").write_text(json.dumps(entries))
    names = {path.relative_to(run).as_posix() for path in find_loose_files(load_reconstruction(run))}
    assert names == {"latents.npy", *(f"volumes/{query:06d}.mrc" for query in entries["queries"])}


def test_results_without_a_run_are_refused_with_the_import_that_takes_them(dataset: Dataset, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    write_results(mine, dataset)
    for command in (("score", mine), ("report", mine, "-o", tmp_path / "page")):
        found = call(*command, "--dataset", dataset.path)
        assert found.exit_code == 2
        assert f"{mine} is not a run: it has no run.json. It holds class_labels.npy, maps/ (3)" in found.output
    words = command_in(found.output)
    done = call(*words)
    assert done.exit_code == 0, done.output
    assert call("score", f"{mine}-imported", *METRIC).exit_code == 0
    with pytest.raises(FormatError, match="with DATASET the folder of the data set: cryobench import files"):
        load_reconstruction(mine)


def test_a_job_of_a_program_that_is_known_is_refused_with_its_import(dataset: Dataset) -> None:
    found = call("score", JOBS / "train_vae", "--dataset", dataset.path)
    assert found.exit_code == 2
    assert "is not a run but a job of cryodrgn (config.yaml beside z.2.pkl)" in found.output
    assert command_in(found.output)[:3] == ["import", "cryodrgn", str(JOBS / "train_vae")]


def test_files_that_no_import_takes_are_named_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "figure.png").touch()
    with pytest.raises(
        FormatError, match=r"no run\.json\. It holds figure\.png, which were not written by a run and"
    ):
        load_reconstruction(tmp_path)


@pytest.mark.parametrize(
    ("name", "values", "option"),
    [
        ("result.npy", np.zeros((4, 2)), "--latents"),
        ("result.npy", np.zeros(4, int), "--labels"),
        ("result.npy", np.zeros((4, 3, 3)), "--poses"),
        ("cluster-7.npy", np.zeros((4, 2)), "--labels"),
        ("pose.npy", np.zeros((4, 3, 3)), "--poses"),
    ],
)
def test_names_say_what_an_array_is_and_else_its_shape(
    name: str, values: np.ndarray, option: str, tmp_path: Path
) -> None:
    np.save(tmp_path / name, values)
    with pytest.raises(FormatError, match=f"import files {option} "):
        load_reconstruction(tmp_path)


def test_poses_of_cryodrgn_are_poses(tmp_path: Path) -> None:
    write_poses(tmp_path / "poses.pkl", np.eye(3)[None], np.zeros((1, 2)), box_size=8, pixel_size=1.0)
    with pytest.raises(FormatError, match="import files --poses "):
        load_reconstruction(tmp_path)
