"""Import of a cryoDRGN job of the published size: peak memory, time per volume, and the cost of an interruption.

python benchmarks/importing.py [--particles 100000] [--volumes 20] [--box 128] [--width 1024] [--threads N]
                               [--folder DIR]

The job folder is artificial: a train_vae of cryoDRGN 4 by its file names and tensor names, with random weights and
latents, including the optimiser's state. The data set has that many particles with individual names, in a
stack of zeros that takes no space on most disks. The command itself runs in a separate process: it is
killed when half of the volumes are finished, and called again.
"""

import argparse
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import mrcfile
import numpy as np
import torch
import yaml

from cryobench.data import Particles
from cryobench.imaging.ctf import Ctf
from cryobench.io.formats.mrc import MrcStacks
from cryobench.io.programs.cryodrgn_weights import name_decoder, order_pixels
from cryobench.io.store import load_reconstruction, write_dataset
from cryobench.reconstruction.networks import CoordinateNetwork, NetworkShape
from cryobench.rotations import rotations_from_quaternions
from machine import describe_machine

PIXEL_SIZE, Z_DIM, EPOCH = 3.0, 8, 20


def make_dataset(folder: Path, n: int, count: int, box: int) -> None:
    """Particles without a signal, of which ``count`` are query particles."""
    generator = np.random.default_rng(0)
    folder.mkdir(parents=True)
    with mrcfile.new_mmap(folder / "particles.mrcs", (n, box, box), mrc_mode=2) as stack:
        stack.set_image_stack()
        stack.voxel_size = PIXEL_SIZE
    particles = Particles(
        MrcStacks(folder / "particles.mrcs"),
        PIXEL_SIZE,
        Ctf.from_columns(n, defocus_u=generator.uniform(8e3, 2e4, n), defocus_v=1e4),
        rotations_from_quaternions(generator.standard_normal((n, 4))),
        generator.uniform(-20, 20, (n, 2)),
    )
    queries = np.sort(generator.choice(n, count, replace=False))
    write_dataset(folder, particles, None, queries=queries, card={"name": "benchmark"})


def make_job(folder: Path, dataset: Path, n: int, box: int, width: int) -> None:
    """What ``cryodrgn train_vae -n 20`` leaves of its last epoch."""
    folder.mkdir()
    torch.manual_seed(0)
    network = CoordinateNetwork(NetworkShape(box, Z_DIM, width, 3, "fourier"))
    weights = {name: value.detach().numpy() for name, value in network.state_dict().items()}
    encoder = {"main.0": (width, len(order_pixels(box))), "main.8": (2 * Z_DIM, width)}
    encoder |= {f"main.{place}.linear": (width, width) for place in (2, 4, 6)}
    state = {name: torch.from_numpy(values) for name, values in name_decoder(weights, box, "decoder.").items()}
    state |= {f"encoder.{name}.weight": torch.randn(shape) for name, shape in encoder.items()}
    state |= {f"encoder.{name}.bias": torch.randn(shape[0]) for name, shape in encoder.items()}
    moments = {
        place: {name: torch.randn_like(values) for name in ("exp_avg", "exp_avg_sq")}
        for place, values in enumerate(state.values())
    }
    saved = {"epoch": EPOCH, "model_state_dict": state, "optimizer_state_dict": {"state": moments}}
    torch.save(saved, folder / f"weights.{EPOCH}.pkl")
    generator = np.random.default_rng(1)
    with (folder / f"z.{EPOCH}.pkl").open("wb") as file:
        for _ in ("means", "log-variances"):
            pickle.dump(generator.standard_normal((n, Z_DIM), dtype=np.float32), file)
    entries = {
        "dataset_args": {"particles": str(dataset / "particles.star"), "ind": None, "norm": [0.0, 1.0]},
        "lattice_args": {"D": box + 1},
        "model_args": {"domain": "fourier", "pe_type": "gaussian", "zdim": Z_DIM, "qdim": width},
        "version": "4.3.1",
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(entries), encoding="utf-8")


@dataclass
class Watched:
    """A process of the command, and the volumes that it wrote meanwhile."""

    first: float
    """Seconds to the first volume that it made."""
    volume: float
    """Seconds of a volume after that."""
    wall: float
    cpu: float
    peak: float
    """GiB."""
    files: dict[str, int]
    """Time in ns of each volume of the checkpoint, as last seen."""


def watch(words: list[str], checkpoint: Path, *, stop_at: int | None) -> Watched:
    """Run a command; kill it as soon as there are ``stop_at`` volumes."""
    former = set(_list(checkpoint))
    start, seen, times = time.perf_counter(), {}, []
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    while True:
        done, status, usage = os.wait4(process.pid, os.WNOHANG)
        if done:
            break
        now = _list(checkpoint)
        seen |= now
        times += [time.perf_counter() - start] * (len(seen.keys() - former) - len(times))
        if stop_at is not None and len(now) >= stop_at:
            process.send_signal(signal.SIGKILL)
        time.sleep(0.02)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != (0 if stop_at is None else -signal.SIGKILL):
        raise SystemExit(f"the command ended with {process.returncode}: {' '.join(words)}")
    each = (times[-1] - times[0]) / (len(times) - 1) if len(times) > 1 else float("nan")
    wall, cpu = time.perf_counter() - start, usage.ru_utime + usage.ru_stime
    return Watched(times[0], each, wall, cpu, usage.ru_maxrss / 2**20, seen)


def _list(folder: Path) -> dict[str, int]:
    found = {}
    for path in folder.glob("[0-9]*.mrc"):
        try:
            found[path.name] = path.stat().st_mtime_ns
        except FileNotFoundError:  # the folder is being removed
            continue
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("particles", 100_000), ("volumes", 20), ("box", 128), ("width", 1024)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--folder", type=Path, help="Keep everything here.")
    options = parser.parse_args()
    os.environ |= {"OMP_NUM_THREADS": str(options.threads), "NUMBA_NUM_THREADS": str(options.threads)}
    print(describe_machine())
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or Path(scratch)
        data, job, run = folder / "data", folder / "job", folder / "run"
        make_dataset(data, options.particles, options.volumes, options.box)
        make_job(job, data, options.particles, options.box, options.width)
        words = ["import", "cryodrgn", str(job), "--dataset", str(data), "-o", str(run), "--device", "cpu"]
        words = [sys.executable, "-m", "cryobench", *words]
        half, checkpoint = options.volumes // 2, run / "checkpoint" / "volumes"
        killed = watch(words, checkpoint, stop_at=half)
        kept = _list(checkpoint)
        resumed = watch(words, checkpoint, stop_at=None)
        again = [name for name, written in kept.items() if resumed.files[name] != written]
        found = load_reconstruction(run)
        assert found.volumes is not None
        assert found.latents is not None
        print(f"{options.particles:,} latents, {len(found.volumes)} volumes of {options.box} px, {options.width} x 3")
        for name, each in (("killed", killed), ("resumed", resumed)):
            print(
                f"{name}: first volume after {each.first:.0f} s, {each.volume:.1f} s a volume, {each.wall:.0f} s, "
                f"{each.cpu:.0f} CPU s, peak {each.peak:.2f} GiB"
            )
        print(f"{len(kept)} volumes were there when it was killed, {len(again)} of them were made anew")
        if again or not np.isfinite(found.latents).all():
            raise SystemExit("volumes were made anew, or latents were lost")


if __name__ == "__main__":
    main()
