"""cryodrgn2 and cryodrgn-ai compared with cryoDRGN 4.3.1's two programs: ab initio poses, same files, equal epochs.

python benchmarks/ab_initio_peers.py --cryodrgn ENVIRONMENT [--work DIR] [--images 500] [--box 32] [--epochs 12]
                                     [--seeds 3] [--table]

igg-1d of two states at SNR 0.1. The peer (``peers/make_cryodrgn_env.sh``) runs ``abinit_het_old`` (cryoDRGN2) and
``abinit`` (cryoDRGN-AI) with one seed, ours with several, by the published search through the network and by anchors;
all on one thread in float32. The published schedule needs more images, and its search takes hours on a CPU:
all programs therefore use networks of 128 x 3, a learning rate of 1e-3, 5,000 images of pre-training, a search from
radius 8 to that of the box over 576 orientations in two levels, and search in every epoch (cryoDRGN-AI: in all but
a quarter of them). One row per program: median pose error in the best-fitting frame, of either hand; deviation
FSC-AUC at 20 query particles after one alignment; CPU seconds. Cells are kept in ``results/ab_initio_peers.json``.
"""

import argparse
import statistics
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from cells import Cell, Cells, markdown_table, pack_scores
from cryobench.runs.score import HowToScore, score_run
from machine import describe_machine
from neural_peers import call

HERE = Path(__file__).parent
SHOWN = {
    "rotation-error-median": "median rotation error, degrees",
    "deviation-fsc-auc-normalised-masked": "deviation FSC-AUC, normalised, masked",
    "decodability-knn": "decodability, neighbours",
}
LEAD, RATE, WIDTH = 5_000, 1e-3, 128
FIRST, LEVELS, SHIFT, SHIFTS = 8, 2, 5, 7
"""Of the search: first radius, refinements, px, and half as many shifts along an axis."""


def make_dataset(folder: Path, images: int, box: int) -> Path:
    """Two states of igg-1d, unless they are there."""
    if not (folder / "dataset.json").exists():
        settings = {"box_size": box, "pixel_size": 384 / box, "resolution": 384 / box, "n_queries": 20}
        settings |= {"n_states": 2, "images_per_state": images // 2, "shift_extent": 0.5 * SHIFT * 384 / box}
        command = [sys.executable, "-m", "cryobench", "simulate", "igg-1d", "-o", str(folder), "--seed", "1"]
        command += [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
        subprocess.run([*command, "--snr", "0.1"], check=True, stdout=subprocess.DEVNULL)
    return folder


def measure(run: Path, cpu: float) -> Cell:
    """Scores of a run after one alignment, CPU seconds, and the machine."""
    metrics = ("poses", "heterogeneity-fsc", "decodability")
    scores = score_run(run, metrics=metrics, how=HowToScore(align="reconstruction"))[1].scores
    return {"scores": pack_scores(scores, SHOWN), "cpu_seconds": round(cpu), "machine": describe_machine()}


def run_ours(dataset: Path, work: Path, method: str, search: str, box: int, epochs: int, seed: int) -> Cell:
    """One of our methods by the command line."""
    settings: dict[str, object] = {
        "search": search,
        "learning_rate": RATE,
        "pretraining_images": LEAD,
        "first_radius": FIRST,
        "last_radius": box // 2,
        "n_refinements": LEVELS,
        "healpix_nside": 2,
        "shift_range": SHIFT,
        "shift_count": 2 * SHIFTS,
    }
    if method == "cryodrgn2":
        settings |= {"encoder_width": WIDTH, "decoder_width": WIDTH, "search_every": 1, "epochs": epochs}
    else:
        settings |= {"width": WIDTH, "search_epochs": epochs - epochs // 4, "epochs": epochs // 4}
    folder = work / f"{method}-{search}-{seed}"
    command = [sys.executable, "-m", "cryobench", "run", method, str(dataset), "-o", str(folder)]
    command += ["--device", "cpu", "--precision", "float32", "--seed", str(seed)]
    command += [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    return measure(folder, call(command, folder.with_suffix(".log")))


def run_peer(dataset: Path, work: Path, method: str, environment: Path, box: int, epochs: int) -> Cell:
    """A program of the peer, imported and scored as ours."""
    program, job = {"cryodrgn2": "abinit_het_old", "cryodrgn-ai": "abinit"}[method], work / f"{method}-peer"
    command = [str(environment / "bin" / "cryodrgn"), program, str(dataset / "particles.star"), "-o", str(job)]
    command += ["--datadir", str(dataset), "--ctf", str(dataset / "ctf.pkl"), "--seed", "1", "--no-amp"]
    command += ["--lr", str(RATE), "--l-start", str(FIRST), "--l-end", str(box // 2), "--niter", str(LEVELS)]
    command += ["--t-extent", str(SHIFT), "--t-ngrid", str(SHIFTS), "--base-healpy", "1", "--no-analysis"]
    if method == "cryodrgn2":
        command += ["--zdim", "8", "-n", str(epochs), "-b", "8", "--pretrain", str(LEAD), "--ps-freq", "1"]
        command += ["--enc-dim", str(WIDTH), "--dec-dim", str(WIDTH)]
    else:
        command += ["--zdim", "4", "--num-epochs", str(epochs), "--epochs-pose-search", str(epochs - epochs // 4)]
        command += ["--n-imgs-pretrain", str(LEAD), "--dim", str(WIDTH), "--batch-size-hps", "8"]
        command += ["--batch-size-sgd", "32"]
    cpu = call(command, job.with_suffix(".log"))
    run = work / f"{method}-imported"
    command = [sys.executable, "-m", "cryobench", "import", "cryodrgn", str(job), "-d", str(dataset), "-o", str(run)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return measure(run, cpu)


def print_table(cells: Cells, seeds: int) -> None:
    """Each seed's numbers of each program."""
    rows = []
    for method in ("cryodrgn2", "cryodrgn-ai"):
        for kind in ("peer", "network", "anchors"):
            found = [cell for seed in range(1, seeds + 1) if (cell := cells.get(method, kind, str(seed)))]
            if found:
                values = [[cell["scores"].get(name, [None])[0] for cell in found] for name in SHOWN]
                texts = [", ".join("-" if each is None else f"{each:.3g}" for each in row) for row in values]
                cpu = statistics.mean(cell["cpu_seconds"] for cell in found)
                rows.append([method, "cryoDRGN 4.3.1" if kind == "peer" else kind, *texts, f"{cpu:.0f}"])
    print("A number for each seed.\n")
    print(markdown_table(["method", "search", *SHOWN.values(), "s of CPU"], rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cryodrgn", type=Path, help="environment with cryoDRGN 4.3.1")
    parser.add_argument("--work", type=Path, default=Path("ab-initio-peers"))
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--box", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--searches", nargs="*", default=["network", "anchors"])
    parser.add_argument("--results", type=Path, default=HERE / "results" / "ab_initio_peers.json")
    parser.add_argument("--table", action="store_true", help="print what is there and end")
    options = parser.parse_args()
    cells, box, epochs = Cells(options.results), options.box, options.epochs
    if not options.table:
        options.work.mkdir(parents=True, exist_ok=True)
        dataset = make_dataset(options.work / "data", options.images, box)
        for method in ("cryodrgn2", "cryodrgn-ai"):
            if options.cryodrgn is not None:
                make: Callable[[], Cell] = partial(
                    run_peer, dataset, options.work, method, options.cryodrgn, box, epochs
                )
                cells.fill((method, "peer", "1"), make)
            for search in options.searches:
                for seed in range(1, options.seeds + 1):
                    make = partial(run_ours, dataset, options.work, method, search, box, epochs, seed)
                    cells.fill((method, search, str(seed)), make)
    print_table(cells, options.seeds)


if __name__ == "__main__":
    main()
