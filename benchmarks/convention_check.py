"""Planted faults: how often the convention check names them first, its cost, and its false alarms.

python benchmarks/convention_check.py [--boxes 32 64] [--snrs 0.05 0.5] [--images 2000] [--optics-box 128]
                                      [--only NAME ... pairs] [--faultless [--recipes NAME ...] | --times]
                                      [--work FOLDER]

A data set is simulated (igg-1d), a fault is planted in its arrays by code independent of the check, and the
check is run. Geometry, images, rows, masks and labels are tested at every box and SNR, faults of the CTF in 128 px
of 3 Å; --optics-box 0 leaves those out. With --faultless, ten unmodified sets of each recipe are checked: tiny, lite
and realistic ones, of several seeds. With --times, 5,000 images of 64 px are checked, then a table of 100,000 of
128 px: 2,000 particles repeated fifty times, since it is sampled anyway. Data sets are kept in FOLDER and reused
the next time.
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from cryobench import simulate
from cryobench.check import check_conventions
from cryobench.data import ArrayImages, Dataset, GroundTruth
from cryobench.imaging.ctf import evaluate_ctf
from cryobench.io.store import load_dataset
from machine import describe_machine

Fault = Callable[[Dataset, np.random.Generator], Dataset]


def _poses(change: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]) -> Fault:
    def plant(dataset: Dataset, generator: np.random.Generator) -> Dataset:
        particles = dataset.particles
        rotations, shifts = change(np.array(particles.rotations), np.array(particles.shifts))
        return replace(dataset, particles=replace(particles, rotations=rotations.copy(), shifts=shifts.copy()))

    return plant


def _images(change: Callable[[np.ndarray, np.random.Generator], np.ndarray]) -> Fault:
    def plant(dataset: Dataset, generator: np.random.Generator) -> Dataset:
        images = dataset.particles.images.read(np.arange(len(dataset.particles)))
        changed = np.ascontiguousarray(change(images, generator), dtype=np.float32)
        return replace(dataset, particles=replace(dataset.particles, images=ArrayImages(changed)))

    return plant


def _ctf(**columns: Callable[[Dataset], np.ndarray]) -> Fault:
    def plant(dataset: Dataset, generator: np.random.Generator) -> Dataset:
        ctf = replace(dataset.particles.ctf, **{name: make(dataset) for name, make in columns.items()})
        return replace(dataset, particles=replace(dataset.particles, ctf=ctf))

    return plant


def _scaled_shifts(factor: Callable[[Dataset], float]) -> Fault:
    def plant(dataset: Dataset, generator: np.random.Generator) -> Dataset:
        shifts = np.array(dataset.particles.shifts) * factor(dataset)
        return replace(dataset, particles=replace(dataset.particles, shifts=shifts))

    return plant


def _shuffle(*parts: str) -> Fault:
    def plant(dataset: Dataset, generator: np.random.Generator) -> Dataset:
        order, particles = generator.permutation(len(dataset.particles)), dataset.particles
        return replace(
            dataset, particles=replace(particles, **{part: getattr(particles, part)[order] for part in parts})
        )

    return plant


def _partly(dataset: Dataset, generator: np.random.Generator) -> Dataset:
    wrong = generator.random(len(dataset.particles)) < 0.3
    order, particles = np.arange(len(wrong)), dataset.particles
    order[wrong] = generator.permutation(order[wrong])
    return replace(
        dataset, particles=replace(particles, rotations=particles.rotations[order], shifts=particles.shifts[order])
    )


def _labels(dataset: Dataset, generator: np.random.Generator) -> Dataset:
    truth = dataset.truth
    return replace(dataset, truth=GroundTruth(generator.permutation(truth.states), truth.volumes))


def _mask(dataset: Dataset, generator: np.random.Generator) -> Dataset:
    mask = np.array(dataset.particles.mask)
    return replace(dataset, particles=replace(dataset.particles, mask=np.roll(mask, len(mask) // 6, axis=2)))


def _contrast(dataset: Dataset, generator: np.random.Generator) -> Dataset:
    return replace(dataset, particles=replace(dataset.particles, sign=-dataset.particles.sign))


def _apply_ctf(dataset: Dataset, change: Callable[[np.ndarray], np.ndarray]) -> Dataset:
    """Images times a function of their CTF, by NumPy's transforms."""
    particles = dataset.particles
    size = particles.box_size
    full, half = np.fft.fftfreq(size, particles.pixel_size), np.fft.rfftfreq(size, particles.pixel_size)
    grid = torch.from_numpy(np.stack(np.meshgrid(half, full, indexing="xy"), axis=-1))
    images = particles.images.read(np.arange(len(particles)))
    for index in range(len(images)):
        transfer = change(evaluate_ctf(particles.ctf[index : index + 1], grid).numpy()[0])
        images[index] = np.fft.irfft2(np.fft.rfft2(images[index]) * transfer, s=(size, size))
    return replace(dataset, particles=replace(particles, images=ArrayImages(images)))


GEOMETRY: dict[str, Fault] = {
    "contrast": _contrast,
    "rotations-transposed": _poses(lambda r, s: (r.transpose(0, 2, 1), s)),
    "rotations-zyx": _poses(lambda r, s: (r[:, ::-1, ::-1], s)),
    "rotations-yxz": _poses(lambda r, s: (r[:, [1, 0, 2]][:, :, [1, 0, 2]], s)),
    "shifts-negated": _poses(lambda r, s: (r, -s)),
    "shifts-exchanged": _poses(lambda r, s: (r, s[:, ::-1])),
    "shifts-x-negated": _poses(lambda r, s: (r, s * [-1, 1])),
    "shifts-in-pixels": _scaled_shifts(lambda d: 1 / d.particles.pixel_size),
    "shifts-in-angstroms": _scaled_shifts(lambda d: d.particles.pixel_size),
    "shifts-in-fractions": _scaled_shifts(lambda d: 1 / d.particles.box_size),
    "shifts-doubled": _scaled_shifts(lambda d: 0.5),
    "shifts-halved": _scaled_shifts(lambda d: 2.0),
    "images-mirrored-x": _images(lambda images, _: images[:, :, ::-1]),
    "images-mirrored-y": _images(lambda images, _: images[:, ::-1]),
    "images-transposed": _images(lambda images, _: images.transpose(0, 2, 1)),
    "images-turned-180": _images(lambda images, _: images[:, ::-1, ::-1]),
    "images-rolled": _images(lambda images, _: np.roll(images, 1, axis=2)),
    "images-background": _images(lambda images, _: images + 0.3 * images.std()),
    "images-not-normalised": _images(lambda images, g: images * g.lognormal(0, 0.7, len(images))[:, None, None]),
    "images-doubled": _images(lambda images, _: np.concatenate([images[:-50], images[:50]])),
    "rows-next": _images(lambda images, _: np.roll(images, 1, axis=0)),
    "rows-reversed": _images(lambda images, _: images[::-1]),
    "poses-next": _poses(lambda r, s: (np.roll(r, -1, axis=0), np.roll(s, -1, axis=0))),
    "poses-shuffled": _shuffle("rotations", "shifts"),
    "poses-partly-wrong": _partly,
    "labels-shuffled": _labels,
    "mask-displaced": _mask,
}
OPTICS: dict[str, Fault] = {
    "ctf-phase-flipped": lambda d, _: _apply_ctf(d, np.sign),
    "ctf-premultiplied": lambda d, _: _apply_ctf(d, lambda transfer: transfer),
    "ctf-defocus-negated": _ctf(
        defocus_u=lambda d: -d.particles.ctf.defocus_u, defocus_v=lambda d: -d.particles.ctf.defocus_v
    ),
    "ctf-defocus-tenfold": _ctf(
        defocus_u=lambda d: d.particles.ctf.defocus_u / 10, defocus_v=lambda d: d.particles.ctf.defocus_v / 10
    ),
    "ctf-angle-turned": _ctf(
        defocus_u=lambda d: d.particles.ctf.defocus_v, defocus_v=lambda d: d.particles.ctf.defocus_u
    ),
    "ctf-angle-negated": _ctf(defocus_angle=lambda d: -d.particles.ctf.defocus_angle),
    "ctf-angle-from-y": _ctf(defocus_angle=lambda d: np.pi / 2 - d.particles.ctf.defocus_angle),
    "ctf-voltage-300": _ctf(voltage_kv=lambda d: np.full(len(d.particles), 200.0)),
    "ctf-next": lambda d, _: replace(
        d, particles=replace(d.particles, ctf=d.particles.ctf[np.roll(np.arange(len(d.particles)), -1)])
    ),
    "ctf-shuffled": _shuffle("ctf"),
    "pixels-double": lambda d, _: replace(
        d, particles=replace(d.particles, pixel_size=d.particles.pixel_size / 2, shifts=d.particles.shifts / 2)
    ),
}
PAIRS = [
    ("rotations-transposed", "shifts-negated"),
    ("contrast", "shifts-exchanged"),
    ("images-mirrored-y", "contrast"),
    ("rotations-zyx", "shifts-in-pixels"),
    ("shifts-halved", "poses-next"),
]


FAULTLESS = {"tiny": 4, "lite": 2, "realistic": 4}
"""How many seeds of each preset."""
FEW: dict[str, Callable[[int], dict[str, int]]] = {
    "igg-1d": lambda images: {"images_per_state": images // 20},
    "igg-rl": lambda images: {"images_per_state": images // 20},
    "ribosembly": lambda images: {"n_images": images},
    "spike-md": lambda images: {"n_frames": images},
    "tomotwin-100": lambda images: {"images_per_structure": images // 20},
}
"""Settings of recipes that make as many images; "custom" is for structures of the user."""


def _simulate(folder: Path, box: int, snr: float, images: int) -> Dataset:
    settings = {
        "n_states": 20,
        "images_per_state": images // 20,
        "box_size": box,
        "pixel_size": 384 / box,
        "resolution": max(384 / box, 6.0),
        "snr": snr,
    }
    if not (folder / "dataset.json").exists():
        simulate("igg-1d", folder, preset="lite", settings=settings)
    return load_dataset(folder)


def _judge(name: str, dataset: Dataset, wanted: set[str]) -> bool:
    began = time.process_time()
    check = check_conventions(dataset)
    found = [fault.name for fault in check.faults]
    named = {next((name for name in wanted if each.startswith(name)), each) for each in found[: len(wanted)]}
    right = named == wanted if wanted else not found
    print(
        "ok " if right else "BAD",
        f"{name:44s} {time.process_time() - began:5.1f} s  {', '.join(found) or 'nothing'}",
        flush=True,
    )
    return right


def _time(name: str, dataset: Dataset) -> None:
    """One check, with the most memory that this process has had so far."""
    cpu, wall = time.process_time(), time.perf_counter()
    check_conventions(dataset)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{name}: {cpu:.1f} s of CPU, {wall:.1f} s on {torch.get_num_threads()} threads, {memory:.2f} GiB", flush=True
    )


def _time_all(work: Path) -> None:
    _time("5,000 of 64 px", _simulate(work / "64-0.1-5000", 64, 0.1, 5000))
    few = _simulate(work / "128-0.05-2000", 128, 0.05, 2000)
    rows = np.tile(np.arange(len(few.particles)), 50)
    truth = few.truth
    many = replace(few, particles=few.particles.select(rows), truth=GroundTruth(truth.states[rows], truth.volumes))
    _time("100,000 of 128 px", many)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--boxes", type=int, nargs="*", default=[32, 64])
    parser.add_argument("--snrs", type=float, nargs="*", default=[0.05, 0.5])
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--optics-box", type=int, default=128)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--faultless", action="store_true")
    parser.add_argument("--times", action="store_true")
    parser.add_argument("--recipes", nargs="*", default=list(FEW))
    parser.add_argument("--work", type=Path)
    options = parser.parse_args()
    print(describe_machine())
    results: list[bool] = []
    with tempfile.TemporaryDirectory() as name:
        work = options.work or Path(name)
        if options.times:
            _time_all(work)
            return
        if options.faultless:
            for recipe in options.recipes:
                for preset, seeds in FAULTLESS.items():
                    for seed in range(seeds):
                        folder = work / f"{recipe}-{preset}-{seed}"
                        if not (folder / "dataset.json").exists():
                            few = {} if preset == "tiny" else FEW[recipe](options.images)
                            simulate(recipe, folder, preset=preset, seed=seed, settings=few)
                        results.append(_judge(f"{recipe} {preset} {seed}", load_dataset(folder), set()))
            print(f"{sum(results)} of {len(results)} faultless sets are quiet")
            return
        for box in options.boxes:
            for snr in options.snrs:
                dataset = _simulate(work / f"{box}-{snr}-{options.images}", box, snr, options.images)
                for fault, plant in GEOMETRY.items():
                    if options.only is None or fault in options.only:
                        planted = plant(dataset, np.random.default_rng(1))
                        results.append(_judge(f"{box} px, SNR {snr}: {fault}", planted, {fault}))
                for first, second in PAIRS if options.only is None or "pairs" in options.only else []:
                    planted = GEOMETRY[second](GEOMETRY[first](dataset, np.random.default_rng(1)), None)
                    results.append(_judge(f"{box} px, SNR {snr}: {first} + {second}", planted, {first, second}))
        for snr in options.snrs if options.optics_box else []:
            dataset = _simulate(
                work / f"{options.optics_box}-{snr}-{options.images}", options.optics_box, snr, options.images
            )
            for fault, plant in OPTICS.items():
                if options.only is None or fault in options.only:
                    planted = plant(dataset, np.random.default_rng(1))
                    results.append(_judge(f"{options.optics_box} px, SNR {snr}: {fault}", planted, {fault}))
    print(f"{sum(results)} of {len(results)} faults are named first")


if __name__ == "__main__":
    main()
