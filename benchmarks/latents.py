"""Time and memory of the latent metrics, compared with a double argsort in NumPy and with DADApy, in one run.

    python benchmarks/latents.py [--dadapy FOLDER]

FOLDER is the environment made by ``benchmarks/peers/make_dadapy_env.sh``. Neighbourhood similarity: the published
protocol on 100,000 particles (5 x 20,000 points, 20 radii, 8-D latent), in a separate process for its peak memory;
and 4,000 points at once compared with the double argsort, once for all radii, and again for every radius as in
the published code. Information imbalance: 4,000 points, six k, both directions.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from cryobench.metrics import decodability, information_imbalance, neighbourhood_similarity
from machine import describe_machine

POINTS = 4000
SAMPLE = 400
"""Points of which the slow ways are timed; their time is scaled to all."""
RADII = tuple(range(1, 21))
NEIGHBOURS = (1, 3, 10, 30, 100, 300)
PEER = Path(__file__).parent / "peers" / "ask_dadapy.py"


def make_spaces(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Angle of each particle, one of a hundred; its place on the circle; and an 8-D latent that knows of it."""
    generator = np.random.default_rng(0)
    turn = 2 * np.pi * (np.arange(n) * 100 // n) / 100
    truth = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    latent = np.concatenate([truth, generator.standard_normal((n, 6))], axis=1)
    return turn, truth, latent + 0.3 * generator.standard_normal(latent.shape)


def rank_row(space: np.ndarray, index: int) -> np.ndarray:
    return np.argsort(np.argsort(np.linalg.norm(space - space[index], axis=1), kind="stable"), kind="stable")


def share_once(truth: np.ndarray, latent: np.ndarray, neighbours: np.ndarray, rows: range) -> np.ndarray:
    """Points of rank at most k in both spaces, from one double argsort per point and space."""
    hits = np.zeros(len(neighbours))
    for i in rows:
        ranks = np.maximum(rank_row(truth, i), rank_row(latent, i))
        hits += [(ranks <= k).sum() for k in neighbours]
    return hits / len(rows)


def share_anew(truth: np.ndarray, latent: np.ndarray, neighbours: np.ndarray, rows: range) -> np.ndarray:
    """The same, sorted again for every radius."""
    return np.array([share_once(truth, latent, np.array([k]), rows)[0] for k in neighbours])


def best_of(function: Callable[[], object], repeats: int) -> float:
    """Least seconds of several calls."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def measure_protocol() -> None:
    """Print seconds, and the peak memory in MiB before and after, of the published protocol; for a child process."""
    _, truth, latent = make_spaces(100_000)
    neighbourhood_similarity(truth[:500], latent[:500])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    start, cpu = time.perf_counter(), time.process_time()
    neighbourhood_similarity(truth, latent)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "cpu": cpu, "before": before, "peak": peak}))


def ask_json(command: list[str]) -> dict[str, float]:
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(answer.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--dadapy", type=Path, metavar="FOLDER")
    parser.add_argument("--protocol", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.protocol:
        measure_protocol()
        return
    print(describe_machine())
    found = ask_json([sys.executable, __file__, "--protocol"])
    print(
        f"neighbourhood similarity, 5 x 20,000 points, 20 radii: {found['seconds']:.1f} s ({found['cpu']:.1f} s of "
        f"processor time), peak memory {found['peak']:.0f} MiB, of which {found['before']:.0f} before it began"
    )

    turn, truth, latent = make_spaces(POINTS)
    truth = truth + 0.01 * np.random.default_rng(1).standard_normal(truth.shape)  # no ties: all ways agree
    ours = neighbourhood_similarity(truth, latent, RADII, offsets=1)
    fast = best_of(lambda: neighbourhood_similarity(truth, latent, RADII, offsets=1), 5)
    print(f"neighbourhood similarity, {POINTS} points, 20 radii: {fast:.2f} s")
    hits = share_once(truth, latent, ours.neighbours, range(POINTS))
    difference = np.abs(100 * (hits - 1) / ours.neighbours - ours.similarity).max()
    print(f"  largest difference from a double argsort: {difference:.1e} %")
    for label, way in (("once for all radii", share_once), ("anew for each radius", share_anew)):
        rows = range(0, POINTS, POINTS // SAMPLE)
        slow = best_of(lambda way=way, rows=rows: way(truth, latent, ours.neighbours, rows), 1) * POINTS / SAMPLE
        print(f"  double argsort {label}: {slow:.1f} s (from {SAMPLE} points), {slow / fast:.0f} x")

    information_imbalance(truth, latent, NEIGHBOURS)
    fast = best_of(lambda: information_imbalance(truth, latent, NEIGHBOURS), 5)
    print(f"information imbalance, {POINTS} points, k {NEIGHBOURS}, both directions: {fast:.2f} s")
    if asked.dadapy:
        python = str(asked.dadapy / "bin" / "python")
        peers = [ask_json([python, str(PEER), "--time", str(POINTS), str(k)]) for k in NEIGHBOURS]
        times = [peer["seconds"] for peer in peers]
        peak = max(peer["peak_mib"] for peer in peers)
        each = ", ".join(f"{seconds:.1f}" for seconds in times)
        print(f"  DADApy, a call for each k: {sum(times):.1f} s ({each}), {sum(times) / fast:.0f} x; {peak:.0f} MiB")
    seconds = best_of(lambda: decodability(latent, turn, 2 * np.pi), 3)
    print(f"decodability, {POINTS} points, 8-D latent, one circular variable: {seconds:.2f} s")


if __name__ == "__main__":
    main()
