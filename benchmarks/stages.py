"""CPU time per image of the stages of the linear methods, at the density of directions of a larger data set.

python benchmarks/stages.py DATASET [--images 2048] [--of 100000] [--targets 8] [--columns 150]

DATASET is a folder of cryobench, such as igg-1d at the paper preset with few images. Stages depend on how densely
directions are sampled, so the images are seen from a part of all directions, as many as there would be among so
many images ("of"): the volumes are meaningless, the work is not. One thread; CPU seconds of this process, of a second
call, without what is compiled once. Also the rate of matrix products, which limits the largest stages of recovar.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from cryobench.compute import Compute
from cryobench.data import Particles
from cryobench.imaging.grid import volume_to_fourier
from cryobench.io.store import load_dataset
from cryobench.methods.classification_3d.principal import principal_coordinates
from cryobench.methods.recovar.covariance_columns import accumulate_columns
from cryobench.methods.recovar.mean import estimate_mean
from cryobench.methods.recovar.noise import bound_noise, estimate_noise_outside
from cryobench.methods.recovar.subspace import project_covariance
from cryobench.methods.variability_3d.expectation import VariabilityModel, fit_and_sum
from cryobench.reconstruction.decoders.kernel_regression.bandwidths import KernelSizes, divide_particles
from cryobench.reconstruction.decoders.kernel_regression.regression import _sum_bandwidths
from cryobench.reconstruction.engine import Passes
from cryobench.reconstruction.images import PosedSpectra
from cryobench.reconstruction.statistics import split_halves, sum_classes
from cryobench.volumes.mask import make_largest_sphere
from machine import describe_machine


def turn_into_cap(particles: Particles, of: int, rng: np.random.Generator) -> Particles:
    """The particles with random rotations whose viewing directions are as dense as among ``of`` particles."""
    n = len(particles)
    tilt = np.arccos(1 - rng.random(n) * n / of)
    angles = np.stack([rng.uniform(0, 2 * np.pi, n), tilt, rng.uniform(0, 2 * np.pi, n)], axis=1)
    rotations = Rotation.from_euler("ZYZ", angles).as_matrix().swapaxes(1, 2)
    away = Rotation.from_euler("ZYZ", [0.7, 1.0, 0.3]).as_matrix()  # from the axes of the grid
    return replace(particles, rotations=rotations @ away)


def measure(name: str, n: int, work: Callable[[], Any], channels: int = 1) -> None:
    """Print the CPU time per image of the second of two calls, and per channel."""
    for last in (False, True):
        start = time.process_time()
        work()
        if last:
            each = 1000 * (time.process_time() - start) / n
            per_channel = f", {each / channels:.3f} for each of {channels}" if channels > 1 else ""
            print(f"{name:44s} {each:7.3f} ms an image{per_channel}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset")
    parser.add_argument("--images", type=int, default=2048)
    parser.add_argument("--of", type=int, default=100_000)
    parser.add_argument("--targets", type=int, default=8)
    parser.add_argument("--columns", type=int, default=150)
    parser.add_argument("--components", type=int, default=100)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(describe_machine())
    first, second = torch.randn(128, 8192), torch.randn(128, 256)
    start = time.process_time()
    for _ in range(40):
        torch.matmul(first.T, second)
    rate = 40 * 2 * first.numel() * second.shape[1] / (time.process_time() - start)
    print(f"matrix products of a patch: {rate / 1e9:.0f} GFLOP/s on one thread")

    rng = np.random.default_rng(0)
    whole = load_dataset(options.dataset).particles
    n = min(options.images, len(whole))
    particles = turn_into_cap(whole.select(np.arange(n)), options.of, rng)
    size, radius, halves = particles.box_size, (particles.box_size - 1) // 2, split_halves(n, 0)
    measure("reading and transforming", n, lambda: PosedSpectra(particles, radius, keep_bytes=0))
    passes = Passes(particles, Compute())
    power, sphere = passes.mean_power, make_largest_sphere(size)
    mean = estimate_mean(passes, halves, power, sphere)
    measure("recovar: mean", n, lambda: estimate_mean(passes, halves, power, sphere))
    mean_ft, mask = mean.spectrum(), torch.tensor(np.array(particles.mask)).float()
    measure("recovar: noise", n, lambda: estimate_noise_outside(passes, mean_ft, mask))
    frequencies = np.rint(rng.standard_normal((options.columns, 3)) * 6.5).astype(int)
    columns = (frequencies, mean_ft, mask, power, halves)
    measure("recovar: columns of one pass", n, lambda: accumulate_columns(passes, *columns), options.columns)
    drawn = torch.from_numpy(rng.standard_normal((options.components, size, size, size))).float() * mask
    basis_ft = volume_to_fourier(drawn / torch.linalg.vector_norm(drawn))
    leading = basis_ft[:20]
    measure("recovar: bound of the noise", n, lambda: bound_noise(passes, mean_ft, leading, power))
    measure("recovar: projected covariance", n, lambda: project_covariance(passes, mean_ft, basis_ft, power))
    del basis_ft
    sizes = KernelSizes(min_particles=max(2, n // 160))
    group = [divide_particles(rng.chisquare(10, n), halves, sizes) for _ in range(options.targets)]

    def regress() -> None:
        for _ in _sum_bandwidths(passes, group, halves, power):
            pass

    measure("recovar: sums of kernel regression", n, regress, options.targets)
    noise, ones = power, np.ones(n, dtype=np.float32)
    model = VariabilityModel(volume_to_fourier(drawn[:4]), noise, 0.01, True)
    measure("3dva: an iteration up to Nyquist", n, lambda: passes.run(fit_and_sum, model, own=[ones.astype(float)]))
    classes = np.eye(10, dtype=np.float32)[rng.integers(0, 10, n)]
    measure("3d-class: sums of 10 classes", n, lambda: sum_classes(passes, classes, power))
    low = max(4, radius * 3 // 10)
    measure("3d-class: principal volumes, all passes", n, lambda: principal_coordinates(passes, 12, low, 0))


if __name__ == "__main__":
    main()
