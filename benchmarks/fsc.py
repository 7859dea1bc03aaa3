"""Time of FSCs at 128 px, compared with a NumPy loop over shells and torch-fourier-shell-correlation, in one run.

python benchmarks/fsc.py [--pairs 100]

One pair of volumes in a mask; and the per-image FSC of a reconstruction, unmasked and masked, every particle with its
own true volume, the worst case. Volumes are in memory.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from torch_fourier_shell_correlation import fourier_shell_correlation

from cryobench.data import ArrayImages, Dataset, GroundTruth, IndexedVolumes, Particles, Reconstruction
from cryobench.imaging.ctf import Ctf
from cryobench.metrics import fsc, per_image_fsc
from machine import describe_machine

BOX = 128


def fsc_by_loop(volume: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The published definition, shell by shell over full spectra."""
    first = np.fft.fftshift(np.fft.fftn(np.fft.ifftshift(volume * mask)))
    second = np.fft.fftshift(np.fft.fftn(np.fft.ifftshift(truth * mask)))
    axis = np.arange(BOX) - BOX // 2
    radius = np.sqrt(axis[:, None, None] ** 2 + axis[None, :, None] ** 2 + axis[None, None, :] ** 2)
    curve = [1.0]
    for shell in range(1, BOX // 2):
        inside = (radius >= shell - 1) & (radius < shell)
        a, b = first[inside], second[inside]
        norm = np.sqrt((abs(a) ** 2).sum() * (abs(b) ** 2).sum())
        curve.append(float((a * b.conj()).sum().real / norm))
    return np.array(curve)


def fsc_by_peer(volume: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The peer's soft shells, of the same two products."""
    return fourier_shell_correlation(torch.from_numpy(volume * mask), torch.from_numpy(truth * mask)).numpy()


def make_reconstruction(n_pairs: int) -> tuple[Reconstruction, Dataset]:
    """As many particles, all queries, in as many states; a few volumes in turn stand for all."""
    volumes = np.random.default_rng(1).standard_normal((6, BOX, BOX, BOX)).astype(np.float32)
    indices = np.arange(n_pairs)
    pose = {"rotations": np.tile(np.eye(3), (n_pairs, 1, 1)), "shifts": np.zeros((n_pairs, 2))}
    particles = Particles(
        images=ArrayImages(np.zeros((n_pairs, BOX, BOX), np.float32)),
        pixel_size=3.0,
        ctf=Ctf.from_columns(n_pairs, defocus_u=1e4, defocus_v=1e4),
        mask=np.full((BOX,) * 3, 0.5, dtype=np.float32),
        **pose,
    )
    truth = GroundTruth(indices, IndexedVolumes(volumes, indices % 3), **pose)
    dataset = Dataset(particles, truth, queries=indices, card={"name": "benchmark"})
    return Reconstruction(indices, volumes=IndexedVolumes(volumes, 3 + indices % 3)), dataset


def best_of(function: Callable[[], object], repeats: int) -> float:
    """Least seconds of several calls."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=100)
    options = parser.parse_args()
    generator = np.random.default_rng(0)
    volume, truth = generator.standard_normal((2, BOX, BOX, BOX)).astype(np.float32)
    mask = np.full_like(volume, 0.5)
    ours = fsc(volume, truth, mask).values
    difference = np.abs(ours - fsc_by_loop(volume, truth, mask)).max()
    fast = best_of(lambda: fsc(volume, truth, mask), 20)
    slow = best_of(lambda: fsc_by_loop(volume, truth, mask), 2)
    peer = best_of(lambda: fsc_by_peer(volume, truth, mask), 2)
    print(describe_machine())
    print(f"cryobench        {fast * 1e3:8.1f} ms per pair of {BOX}³ volumes, mask included")
    print(f"NumPy shell loop {slow * 1e3:8.1f} ms, {slow / fast:.0f} x, largest difference {difference:.1e}")
    print(f"torch-fourier-shell-correlation {peer * 1e3:8.1f} ms, {peer / fast:.0f} x (other shells)")
    reconstruction, dataset = make_reconstruction(options.pairs)
    both = best_of(lambda: per_image_fsc(reconstruction, dataset), 3)
    looped = 2 * options.pairs * slow
    print(
        f"{options.pairs} per-image FSC pairs, unmasked and masked: {both:.2f} s "
        f"(the NumPy loop would take {looped:.0f} s, {looped / both:.0f} x)"
    )


if __name__ == "__main__":
    main()
