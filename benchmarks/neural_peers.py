"""cryodrgn and cryodrgn-ai-fixed compared with the authors' programs: the same files, equal epochs, the same scores.

python benchmarks/neural_peers.py --cryodrgn ENVIRONMENT [--drgnai ENVIRONMENT] [--work DIR]
                                  [--recipes igg-1d ribosembly] [--images 2000] [--box 32] [--epochs 15]
                                  [--seeds 3] [--table]

Peers run in separate environments (``peers/make_cryodrgn_env.sh``; drgnai 0.3.2b installed into another such one)
on one thread, in float32, their mode on a CPU; ours in float32 and in bfloat16, its default. Networks of 256 x 3;
K = 8 and batches of 8 for cryoDRGN, K = 4 and batches of 16 for cryoDRGN-AI; SNR 0.1; 20 query particles. Cells are
kept in ``results/neural_peers.json`` and not run again; --table only prints them.
"""

import argparse
import os
import pickle
import re
import resource
import statistics
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from cells import Cell, Cells, markdown_table, pack_scores
from cryobench.data import Dataset, IndexedVolumes, Reconstruction, RunRecord
from cryobench.io.formats.mrc import read_volume
from cryobench.io.store import load_dataset
from cryobench.metrics.evaluate import score
from cryobench.runs.run import run
from machine import describe_machine

HERE = Path(__file__).parent
METRICS = ("per-image-fsc", "heterogeneity-fsc", "decodability", "information-imbalance")
SHOWN = {
    "deviation-fsc-auc-normalised-masked": "deviation FSC-AUC, normalised, masked",
    "fsc-auc-masked": "FSC-AUC, masked",
    "decodability-knn": "decodability, neighbours",
    "imbalance-truth-to-latent": "imbalance truth to latent (less is better)",
    "imbalance-latent-to-truth": "imbalance latent to truth (less is better)",
    "imbalance-latent-to-pose": "imbalance latent to pose (1 is best)",
}
CONTROLS = ("truth-backprojection", "consensus", "shuffled-truth")
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
SIZES = {
    "igg-1d": lambda images: {"n_states": 20, "images_per_state": images // 20},
    "ribosembly": lambda images: {"n_images": images},
}


def make_dataset(folder: Path, recipe: str, images: int, box: int) -> Dataset:
    """The recipe in a small box, unless it is there."""
    if not (folder / "dataset.json").exists():
        settings = {"box_size": box, "pixel_size": 384 / box, "resolution": 384 / box, "n_queries": 20}
        settings |= SIZES[recipe](images)
        command = [sys.executable, "-m", "cryobench", "simulate", recipe, "-o", str(folder), "--seed", "1"]
        command += [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
        subprocess.run([*command, "--snr", "0.1"], check=True, stdout=subprocess.DEVNULL)
    return load_dataset(folder)


def measure(found: Reconstruction, dataset: Dataset, cpu: float | None) -> Cell:
    """A cell: scores, CPU seconds, and the machine."""
    scores = score(found, dataset, METRICS).scores
    return {"scores": pack_scores(scores, SHOWN), "cpu_seconds": cpu and round(cpu), "machine": describe_machine()}


def call(command: list[str], log: Path) -> float:
    """CPU seconds of a program that writes to a log."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with log.open("w") as file:
        done = subprocess.run(command, stdout=file, stderr=file, env=ENVIRONMENT)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{command[0]} failed, see {log}:\n{log.read_text()[-2000:]}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def take_volumes(dataset: Dataset, latents: np.ndarray, files: list[Path], method: str) -> Reconstruction:
    """A result of a peer, its files in the order of the query particles."""
    volumes = np.stack([read_volume(path)[0] for path in files]).astype(np.float32)
    record = RunRecord(method=method)
    return Reconstruction(
        dataset.queries, IndexedVolumes(volumes, np.arange(len(files))), latents=latents, record=record
    )


def run_ours(dataset: Dataset, work: Path, method: str, precision: str, seed: int, epochs: int) -> Cell:
    """One of our methods, on one thread as the peers."""
    folder = work / f"{method}-{precision}-{seed}"
    settings = {"epochs": epochs}
    if method == "cryodrgn":
        settings |= {"encoder_width": 256, "decoder_width": 256}
    command = [sys.executable, "-m", "cryobench", "run", method, str(dataset.path), "-o", str(folder)]
    command += ["--device", "cpu", "--precision", precision, "--seed", str(seed)]
    command += [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    cpu = call(command, work / f"{method}-{precision}-{seed}.log")
    found = run(method, dataset, folder, seed=seed, settings=settings, device="cpu", precision=precision)
    return measure(found, dataset, cpu)


def run_cryodrgn(dataset: Dataset, work: Path, environment: Path, seed: int, epochs: int) -> Cell:
    """cryoDRGN's train_vae, and its eval_vol at the query particles."""
    assert dataset.path is not None
    source, folder = dataset.path, work / f"peer-cryodrgn-{seed}"
    program = str(environment / "bin" / "cryodrgn")
    command = [program, "train_vae", str(source / "particles.star"), "--datadir", str(source), "-o", str(folder)]
    command += ["--poses", str(source / "poses.pkl"), "--ctf", str(source / "ctf.pkl"), "--seed", str(seed)]
    command += ["--zdim", "8", "-n", str(epochs), "-b", "8", "--no-amp", "--no-analysis"]
    command += ["--enc-dim", "256", "--dec-dim", "256"]
    cpu = call(command, work / f"peer-cryodrgn-{seed}.log")
    last = max(int(re.findall(r"\d+", path.name)[0]) for path in folder.glob("weights.*.pkl"))
    with (folder / f"z.{last}.pkl").open("rb") as file:
        latents = pickle.load(file)
    np.savetxt(folder / "queries.txt", latents[dataset.queries])
    command = [program, "eval_vol", str(folder / f"weights.{last}.pkl"), "-c", str(folder / "config.yaml")]
    cpu += call(
        [*command, "--zfile", str(folder / "queries.txt"), "-o", str(folder / "volumes")], folder / "eval.log"
    )
    files = sorted((folder / "volumes").glob("*.mrc"))
    return measure(take_volumes(dataset, latents, files, "cryoDRGN 4.3.1"), dataset, cpu)


def run_drgnai(dataset: Dataset, work: Path, environment: Path, seed: int, epochs: int) -> Cell:
    """drgnai with fixed poses, by ``peers/run_drgnai.py``."""
    assert dataset.path is not None
    source, folder = dataset.path, work / f"peer-drgnai-{seed}"
    command = [str(environment / "bin" / "python"), str(HERE / "peers" / "run_drgnai.py"), str(folder)]
    command += ["--particles", str(source / "particles.star"), "--datadir", str(source)]
    command += ["--poses", str(source / "poses.pkl"), "--ctf", str(source / "ctf.pkl")]
    command += ["--epochs", str(epochs), "--seed", str(seed), "--query", *map(str, dataset.queries.tolist())]
    cpu = call(command, work / f"peer-drgnai-{seed}.log")
    files = [folder / "volumes" / f"{particle:06d}.mrc" for particle in dataset.queries.tolist()]
    return measure(take_volumes(dataset, np.load(folder / "latents.npy"), files, "drgnai 0.3.2b"), dataset, cpu)


def run_control(dataset: Dataset, work: Path, name: str) -> Cell:
    """A control, in this process."""
    return measure(run(name, dataset, work / name, device="cpu"), dataset, None)


def print_table(cells: Cells, recipe: str, seeds: int) -> None:
    """Mean over seeds, and their spread, of each program."""
    rows = []
    programs = ("cryodrgn-float32", "cryodrgn-bfloat16", "peer-cryodrgn")
    programs += ("cryodrgn-ai-fixed-float32", "cryodrgn-ai-fixed-bfloat16", "peer-drgnai")
    for name in (*programs, *CONTROLS):
        found = [cell for seed in range(1, seeds + 1) if (cell := cells.get(recipe, name, str(seed))) is not None]
        if not found:
            rows.append([name, *["missing"] * (len(SHOWN) + 1)])
            continue
        texts = []
        for key in SHOWN:
            values = [cell["scores"][key][0] for cell in found if key in cell["scores"]]
            spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
            texts.append(f"{statistics.mean(values):.3f}{spread}" if values else "-")
        spent = [cell["cpu_seconds"] for cell in found if cell["cpu_seconds"]]
        rows.append([f"{name} ({len(found)})", *texts, f"{statistics.mean(spent):.0f}" if spent else "-"])
    print(f"\n{recipe}: mean ± deviation over seeds (their number in brackets)\n")
    print(markdown_table(["program", *SHOWN.values(), "s of CPU"], rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cryodrgn", type=Path, help="environment with cryoDRGN 4.3.1")
    parser.add_argument("--drgnai", type=Path, help="environment with drgnai 0.3.2b")
    parser.add_argument("--work", type=Path, default=Path("neural-peers"))
    parser.add_argument("--recipes", nargs="*", default=list(SIZES), choices=list(SIZES))
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--box", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--precisions", nargs="*", default=["float32", "bfloat16"])
    parser.add_argument("--results", type=Path, default=HERE / "results" / "neural_peers.json")
    parser.add_argument("--table", action="store_true", help="print what is there and end")
    options = parser.parse_args()
    cells = Cells(options.results)
    for seed in range(1, 1 if options.table else options.seeds + 1):
        for recipe in options.recipes:
            work = options.work / recipe
            work.mkdir(parents=True, exist_ok=True)
            dataset = make_dataset(work / "data", recipe, options.images, options.box)
            makers: dict[str, Callable[[], Cell]] = {}
            if seed == 1:
                makers |= {name: partial(run_control, dataset, work, name) for name in CONTROLS}
            for method in ("cryodrgn", "cryodrgn-ai-fixed"):
                for precision in options.precisions:
                    makers[f"{method}-{precision}"] = partial(
                        run_ours, dataset, work, method, precision, seed, options.epochs
                    )
            if options.cryodrgn is not None:
                makers["peer-cryodrgn"] = partial(run_cryodrgn, dataset, work, options.cryodrgn, seed, options.epochs)
            if options.drgnai is not None:
                makers["peer-drgnai"] = partial(run_drgnai, dataset, work, options.drgnai, seed, options.epochs)
            for name, maker in makers.items():
                cells.fill((recipe, name, str(seed)), maker)
    for recipe in options.recipes:
        print_table(cells, recipe, options.seeds)


if __name__ == "__main__":
    main()
