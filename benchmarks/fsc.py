"""Time of one FSC at 128 px beside a straightforward loop over shells in NumPy, both masked, in one run.

python benchmarks/fsc.py
"""

import time
from collections.abc import Callable

import numpy as np

from cryobench.metrics import fsc
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


def best_of(function: Callable[[], object], repeats: int) -> float:
    """Least seconds of several calls."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    generator = np.random.default_rng(0)
    volume, truth = generator.standard_normal((2, BOX, BOX, BOX)).astype(np.float32)
    mask = np.ones_like(volume)
    ours = fsc(volume, truth, mask).values
    difference = np.abs(ours - fsc_by_loop(volume, truth, mask)).max()
    fast = best_of(lambda: fsc(volume, truth, mask), 10)
    slow = best_of(lambda: fsc_by_loop(volume, truth, mask), 2)
    print(describe_machine())
    print(f"cryobench        {fast * 1e3:8.1f} ms per pair of {BOX}³ volumes, mask included")
    print(f"NumPy shell loop {slow * 1e3:8.1f} ms")
    print(f"ratio            {slow / fast:8.0f}, largest difference {difference:.1e}")


if __name__ == "__main__":
    main()
