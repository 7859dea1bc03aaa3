"""Time and memory of making IgG-1D at the paper preset, beside the real-space way of the original simulator.

    python benchmarks/simulation.py [--states N] [--structure FILE] [--workers N]

Ours: ``cryobench simulate igg-1d --preset paper`` in a process of its own, writing included, on the given number of
states (1,000 images each). The real-space way: rotate a 128³ volume by trilinear grid_sample, sum along z, shift, CTF
and noise, image by image as published (there at 256³, eight times the work). Prints both and the ratio.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from cryobench.fourier import fft_images, frequency_grid, ifft_images
from cryobench.imaging.ctf import Ctf, evaluate_ctf
from cryobench.imaging.shift import shift_images
from cryobench.rng import stream
from cryobench.rotations import sample_uniform_rotation
from machine import describe_machine

BOX, PIXEL = 128, 3.0


def time_ours(states: int, structure: str | None, workers: int) -> tuple[float, float, float]:
    """Seconds per image, seconds in all, and the peak GiB of the largest process."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "cryobench", "simulate", "igg-1d", "--preset", "paper"]
        command += ["--structure", structure] if structure else []
        command += ["--workers", str(workers), "--set", f"n_states={states}", "-o", str(Path(folder, "data"))]
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    return seconds / (1000 * states), seconds, peak


def time_real_space(images: int) -> float:
    """Seconds per image of rotating the volume in real space."""
    generator = stream(0, "benchmark")
    volume = torch.from_numpy(generator.standard_normal((1, 1, BOX, BOX, BOX), dtype=np.float32))
    ctf = Ctf.from_columns(1, defocus_u=15_000.0, defocus_v=14_000.0)
    values = evaluate_ctf(ctf, frequency_grid(BOX, 2, pixel_size=PIXEL))
    start = time.perf_counter()
    for _ in range(images):
        rotation = torch.from_numpy(sample_uniform_rotation(generator).astype(np.float32))
        affine = torch.cat([rotation.T, torch.zeros(3, 1)], dim=1)[None]
        grid = torch.nn.functional.affine_grid(affine, [1, 1, BOX, BOX, BOX], align_corners=False)
        rotated = torch.nn.functional.grid_sample(volume, grid, align_corners=False)
        spectrum = fft_images(rotated.sum(dim=2)[:, 0])
        shift = torch.from_numpy(generator.uniform(-30, 30, (1, 2)).astype(np.float32))
        image = ifft_images(shift_images(spectrum, shift, BOX, pixel_size=PIXEL) * values, BOX)
        image += torch.from_numpy(generator.standard_normal((1, BOX, BOX), dtype=np.float32))
    return (time.perf_counter() - start) / images


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--states", type=int, default=10)
    parser.add_argument("--structure")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--peer-images", type=int, default=20)
    arguments = parser.parse_args()
    print(describe_machine())
    time_ours(1, arguments.structure, 1)  # compile and fill caches
    ours, total, peak = time_ours(arguments.states, arguments.structure, arguments.workers)
    peer = time_real_space(arguments.peer_images)
    print(f"images simulated and written: {1000 * arguments.states} of {BOX} px in {total:.1f} s, start-up included")
    print(f"cryobench            {ours * 1e3:9.3f} ms per image, peak memory {peak:.2f} GiB")
    print(f"real-space rotation  {peer * 1e3:9.3f} ms per image (128³, not written)")
    print(f"ratio                {peer / ours:9.0f}")


if __name__ == "__main__":
    main()
