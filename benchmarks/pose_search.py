"""Pose search: ms per image, compared with cross-correlation by FFT of every orientation, and its accuracy.

python benchmarks/pose_search.py [--dataset DATASET] [--images 128] [--peer-images 2] [--threads N]

From the true volume of the first state: 4,608 orientations and 196 shifts up to radius 12, four refinements up to
the largest radius of the box. The straightforward method uses the same slices and gets all shifts of an orientation
at once from one inverse FFT of the box; it does level 0 only. Without a data set, 1HZH is imaged, 64 px
at SNR 0.1. Poses are also searched starting from the true ones: where that finds no better scores, the remaining
error is due to the noise of the images, not to the search.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from scipy import fft as scipy_fft

from cryobench import simulate
from cryobench.data import Dataset
from cryobench.imaging.half_disc import HalfDisc
from cryobench.imaging.shift_scores import ShiftGrid
from cryobench.io.store import load_dataset
from cryobench.reconstruction.images import Spectra, centre, transform_images
from cryobench.reconstruction.poses import GridSlices, OrientationGrid, PoseSearch, SearchPlan, plan_radii
from cryobench.rotations import geodesic_distance
from machine import describe_machine


def measure(work: Callable[[], object]) -> tuple[float, float]:
    """Wall and CPU seconds, the least of three."""
    found = []
    for _ in range(3):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        found.append((time.perf_counter() - wall, time.process_time() - cpu))
    walls, cpus = zip(*found, strict=True)
    return min(walls), min(cpus)


def correlate_by_fft(search: PoseSearch, source: GridSlices, spectra: Spectra, disc: HalfDisc) -> np.ndarray:
    """The best orientation of level 0 and its shift, image by image, orientation by orientation."""
    slices, _ = search.base_slices(source, 0)
    matched = search.match(spectra, search.plan.radii[0])
    size, best = disc.box_size, []
    index = disc.index[: slices.shape[1]]
    for image in range(len(spectra)):
        scores = []
        for row in slices:
            dense = np.zeros(size * (size // 2 + 1), dtype=np.complex64)
            dense[index] = (row.conj() * matched.data[image]).numpy()
            surface = scipy_fft.irfft2(dense.reshape(size, -1), s=(size, size), workers=1)
            scores.append(surface.max() * size * size / 2 - float((row.abs() ** 2 * matched.weights[image]).sum()))
        best.append(int(np.argmax(scores)))
    return np.array(best)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", type=Path)
    parser.add_argument("--images", type=int, default=128)
    parser.add_argument("--peer-images", type=int, default=2)
    parser.add_argument("--threads", type=int)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        if options.dataset is None:
            made = simulate("custom", Path(folder) / "data", preset="lite", settings={"snr": 0.1})
            run(made, options.images, options.peer_images)
        else:
            run(load_dataset(options.dataset), options.images, options.peer_images)


def run(dataset: Dataset, n_images: int, n_peer: int) -> None:
    """Measure on the first images of a state."""
    truth, particles = dataset.truth, dataset.particles
    assert truth is not None
    assert truth.volumes is not None
    assert truth.rotations is not None
    assert truth.shifts is not None
    chosen = np.flatnonzero(truth.states == 0)[:n_images]
    disc = HalfDisc(particles.box_size, (particles.box_size - 1) // 2)
    spectra = transform_images(particles, chosen, disc)
    source = GridSlices(torch.from_numpy(np.array(truth.volumes.read(0)))[None], disc)
    rotations, shifts = truth.rotations[chosen], truth.shifts[chosen]
    centred = centre(spectra.data, shifts, disc, pixel_size=particles.pixel_size)
    own = source.own(chosen, np.zeros(len(chosen), int), torch.from_numpy(rotations).float(), disc.radius)
    noise = disc.shell_power(centred - own * spectra.ctf).mean(0).numpy() / disc.shell_weights
    noise[0] = np.inf
    extent = float(np.ceil(np.abs(shifts).max() / particles.pixel_size))
    print(describe_machine())
    size, threads = particles.box_size, torch.get_num_threads()
    print(f"{len(chosen)} images of {size} px, shifts up to {extent:g} px, {threads} threads")
    for grid in (ShiftGrid(2 * extent, 14), ShiftGrid(extent, 7)):
        search = PoseSearch(SearchPlan(plan_radii(12, disc.radius, 4), grid), disc, noise)
        found = search.find(source, spectra)
        wall, cpu = measure(lambda search=search: search.find(source, spectra))
        angles = np.degrees(geodesic_distance(found.rotations, rotations))
        distances = np.linalg.norm(found.shifts - shifts / particles.pixel_size, axis=1)
        spacing = np.degrees(OrientationGrid().spacing(4))
        print(
            f"{grid.count**2} shifts: {1e3 * wall / len(chosen):.1f} ms an image, "
            f"{1e3 * cpu / len(chosen):.1f} of CPU; "
            f"median error {np.median(angles):.2f} deg and {np.median(distances):.3f} px, "
            f"{(angles < 2 * spacing).mean():.0%} within twice the last spacing"
        )
        few = spectra.cut(0, n_peer)
        began = time.process_time()
        correlate_by_fft(search, source, few, disc)
        peer = (time.process_time() - began) / n_peer
        began = time.process_time()
        search.survey(source, search.match(spectra))
        level = (time.process_time() - began) / len(chosen)
        print(f"  level 0 alone: {1e3 * level:.1f} ms of CPU; by FFT {1e3 * peer:.0f} ms ({peer / level:.0f} x)")


if __name__ == "__main__":
    main()
