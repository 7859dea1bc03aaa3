"""Time and memory of ``cryobench score`` on a run of the published size, by metric; nothing is simulated.

python benchmarks/scoring.py [--particles 100000] [--volumes 100] [--box 128] [--ab-initio] [--folder DIR]

The data set has that many particles (with one common empty image), states on a circle, each with a volume of blobs;
the run an 8-D latent and a noisy volume per query particle, one in each state. --ab-initio gives it its own poses
in a rotated frame, so that its volumes are aligned first and its poses scored. The time includes everything the
command does: reading, hashing, aligning, measuring, writing. It runs twice: measured, and read from the kept scores.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from cryobench.compute.meter import Meter
from cryobench.data import (
    CollectiveVariable,
    Dataset,
    DatasetIdentity,
    GroundTruth,
    IndexedVolumes,
    Particles,
    Reconstruction,
    RunCost,
    RunRecord,
)
from cryobench.imaging.ctf import Ctf
from cryobench.io.formats.mrc import MrcStacks, begin_stack
from cryobench.io.store import save_reconstruction, write_dataset
from cryobench.metrics import get_metric, list_metrics
from cryobench.metrics.volumes import frames
from cryobench.rotations import rotations_from_quaternions
from cryobench.runs.score import score_run
from cryobench.volumes import Alignment
from machine import describe_machine

PIXEL_SIZE = 3.0


def make_volumes(count: int, box: int) -> np.ndarray:
    """(count, z, y, x): a body, and an arm that goes round it."""
    axis = (np.arange(box) - box // 2) / box

    def blob(x: float, y: float, z: float, width: float) -> np.ndarray:
        parts = [np.exp(-((axis - centre) ** 2) / (2 * width**2)) for centre in (z, y, x)]
        return np.einsum("z,y,x->zyx", *parts).astype(np.float32)

    body = blob(0, 0, 0, 0.06) + blob(0.12, -0.05, 0.03, 0.04) + blob(-0.04, 0.1, -0.12, 0.03)
    turns = 2 * np.pi * np.arange(count) / count
    return np.stack([body + blob(0.2 * np.cos(turn), 0.2 * np.sin(turn), 0.12, 0.035) for turn in turns])


def make_dataset(folder: Path, n: int, count: int, box: int) -> Dataset:
    """A data set on disk whose particles all name one image."""
    generator = np.random.default_rng(0)
    states = generator.permutation(np.arange(n) % count)
    with begin_stack(folder / "particles.mrcs", 1, box, PIXEL_SIZE) as writer:
        writer.append(np.zeros((1, box, box), np.float32))
    zeros = np.zeros(n, dtype=np.int64)
    poses = rotations_from_quaternions(generator.standard_normal((n, 4))), generator.uniform(-20, 20, (n, 2))
    volumes = make_volumes(count, box)
    angle = 2 * np.pi * states / count
    particles = Particles(
        MrcStacks(folder / "particles.mrcs", file_index=zeros, image_index=zeros),
        PIXEL_SIZE,
        Ctf.from_columns(n, defocus_u=generator.uniform(8e3, 2e4, n), defocus_v=1e4),
        *poses,
        mask=np.clip(volumes.max(axis=0) / 0.2, 0, 1),
    )
    truth = GroundTruth(
        states,
        IndexedVolumes(volumes, np.arange(count)),
        *poses,
        embedding=np.stack([np.cos(angle), np.sin(angle)], axis=1),
        variables={"angle": CollectiveVariable(angle, "rad", 2 * np.pi)},
    )
    queries = np.sort(np.unique(states, return_index=True)[1])
    return write_dataset(folder, particles, truth, queries=queries, card={"name": "benchmark"})


def make_run(dataset: Dataset, folder: Path, *, ab_initio: bool) -> None:
    """A run with noise on everything, in a frame of its own if it has poses."""
    truth, generator = dataset.truth, np.random.default_rng(1)
    assert truth is not None
    assert truth.volumes is not None
    n = len(truth)
    turn = rotations_from_quaternions(np.array([[0.7, 0.4, -0.3, 0.5]]))[0]
    frame = Alignment(turn, np.array([9.0, -6.0, 3.0]), False, 1.0, None, PIXEL_SIZE)
    volumes = []
    for query in dataset.queries:
        volume = truth.volume_of(int(query)) + 0.05 * generator.standard_normal((truth.volumes.box_size,) * 3)
        volumes.append(frame.apply(volume) if ab_initio else volume.astype(np.float32))
    latents = (
        np.concatenate([truth.embedding, np.zeros((n, 6))], axis=1) @ np.linalg.qr(generator.normal(size=(8, 8)))[0]
    )
    poses = {}
    if ab_initio:
        wobble = np.concatenate([np.ones((n, 1)), 0.02 * generator.standard_normal((n, 3))], axis=1)
        estimated = rotations_from_quaternions(wobble) @ truth.rotations @ turn.T
        poses = {"rotations": estimated, "shifts": truth.shifts + generator.normal(size=(n, 2))}
    run = Reconstruction(
        dataset.queries,
        IndexedVolumes(np.stack(volumes), np.arange(len(volumes))),
        latents=latents + 0.1 * generator.standard_normal((n, 8)),
        record=RunRecord(
            method="made up",
            cost=RunCost(wall_seconds=1.0),
            dataset=DatasetIdentity(dataset.name, str(dataset.path), dataset.card["sha256"]),
        ),
        **poses,
    )
    save_reconstruction(run, folder, pixel_size=PIXEL_SIZE)


def time_metrics() -> dict[str, float]:
    """Seconds each metric, and the alignment, takes from now on."""
    spent: dict[str, float] = {}

    def timed(function, name):
        def call(*arguments, **options):
            start = time.perf_counter()
            try:
                return function(*arguments, **options)
            finally:
                spent[name] = spent.get(name, 0.0) + time.perf_counter() - start

        return call

    frames.align_all = timed(frames.align_all, "alignment")
    for name in list_metrics():
        metric = get_metric(name)
        metric.measure = timed(metric.measure, name)
        metric.explain_missing = timed(metric.explain_missing, "what is missing")
    return spent


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--particles", type=int, default=100_000)
    parser.add_argument("--volumes", type=int, default=100)
    parser.add_argument("--box", type=int, default=128)
    parser.add_argument("--ab-initio", action="store_true", help="poses of its own, in a frame of its own")
    parser.add_argument("--folder", type=Path, help="where to make the files; default: a temporary folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as temporary:
        base = Path(temporary)
        dataset = make_dataset(base / "data", options.particles, options.volumes, options.box)
        make_run(dataset, base / "run", ab_initio=options.ab_initio)
        del dataset
        print(f"{describe_machine()}\n{options.particles:,} particles, {options.volumes} volumes of {options.box} px")
        spent = time_metrics()
        for words in ("measured", "found again"):
            with Meter() as meter:
                _, scores = score_run(base / "run")
            cost = meter.readings()
            print(
                f"{words}: {cost['wall_seconds']:.1f} s wall, {cost['cpu_seconds']:.1f} s CPU, peak memory "
                f"{cost['peak_memory_bytes'] / 2**30:.2f} GiB, {len(scores.scores)} scores"
            )
            for name, seconds in sorted(spent.items(), key=lambda item: -item[1]):
                print(f"  {name:26} {seconds:7.2f} s")
            spent.clear()
        print("not measured:", ", ".join(scores.context["not_measured"]) or "nothing")


if __name__ == "__main__":
    main()
