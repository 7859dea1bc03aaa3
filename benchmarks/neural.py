"""An epoch of cryodrgn of this package compared with one of cryoDRGN 4.3.1's train_vae, on the same files: one ratio.

python benchmarks/neural.py --cryodrgn ENVIRONMENT [--dataset DIR] [--box 64] [--per-state 250] [--width 256]
                            [--epochs 3] [--threads N]

The peer runs in its own environment (``peers/make_cryodrgn_env.sh``), in float32, its mode on a CPU.
Networks of --width x 3 in both, K = 8, batches of 8. Wall seconds are those of the fastest epoch in each program's
log; CPU seconds, less affected by a busy machine, are the difference between processes of --epochs + 1 epochs and of
a single epoch. Without --dataset, igg-1d with two states and SNR 0.1 is simulated.
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
settings = json.loads(sys.argv[3])
options = {"settings": settings, "device": "cpu", "precision": sys.argv[4]}
found = run("cryodrgn", load_dataset(sys.argv[1]), sys.argv[2], **options)
(convergence,) = (each for each in found.findings if isinstance(each, Convergence))
print(json.dumps([entry["seconds"] for entry in convergence.log]))
"""
_EPOCH = re.compile(r"Epoch: \d+ .*Finished in (\d+):(\d+):([\d.]+)")


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
    dataset: Path, folder: Path, options: argparse.Namespace, epochs: int, precision: str
) -> tuple[list[float], float]:
    """Seconds of every epoch, and CPU seconds of the process."""
    width = options.width
    settings = {"epochs": epochs, "encoder_width": width, "decoder_width": width, "z_dim": 8, "batch_size": 8}
    command = [sys.executable, "-c", _OURS, str(dataset), str(folder), json.dumps(settings), precision]
    said, cpu = call(command, options.threads)
    return json.loads(said.strip().splitlines()[-1]), cpu


def time_peer(dataset: Path, folder: Path, options: argparse.Namespace, epochs: int) -> tuple[list[float], float]:
    """The same of cryoDRGN."""
    command = [str(options.cryodrgn / "bin" / "cryodrgn"), "train_vae", str(dataset / "particles.star")]
    command += ["--datadir", str(dataset), "--poses", str(dataset / "poses.pkl"), "--ctf", str(dataset / "ctf.pkl")]
    command += ["-o", str(folder), "--zdim", "8", "-n", str(epochs), "-b", "8", "--no-amp", "--no-analysis"]
    command += [part for name in ("enc-dim", "dec-dim") for part in (f"--{name}", str(options.width))]
    said, cpu = call(command, options.threads)
    found = [3600 * int(h) + 60 * int(m) + float(s) for h, m, s in _EPOCH.findall(said)]
    if len(found) != epochs:
        raise SystemExit(f"cryoDRGN's log has no times of {epochs} epochs:\n{said[-3000:]}")
    return found, cpu


def time_epoch(program: Callable[[int], tuple[list[float], float]], epochs: int) -> tuple[float, float]:
    """Wall and CPU seconds of an epoch of a program that is run for a number of epochs."""
    _, once = program(1)
    walls, more = program(1 + epochs)
    return min(walls), (more - once) / epochs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cryodrgn", type=Path, required=True, help="environment of the peer")
    parser.add_argument("--dataset", type=Path, help="a data set that is there, instead")
    parser.add_argument("--box", type=int, default=64)
    parser.add_argument("--per-state", type=int, default=250)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    options = parser.parse_args()
    print(describe_machine())
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        dataset = options.dataset or make_dataset(work / "data", options.per_state, options.box)
        peer = time_epoch(lambda epochs: time_peer(dataset, work / f"peer-{epochs}", options, epochs), options.epochs)
        print(f"cryoDRGN 4.3.1 float32      {peer[0]:7.2f} s an epoch, {peer[1]:7.2f} s of CPU", flush=True)
        for precision in ("float32", "bfloat16"):

            def ours(epochs: int, precision: str = precision) -> tuple[list[float], float]:
                return time_ours(dataset, work / f"{precision}-{epochs}", options, epochs, precision)

            wall, cpu = time_epoch(ours, options.epochs)
            ratios = f"{peer[0] / wall:.1f} x as fast, {peer[1] / cpu:.1f} x by CPU"
            print(
                f"cryobench cryodrgn {precision:8s} {wall:7.2f} s an epoch, {cpu:7.2f} s of CPU: {ratios}", flush=True
            )


if __name__ == "__main__":
    main()
