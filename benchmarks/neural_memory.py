"""Training on more images than memory holds: peak, bits and speed within each budget, and the cost of a whole run.

python benchmarks/neural_memory.py [--images 100000] [--box 128] [--visits 2000] [--budgets 2GB 8GB] [--width 256]

Each budget in a separate process: images are prepared, in memory or in a file, and --visits of them are visited by
cryodrgn in bfloat16. The particles are two thousand images repeated, each with its own pose, so little is simulated;
prepared images take as much memory as if they all differed.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from cryobench.compute import Compute, parse_memory
from cryobench.compute.meter import Meter
from cryobench.data import ArrayImages, Particles, SelectedImages
from cryobench.imaging.ctf import Ctf
from cryobench.methods.cryodrgn import Cryodrgn
from cryobench.methods.cryodrgn.training import AutoencoderTraining, make_model
from cryobench.reconstruction.engine import RunContext
from cryobench.reconstruction.images import Minibatches
from cryobench.reconstruction.networks import open_images
from cryobench.rotations import rotations_from_quaternions
from machine import describe_machine

DISTINCT = 2000


def make_particles(n: int, box: int) -> Particles:
    """Noise, many times over, each with its own pose and CTF."""
    generator = np.random.default_rng(0)
    images = ArrayImages(generator.standard_normal((min(n, DISTINCT), box, box), dtype=np.float32))
    return Particles(
        images=SelectedImages(images, np.arange(n) % len(images)),
        pixel_size=3.0,
        ctf=Ctf.from_columns(n, defocus_u=generator.uniform(5e3, 2e4, n), defocus_v=1e4, defocus_angle=0.0),
        rotations=rotations_from_quaternions(generator.standard_normal((n, 4))),
        shifts=generator.uniform(-5, 5, (n, 2)),
    )


def train(options: argparse.Namespace, budget: str) -> dict[str, object]:
    """Seconds of preparing and of a visit, peak memory, and a digest of the weights."""
    settings = {"encoder_width": options.width, "decoder_width": options.width}
    method = Cryodrgn.with_settings(settings)
    particles = make_particles(options.images, options.box)
    compute = Compute("cpu", "bfloat16", parse_memory(budget))
    with tempfile.TemporaryDirectory() as folder, Meter() as meter:
        context = RunContext(compute=compute, checkpoint=Path(folder))
        model = make_model(method.settings, options.box, 0)
        start = time.perf_counter()
        images = open_images(
            particles,
            context,
            model.decoder,
            method.settings.batch_size,
            scaled_by="sample",
            n_others=sum(each.numel() for each in model.encoder.parameters()),
        )
        prepared = time.perf_counter() - start
        batches = Minibatches(len(images), method.settings.batch_size, 0)
        training = AutoencoderTraining(model, images, batches, method.settings, compute, 0)
        start = time.perf_counter()
        for step in range(options.visits // method.settings.batch_size):
            training.step(None, step, ())
        visited = time.perf_counter() - start
    digest = hashlib.blake2b(digest_size=8)
    for value in training.tensors().values():
        digest.update(value.detach().numpy().tobytes())
    return {
        "in memory": images.is_in_memory,
        "prepared": prepared,
        "visit": visited / options.visits,
        "peak": meter.readings()["peak_memory_bytes"],
        "digest": digest.hexdigest(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--box", type=int, default=128)
    parser.add_argument("--visits", type=int, default=2000)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--budgets", nargs="*", default=["2GB", "8GB"])
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(train(options, options.one)))
        return
    print(describe_machine())
    print(f"{options.images:,} images of {options.box} px, {options.visits:,} visits, {options.width} x 3")
    sizes = [
        part for name in ("images", "box", "visits", "width") for part in (f"--{name}", str(vars(options)[name]))
    ]
    for budget in options.budgets:
        done = subprocess.run([sys.executable, __file__, *sizes, "--one", budget], capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(done.stderr[-2000:])
        found = json.loads(done.stdout.splitlines()[-1])
        hours = (20 * options.images * found["visit"] + found["prepared"]) / 3600
        held = "in memory" if found["in memory"] else "from a file"
        print(
            f"{budget}: {held}, prepared in {found['prepared']:.0f} s, {1e3 * found['visit']:.1f} ms a visit, "
            f"peak {found['peak'] / 2**30:.2f} GiB, weights {found['digest']}; 20 epochs: {hours:.1f} h",
            flush=True,
        )


if __name__ == "__main__":
    main()
