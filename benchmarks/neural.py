"""An epoch of cryodrgn and cryodrgn-ai-fixed compared with one of the authors' programs, on the same files.

python benchmarks/neural.py [--cryodrgn ENVIRONMENT] [--drgnai ENVIRONMENT] [--dataset DIR] [--box 64]
                            [--per-state 250] [--width 256] [--epochs 3] [--threads N]

cryodrgn is compared with train_vae of cryoDRGN 4.3.1: networks of --width x 3, K = 8, batches of 8.
cryodrgn-ai-fixed is compared with drgnai 0.3.2b with fixed poses: 256 x 3, K = 4, batches of 16. Peers run in their
own environments (``peers/make_cryodrgn_env.sh``; drgnai installed into another such one), in float32, their mode on a
CPU. Wall seconds are those of the fastest epoch in each program's log; CPU seconds, less affected by a busy machine,
are the difference between processes of --epochs + 1 and of one epoch. Without --dataset, igg-1d with two states and
SNR 0.1 is simulated.
"""

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from machine import describe_machine

_OURS = """
import json, sys
from cryobench.data import Convergence
from cryobench.runs.run import run
from cryobench.io.store import load_dataset
method, dataset, folder, settings, precision = sys.argv[1:]
found = run(method, load_dataset(dataset), folder, settings=json.loads(settings), device="cpu", precision=precision)
(convergence,) = (each for each in found.findings if isinstance(each, Convergence))
print(json.dumps([entry["seconds"] for entry in convergence.log]))
"""
HERE = Path(__file__).parent
_TIMES = {
    "cryoDRGN 4.3.1": re.compile(r"Epoch: \d+ .*Finished in (\d+):(\d+):([\d.]+)"),
    "drgnai 0.3.2b": re.compile(r"SGD Epoch: \d+ finished in (\d+):(\d+):([\d.]+)"),
}
Times = tuple[list[float], float]
"""Wall seconds of each epoch, and CPU seconds of the process."""


def make_dataset(folder: Path, per_state: int, box: int) -> Path:
    """igg-1d with two states of so many images."""
    command = [sys.executable, "-m", "cryobench", "simulate", "igg-1d", "-o", str(folder), "--seed", "1"]
    settings = {"n_states": 2, "images_per_state": per_state, "n_queries": 2, "box_size": box}
    settings |= {"pixel_size": 384 / box, "resolution": 384 / box}
    command += [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    subprocess.run([*command, "--snr", "0.1"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return folder


def call(command: list[str], threads: int) -> tuple[str, float]:
    """What a process says, and its CPU seconds."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{command[0]} failed:\n{done.stderr[-3000:]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return done.stdout + done.stderr, cpu


def time_ours(
    method: str, dataset: Path, work: Path, options: argparse.Namespace, epochs: int, precision: str
) -> Times:
    """A training by one of our methods, as `paper` but for the width and batch size of the comparison."""
    settings = {"epochs": epochs}
    if method == "cryodrgn":
        settings |= {"encoder_width": options.width, "decoder_width": options.width, "z_dim": 8, "batch_size": 8}
    folder = work / f"{method}-{precision}-{epochs}"
    command = [sys.executable, "-c", _OURS, method, str(dataset), str(folder), json.dumps(settings), precision]
    said, cpu = call(command, options.threads)
    return json.loads(said.strip().splitlines()[-1]), cpu


def time_peer(name: str, dataset: Path, work: Path, options: argparse.Namespace, epochs: int) -> Times:
    """A training by the program of this name."""
    files = ["--datadir", str(dataset), "--poses", str(dataset / "poses.pkl"), "--ctf", str(dataset / "ctf.pkl")]
    folder = str(work / f"peer-{epochs}")
    if name.startswith("cryoDRGN"):
        command = [str(options.cryodrgn / "bin" / "cryodrgn"), "train_vae", str(dataset / "particles.star"), *files]
        command += ["-o", folder, "--zdim", "8", "-n", str(epochs), "-b", "8", "--no-amp", "--no-analysis"]
        command += [part for part in ("enc-dim", "dec-dim") for part in (f"--{part}", str(options.width))]
    else:
        command = [str(options.drgnai / "bin" / "python"), str(HERE / "peers" / "run_drgnai.py"), folder, *files]
        command += ["--particles", str(dataset / "particles.star"), "--epochs", str(epochs)]
    said, cpu = call(command, options.threads)
    found = [3600 * int(h) + 60 * int(m) + float(s) for h, m, s in _TIMES[name].findall(said)]
    if len(found) < epochs:
        raise SystemExit(f"The log of {name} has no times of {epochs} epochs:\n{said[-3000:]}")
    return found[-epochs:], cpu


def time_epoch(program: Callable[[int], Times], epochs: int) -> tuple[float, float]:
    """Wall and CPU seconds of an epoch of a program that is run for a number of epochs."""
    _, once = program(1)
    walls, more = program(1 + epochs)
    return min(walls), (more - once) / epochs


def compare(method: str, name: str, dataset: Path, work: Path, options: argparse.Namespace) -> None:
    """Print an epoch of both, and the ratios."""
    peer = time_epoch(lambda epochs: time_peer(name, dataset, work, options, epochs), options.epochs)
    print(f"{name} float32      {peer[0]:7.2f} s an epoch, {peer[1]:7.2f} s of CPU", flush=True)
    for precision in ("float32", "bfloat16"):

        def ours(epochs: int, precision: str = precision) -> Times:
            return time_ours(method, dataset, work, options, epochs, precision)

        wall, cpu = time_epoch(ours, options.epochs)
        ratios = f"{peer[0] / wall:.1f} x as fast, {peer[1] / cpu:.1f} x by CPU"
        print(f"{method} {precision:8s} {wall:7.2f} s an epoch, {cpu:7.2f} s of CPU: {ratios}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cryodrgn", type=Path, help="environment with cryoDRGN 4.3.1")
    parser.add_argument("--drgnai", type=Path, help="environment with drgnai 0.3.2b")
    parser.add_argument("--dataset", type=Path, help="a data set that is there, instead")
    parser.add_argument("--box", type=int, default=64)
    parser.add_argument("--per-state", type=int, default=250)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    options = parser.parse_args()
    if options.cryodrgn is None and options.drgnai is None:
        parser.error("--cryodrgn or --drgnai names the environment of a peer")
    print(describe_machine())
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        dataset = options.dataset or make_dataset(work / "data", options.per_state, options.box)
        if options.cryodrgn is not None:
            compare("cryodrgn", "cryoDRGN 4.3.1", dataset, work / "cryodrgn", options)
        if options.drgnai is not None:
            compare("cryodrgn-ai-fixed", "drgnai 0.3.2b", dataset, work / "drgnai", options)


if __name__ == "__main__":
    main()
