"""Volumes of coordinate networks: seconds for 20 of 64 px, compared with matrix products and cryoDRGN's decoder.

python benchmarks/decoding.py [--cryodrgn ENVIRONMENT] [--box 64] [--width 256] [--count 20] [--preview 32]
                              [--threads N]

Opening the decoder is included, imports are not. The work is that of the hidden layers at every point of half the
ball (fourier) or of the whole ball (hartley); its ratio to the work of plain products of such matrices in the same
time is the fraction reached. CPU seconds are less affected by a busy machine; on N free cores divide by N. The peer
decodes with an untrained network of the same sizes, in its own environment (``peers/make_cryodrgn_env.sh``).
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch

from cryobench.data import Particles, Reconstruction
from cryobench.reconstruction.decoders.coordinate_network import CoordinateNetworkDecoder, pack_network
from cryobench.reconstruction.engine import RunContext
from cryobench.reconstruction.networks import CoordinateNetwork, NetworkShape
from cryobench.testing.toy import toy_dataset
from machine import describe_machine

_PEER = """
import json, sys, time
import numpy as np, torch
from cryodrgn.lattice import Lattice
from cryodrgn.models import get_decoder
box, width, count = json.loads(sys.argv[1])
lattice = Lattice(box + 1, extent=0.5, device=torch.device("cpu"))
decoder = get_decoder(3 + 8, box + 1, 3, width, "fourier", "gaussian", feat_sigma=0.5).eval()
z = np.random.default_rng(0).standard_normal((count, 8)).astype(np.float32)
wall, cpu = time.perf_counter(), time.process_time()
with torch.no_grad():
    for row in z:
        decoder.eval_volume(lattice.coords, lattice.D, lattice.extent, (0.0, 1.0), row)
print(json.dumps([time.perf_counter() - wall, time.process_time() - cpu]))
"""


def measure(work: Callable[[], object], repeats: int = 3) -> tuple[float, float]:
    """Wall and CPU seconds, each the least of some repeats."""
    found = []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        found.append((time.perf_counter() - wall, time.process_time() - cpu))
    walls, cpus = zip(*found, strict=True)
    return min(walls), min(cpus)


def decode(model: dict[str, np.ndarray], latents: np.ndarray, particles: Particles, box: int) -> None:
    """Open the decoder of a model and make volumes."""
    made = Reconstruction(np.zeros(0, int), model=model)
    decoder = CoordinateNetworkDecoder.open(model, made, particles, RunContext())
    decoder.box_size = box
    for _ in decoder.decode(latents):
        pass


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cryodrgn", type=Path)
    for name, value in (
        ("box", 64),
        ("width", 256),
        ("count", 20),
        ("preview", 32),
        ("threads", os.cpu_count() or 1),
    ):
        parser.add_argument(f"--{name}", type=int, default=value)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(describe_machine())
    left, right = torch.randn(8192, options.width), torch.randn(options.width, options.width)
    _, seconds = measure(lambda: [left @ right for _ in range(50)])
    rate = 50 * 2 * 8192 * options.width**2 / seconds / 1e9
    print(f"matrix products of width {options.width}: {rate:.0f} GFLOP a CPU second")
    particles = toy_dataset(size=options.box, n=2).particles
    latents = np.random.default_rng(0).standard_normal((options.count, 8))
    for domain, share in (("fourier", 0.5), ("hartley", 1.0)):
        model = pack_network(CoordinateNetwork(NetworkShape(options.box, 8, options.width, 3, domain)), 1.0)  # pyright: ignore
        for box in (options.box, options.preview):
            wall, cpu = measure(partial(decode, model, latents, particles, box))
            line = f"{options.count} volumes of {box} px, {domain}: {wall:.2f} s, {cpu:.2f} CPU s"
            if box == options.box:
                points = share * 4 / 3 * np.pi * (box / 2) ** 3
                flop = options.count * points * 3 * 2 * options.width**2
                line += f", {flop / cpu / 1e9 / rate:.0%} of the rate of matrix products"
            print(line)
    if options.cryodrgn:
        environment = {**os.environ, "OMP_NUM_THREADS": str(options.threads), "PYTHONPATH": ""}
        values = json.dumps([options.box, options.width, options.count])
        command = [str(options.cryodrgn / "bin" / "python"), "-c", _PEER, values]
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        if done.returncode:
            sys.exit(f"the peer failed:\n{done.stderr[-2000:]}")
        wall, cpu = json.loads(done.stdout.splitlines()[-1])
        print(f"cryodrgn, {options.count} volumes of {options.box} px: {wall:.2f} s, {cpu:.2f} CPU s")


if __name__ == "__main__":
    main()
