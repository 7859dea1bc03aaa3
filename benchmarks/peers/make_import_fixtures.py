"""Small jobs of cryoDRGN's programs and of drgnai, whose outputs are the fixtures of the importers' tests.

python benchmarks/peers/make_import_fixtures.py WORK --cryodrgn ENVIRONMENT [--older ENVIRONMENT]
                                               [--drgnai ENVIRONMENT]

48 images of 16 px; one or two epochs of networks 16 wide. For every job tests/fixtures/imports/NAME keeps
configuration, latents, weights, poses, and two maps by the tool's own eval_vol, at rows 0 and 7; provenance.txt says
the command. Finished jobs in WORK are not run again.
"""

import argparse
import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
TARGET = HERE.parents[1] / "tests" / "fixtures" / "imports"
ROWS = (0, 7)
SMALL = ["--enc-dim", "16", "--dec-dim", "16", "--enc-layers", "1", "--dec-layers", "1"]
SEARCH = ["--l-start", "3", "--l-end", "7", "--t-extent", "2", "--t-ngrid", "3"]
GIVEN = ["--poses", "data/poses.pkl"]
ABINIT = ["--seed", "1", "--num-epochs", "2", "--epochs-pose-search", "1", "--n-imgs-pretrain", "48", "--niter", "1"]
ABINIT += ["--dim", "16", "--layers", "1", "--pe-dim", "4", "--no-amp", "--num-workers", "0", "--no-analysis"]


def make_data(work: Path) -> None:
    """igg-1d, two states, RELION table and pickles beside it."""
    if (work / "data" / "dataset.json").exists():
        return
    settings = ["n_states=2", "images_per_state=24", "n_queries=2", "box_size=16", "pixel_size=24", "resolution=24"]
    command = [sys.executable, "-m", "cryobench", "simulate", "igg-1d", "-o", str(work / "data"), "--seed", "1"]
    subprocess.run([*command, "--snr", "1", *(part for each in settings for part in ("--set", each))], check=True)


def run_job(work: Path, name: str, command: list[str]) -> None:
    """A program in WORK, by relative paths, unless its latents are there."""
    if not list((work / name).glob("**/[zc]*.pkl")):
        with (work / f"{name}.log").open("w") as log:
            subprocess.run(command, cwd=work, check=True, stdout=log, stderr=log)


def decode(work: Path, name: str, program: str) -> None:
    """Maps by eval_vol at the latents of two rows."""
    folder = work / name
    weights = max(folder.glob("weights.*.pkl"), key=lambda path: int(path.name.split(".")[1]))
    epoch = weights.name.split(".")[1]
    with (folder / f"z.{epoch}.pkl").open("rb") as file:
        latents = np.asarray(pickle.load(file))
    np.savetxt(folder / "rows.txt", latents[list(ROWS)])
    command = [program, "eval_vol", str(weights), "-c", str(folder / "config.yaml"), "-o", str(folder / "maps")]
    subprocess.run([*command, "--zfile", str(folder / "rows.txt")], check=True, capture_output=True)


def keep(work: Path, name: str, folder: Path, maps: list[Path], command: list[str], version: str) -> None:
    """What the tests read, and where it came from."""
    target = TARGET / name
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    weights = [path for path in folder.glob("weights.*.pkl") if int(path.name.split(".")[1]) >= 0]
    last = max(int(path.name.split(".")[1]) for path in weights)
    for path in folder.iterdir():
        if re.fullmatch(rf"(z|conf|weights|pose)\.{last}\.pkl", path.name):
            shutil.copy(path, target)
        elif path.name in ("config.yaml", "drgnai-configs.yaml"):
            said = re.sub(r"/\S+/bin/", "", path.read_text().replace(f"{work}/", ""))
            (target / path.name).write_text(said)
    for row, path in zip(ROWS, maps, strict=True):
        shutil.copy(path, target / f"map-of-row-{row}.mrc")
    shown = " ".join(Path(part).name if part.startswith("/") else part for part in command)
    (target / "provenance.txt").write_text(
        f"{version}, on 48 images of 16 px of igg-1d, made by benchmarks/peers/make_import_fixtures.py:\n{shown}\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--cryodrgn", type=Path, help="environment of cryoDRGN 4.3.1")
    parser.add_argument("--older", type=Path, help="environment of cryoDRGN 3.4.3, whose epochs count from 0")
    parser.add_argument("--drgnai", type=Path, help="environment of drgnai 0.3.2b")
    options = parser.parse_args()
    work = options.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    make_data(work)
    images = ["data/particles.star", "--datadir", "data", "--ctf", "data/ctf.pkl"]
    epochs = ["-n", "2", "-b", "8", "--seed", "1"]
    jobs: dict[str, tuple[Path, list[str]]] = {}
    if options.cryodrgn:
        jobs |= {
            name: (options.cryodrgn, [name, *images, "-o", name, "--zdim", "2", *rest])
            for name, rest in {
                "train_vae": [*GIVEN, *epochs, *SMALL, "--no-amp", "--no-analysis"],
                "train_dec": [*GIVEN, *epochs, "--dim", "16", "--layers", "1", "--no-amp", "--no-analysis"],
                "abinit_het_old": [*epochs, *SMALL, *SEARCH, "--pretrain", "48", "--no-amp", "--no-analysis"],
                "abinit": [*SEARCH, *ABINIT],
            }.items()
        }
    if options.older:
        command = ["train_vae", *images, "-o", "train_vae-3.4", "--zdim", "2", *GIVEN, *epochs, *SMALL]
        jobs["train_vae-3.4"] = (options.older, command)
    for name, (environment, arguments) in jobs.items():
        program = str(environment / "bin" / "cryodrgn")
        run_job(work, name, [program, *arguments])
        decode(work, name, program)
        version = subprocess.run([program, "--version"], capture_output=True, text=True).stdout.strip()
        keep(work, name, work / name, sorted((work / name / "maps").glob("*.mrc")), ["cryodrgn", *arguments], version)
    if options.drgnai:
        name, python = "drgnai", str(options.drgnai / "bin" / "python")
        command = [
            python,
            str(HERE / "run_drgnai.py"),
            name,
            "--particles",
            "data/particles.star",
            "--datadir",
            "data",
        ]
        command += ["--poses", "data/poses.pkl", "--ctf", "data/ctf.pkl", "--epochs", "2", "--seed", "1"]
        command += ["--query", *map(str, ROWS)]
        command += ["--set", "hypervolume_dim=16", "hypervolume_layers=1", "pe_dim=4", "z_dim=2"]
        run_job(work, name, command)
        maps = [work / name / "volumes" / f"{row:06d}.mrc" for row in ROWS]
        keep(work, name, work / name / "out", maps, command, "drgnai 0.3.2b")


if __name__ == "__main__":
    main()
