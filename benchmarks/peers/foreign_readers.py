"""Do cryoDRGN and recovar read our files, unedited, and back-project them to the right volume?

    python benchmarks/peers/foreign_readers.py [DATASET ...] --cryodrgn ENVIRONMENT --recovar ENVIRONMENT
        [--work FOLDER] [--pipeline] [--write]

The environments are made by ``make_cryodrgn_env.sh`` and ``make_recovar_env.sh``; one suffices. Each program reads,
by its own code and in its own environment, the forms in which a data set lists its particles: particles.star;
poses.pkl and ctf.pkl with the stacks; particles.cs. Its numbers, images and CTF values are compared with ours. Then
it back-projects the particles of one state. FSC of that map with the true volume of the state must exceed 0.9 up to a
third of Nyquist, and must not when the hand, a shift, the contrast, a rotation or the CTF is made wrong on purpose.

Without DATASET it makes three: blobs of 64 px and of 65 px, drawn without the simulator (see ``blob_dataset.py``),
and igg-1d of 64 px with shuffled particles, off-centre, astigmatic, with a B factor. ``--pipeline`` also runs
recovar's command line. ``--write`` puts the tables into docs/foreign-readers.md. Exit status 1 if a check fails.
"""

import argparse
import json
import os
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from blob_dataset import write_blobs
from foreign_report import Report
from wrong_on_purpose import Mistake, make_mistakes

from cryobench import load_dataset, simulate
from cryobench.data import Dataset
from cryobench.io.formats.mrc import MrcStacks

HERE = Path(__file__).parent
DOCUMENT = HERE.parent.parent / "docs" / "foreign-readers.md"
BEGIN, END = "<!-- table: benchmarks/peers/foreign_readers.py --write -->", "<!-- end of table -->"
IGG = {
    "box_size": 64, "pixel_size": 5.0, "resolution": 8.0, "n_states": 2, "images_per_state": 800, "n_queries": 10,
    "snr": 1.0, "b_factor": 100.0, "astigmatism": 8000.0, "shift_extent": 30.0,
}  # fmt: skip


def make_datasets(work: Path) -> list[Path]:
    write_blobs(work / "blobs, 64 px", particles=1600, box_size=64)
    write_blobs(work / "blobs, 65 px", particles=400, box_size=65)
    simulate("igg-1d", work / "igg-1d, 64 px", preset="tiny", settings=IGG)
    return [work / name for name in ("blobs, 64 px", "igg-1d, 64 px", "blobs, 65 px")]


def list_forms(dataset: Dataset, work: Path) -> list[dict]:
    """The forms in which the data set lists its particles: what to read, and poses and CTF if they lie beside it."""
    assert dataset.path is not None
    forms = [{"name": "star", "particles": str(dataset.path / "particles.star"), "poses": None, "ctf": None}]
    if (dataset.path / "poses.pkl").exists():
        pickles = {name: str(dataset.path / f"{name}.pkl") for name in ("poses", "ctf")}
        forms.append({"name": "pickles", "particles": str(list_stacks(dataset, work)), **pickles})
    if (dataset.path / "particles.cs").exists():
        forms.append({"name": "cs", "particles": str(dataset.path / "particles.cs"), "poses": None, "ctf": None})
    return forms


def list_stacks(dataset: Dataset, work: Path) -> Path:
    """A list of the stacks if the particles are in their order, else the table, which alone tells the order."""
    images = dataset.particles.images
    assert isinstance(images, MrcStacks)
    assert dataset.path is not None
    natural = MrcStacks(images.paths)
    in_order = len(natural) == len(images) and all(
        np.array_equal(getattr(natural, name), getattr(images, name)) for name in ("file_index", "image_index")
    )
    if not in_order:
        return dataset.path / "particles.star"
    path = work / "stacks.txt"
    path.write_text("".join(f"{stack}\n" for stack in images.paths))
    return path


def ask(program: str, environment: Path, request: dict, work: Path) -> dict:
    """Let a program answer a request in its own environment."""
    question, answer = work / f"{program}.json", work / f"{program}-answer.json"
    Path(request["out"]).mkdir(parents=True, exist_ok=True)
    question.write_text(json.dumps(request))
    command = [environment / "bin" / "python", HERE / f"ask_{program}.py", question, answer]
    with (work / f"{program}.log").open("w") as log:
        alone = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        done = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, env=alone, check=False)
    if done.returncode != 0:
        sys.exit(f"{program} failed:\n" + "\n".join((work / f"{program}.log").read_text().splitlines()[-30:]))
    return json.loads(answer.read_text())


def examine(folder: Path, environments: dict[str, Path], work: Path, report: Report, *, pipeline: bool) -> None:
    """Let every program read and reconstruct one data set."""
    dataset = load_dataset(folder)
    if dataset.truth is None:
        sys.exit(f"{folder} is blind: it has no truth to compare with.")
    work.mkdir(parents=True)
    particles, size = dataset.particles, dataset.particles.box_size
    state = int(np.argmax(np.bincount(dataset.truth.states[dataset.truth.states >= 0])))
    members = np.flatnonzero(dataset.truth.states == state)
    truth = dataset.truth.volumes.read(state).astype(np.float64)
    (work / "members.pkl").write_bytes(pickle.dumps(members))
    axis = (np.arange(size) - size // 2) / (size * particles.pixel_size)
    y, x = np.meshgrid(axis, axis, indexing="ij")
    grid = np.stack([x.ravel(), y.ravel()], axis=-1)
    np.save(work / "frequencies.npy", grid)
    chosen = np.unique(np.linspace(0, len(particles) - 1, 50).astype(int)).tolist()
    forms = list_forms(dataset, work)
    right = [Mistake("", particles.sign)] * len(forms)
    trials = [(form["name"], form["name"], mistake) for form, mistake in zip(forms, right, strict=True)]
    if size % 2 == 0 and any(form["name"] == "pickles" for form in forms):
        trials += [(mistake.name, "pickles", mistake) for mistake in make_mistakes(dataset, work)]
    select = str(work / "members.pkl")
    request = {
        "frequencies": str(work / "frequencies.npy"),
        "images": chosen,
        "reads": forms,
        "maps": [
            {
                "name": name.replace(" ", "-"), "read": form, "sign": mistake.sign, "select": select,
                "poses": mistake.poses and str(mistake.poses), "ctf": mistake.ctf and str(mistake.ctf),
            }
            for name, form, mistake in trials
        ],
    }  # fmt: skip
    for program, environment in environments.items():
        if pipeline and program == "recovar" and size % 2 == 0:
            request["pipeline"] = {"read": "star", "select": select}
        answer = ask(program, environment, {**request, "out": str(work / program)}, work)
        report.versions[program] = answer["versions"]
        where = {"program": program, "particles": folder.name}
        for form in forms:
            report.add_reading({**where, "form": form["name"]}, answer["reads"][form["name"]], dataset, chosen, grid)
        for name, form, mistake in trials:
            found = answer["maps"][name.replace(" ", "-")]
            row = {**where, "form": form, "wrong": mistake.name}
            report.add_map(row, found, truth, particles.pixel_size, wrong=bool(mistake.name))
        if "pipeline" in answer["maps"]:
            report.add_pipeline(where, answer["maps"]["pipeline"], truth)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datasets", metavar="DATASET", nargs="*", type=Path)
    parser.add_argument("--cryodrgn", metavar="ENVIRONMENT", type=Path)
    parser.add_argument("--recovar", metavar="ENVIRONMENT", type=Path)
    parser.add_argument("--work", type=Path, help="where to leave the programs' files; by default they are removed")
    parser.add_argument("--pipeline", action="store_true", help="also run recovar's command line")
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    parser.add_argument("--write", action="store_true", help=f"replace the tables in {DOCUMENT.name}")
    given = parser.parse_args()
    environments = {name: path for name in ("cryodrgn", "recovar") if (path := getattr(given, name))}
    if not environments:
        parser.error("give --cryodrgn or --recovar, or both")
    report = Report()
    with tempfile.TemporaryDirectory() as temporary:
        work = given.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        for folder in given.datasets or make_datasets(work):
            examine(folder, environments, work / "answers" / folder.name, report, pipeline=given.pipeline)
    print(report.format())
    if given.json:
        given.json.write_text(json.dumps(vars(report), indent=1, default=float))
    if given.write:
        text = DOCUMENT.read_text(encoding="utf-8")
        before, after = text.split(BEGIN)[0], text.split(END)[1]
        DOCUMENT.write_text(f"{before}{BEGIN}\n{report.format()}\n{END}{after}", encoding="utf-8")
    if report.failures:
        sys.exit("FAILED:\n" + "\n".join(report.failures))
    print("\npassed")


if __name__ == "__main__":
    main()
