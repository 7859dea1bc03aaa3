"""Time and memory of each recipe at the paper preset, compared with real-space rotation, in one run.

    python benchmarks/recipes.py [RECIPE ...] [--structure RECIPE=FILE ...] [--workers N] [--repeats N]

Ours: ``cryobench simulate RECIPE --preset paper``, including start-up, truth, mask, tables and writing, in a separate
process, for two numbers of images. With many images per state both runs make all states, so that their difference
is the cost of images and the rest is fixed; with one image per state (spike-md) both runs have that many frames. The
large run is the whole published set except for spike-md, for which the line through both is extrapolated:

    cost per image at the published number = (T2 - T1) / (N2 - N1) + fixed / published number

Memory is the peak of all processes together (resident, shared pages counted once).

The real-space method is that of the published simulator: rotate the state's volume by trilinear interpolation, sum
along z, shift, CTF, noise, image by image: here at the images' own sampling, and at the finer one on which atoms are
rendered (the published way). spike-md needs a new volume per image: its rendering, by our renderer, is added.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import psutil
import torch

from cryobench.atoms import find_entry, read_structure
from cryobench.fourier import fft_images, frequency_grid, ifft_images
from cryobench.imaging.ctf import Ctf, evaluate_ctf
from cryobench.imaging.shift import shift_images
from cryobench.recipes import get_recipe, list_recipes
from cryobench.recipes.settings import SimulationSettings
from cryobench.recipes.simulate import build_settings
from cryobench.rng import stream
from cryobench.rotations import sample_uniform_rotation
from cryobench.volumes.render import render
from machine import describe_machine

GIB = 2**30


@dataclass(frozen=True)
class Case:
    """How one recipe is timed."""

    published: int
    """Images of the published set."""
    bar: float
    """Most milliseconds per image that are wanted."""
    sizes: tuple[int, int]
    """Numbers of images of the two runs."""
    frames: str | None = None
    """Setting that is the number of images, where each has a structure of its own."""


CASES = {
    "igg-1d": Case(100_000, 1.0, (2_000, 100_000)),
    "igg-rl": Case(100_000, 1.0, (2_000, 100_000)),
    "ribosembly": Case(335_240, 1.0, (2_000, 335_240)),
    "tomotwin-100": Case(100_000, 1.0, (2_000, 100_000)),
    "spike-md": Case(100_000, 12.0, (200, 2_200), frames="n_frames"),
}


@dataclass(frozen=True)
class Measured:
    """One run of the command."""

    images: int
    seconds: float
    peak: int
    """Bytes."""


class PeakMemory(threading.Thread):
    """The most memory a process and its descendants held together, looked at four times a second."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._top, self._over, self.peak = psutil.Process(pid), threading.Event(), 0

    def run(self) -> None:
        while not self._over.wait(0.25):
            total = 0
            for process in [self._top, *self._descendants()]:
                try:
                    total += process.memory_full_info().pss
                except (psutil.NoSuchProcess, psutil.AccessDenied):
                    continue
            self.peak = max(self.peak, total)

    def _descendants(self) -> list[psutil.Process]:
        try:
            return self._top.children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def finish(self) -> None:
        self._over.set()
        self.join()


def simulate(recipe: str, case: Case, images: int, structures: list[str], workers: int) -> Measured:
    """Run the command once on that many images."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "cryobench", "simulate", recipe, "--preset", "paper"]
        command += [part for structure in structures for part in ("--structure", structure)]
        command += ["--set", f"{case.frames}={images}"] if case.frames else ["--particles", f"0:{images}"]
        command += ["--workers", str(workers), "-o", str(Path(folder, "data"))]
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        watch = PeakMemory(process.pid)
        watch.start()
        assert process.stderr is not None
        message = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        watch.finish()
    if process.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{message.decode()}")
    return Measured(images, seconds, max(watch.peak, usage.ru_maxrss * 1024))


def rotate_in_real_space(settings: SimulationSettings, size: int, images: int) -> float:
    """Seconds per image of the real-space way on a volume of ``size`` voxels a side."""
    pixel_size = settings.box_size * settings.pixel_size / size
    generator = stream(0, "benchmark")
    volume = torch.from_numpy(generator.standard_normal((1, 1, size, size, size), dtype=np.float32))
    values = evaluate_ctf(
        Ctf.from_columns(1, defocus_u=15_000.0, defocus_v=14_000.0), frequency_grid(size, 2, pixel_size=pixel_size)
    )
    best = float("inf")
    for _ in range(images):
        start = time.perf_counter()
        rotation = torch.from_numpy(sample_uniform_rotation(generator).astype(np.float32))
        affine = torch.cat([rotation.T, torch.zeros(3, 1)], dim=1)[None]
        grid = torch.nn.functional.affine_grid(affine, [1, 1, size, size, size], align_corners=False)
        rotated = torch.nn.functional.grid_sample(volume, grid, align_corners=False)
        spectrum = fft_images(rotated.sum(dim=2)[:, 0])
        shift = torch.from_numpy(generator.uniform(-30, 30, (1, 2)).astype(np.float32))
        image = ifft_images(shift_images(spectrum, shift, size, pixel_size=pixel_size) * values, size)
        image += torch.from_numpy(generator.standard_normal((1, size, size), dtype=np.float32))
        best = min(best, time.perf_counter() - start)
    return best


def render_frame(settings: SimulationSettings, size: int) -> float:
    """Seconds to render the atoms of the spike on ``size`` voxels a side."""
    spike = read_structure(find_entry("6VXX").path).centred()
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        render(spike, size, settings.box_size * settings.pixel_size / size, settings.resolution)
        best = min(best, time.perf_counter() - start)
    return best


def report(recipe: str, case: Case, structures: list[str], workers: int, repeats: int) -> list[str]:
    """Rows of the table."""
    settings = build_settings(get_recipe(recipe), "paper", {})
    runs = [[simulate(recipe, case, size, structures, workers) for _ in range(repeats)] for size in case.sizes]
    small, large = (min(tried, key=lambda run: run.seconds) for tried in runs)
    slope = (large.seconds - small.seconds) / (large.images - small.images)
    if slope <= 0:
        sys.exit(
            f"{recipe}: {small.images} images took {small.seconds:.1f} s, {large.images} took {large.seconds:.1f} s."
            " The machine was busy, or --sizes lie too close together: there is no cost per image to tell."
        )
    fixed = small.seconds - slope * small.images
    ours = slope + fixed / case.published
    peaks = [max(run.peak for run in tried) / GIB for tried in runs]
    print(
        f"{recipe}: {small.images} images {small.seconds:.1f} s, {large.images} images {large.seconds:.1f} s;"
        f" {slope * 1e3:.3f} ms an image + {fixed:.1f} s; at {case.published} images {ours * 1e3:.3f} ms,"
        f" wanted {case.bar:g} ({'met' if ours * 1e3 <= case.bar else 'MISSED'});"
        f" peak {peaks[0]:.2f} and {peaks[1]:.2f} GiB",
        flush=True,
    )
    cells = [
        recipe,
        str(settings.box_size),
        f"{slope * 1e3:.2f}",
        f"{fixed:.0f}",
        f"{ours * 1e3:.2f}",
        f"{case.bar:g}",
        f"{peaks[0]:.2f}, {peaks[1]:.2f}",
    ]
    for size, images in ((settings.box_size, 10), (settings.box_size * settings.oversampling, 3)):
        if case.frames and size > settings.box_size:
            cells.append("")  # minutes and gigabytes
            continue
        rendering = render_frame(settings, size) if case.frames else 0.0
        peer = rotate_in_real_space(settings, size, images)
        note = f"{size}³ {peer * 1e3:.0f}" + (f" + {rendering * 1e3:.0f} rendering" if rendering else "")
        cells.append(f"{note} ({(peer + rendering) / ours:.0f} x)")
    return ["| " + " | ".join(cells) + " |"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", metavar="RECIPE", nargs="*", help="default: all that are there")
    parser.add_argument("--structure", metavar="RECIPE=FILE", action="append", default=[], help="repeat for more")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=1, help="runs of each size, of which the faster counts")
    parser.add_argument("--sizes", type=int, nargs=2, help="numbers of images of the two runs")
    given = parser.parse_args()
    structures: dict[str, list[str]] = {}
    for pair in given.structure:
        recipe, _, path = pair.partition("=")
        structures.setdefault(recipe, []).append(path)
    chosen = given.recipes or [name for name in CASES if name in list_recipes()]
    print(describe_machine(), flush=True)
    rows = [
        "| recipe, paper preset | px | ms an image | fixed, s | ms per image of the published set | wanted |"
        " peak GiB of the small and the large run |"
        " real space, images' sampling, ms (ratio) | real space, atoms' sampling, ms (ratio) |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for recipe in chosen:
        with tempfile.TemporaryDirectory() as folder:  # compiles the kernels, fills the caches
            command = [
                sys.executable,
                "-m",
                "cryobench",
                "simulate",
                recipe,
                "--preset",
                "tiny",
                "-o",
                f"{folder}/data",
            ]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        case = replace(CASES[recipe], sizes=tuple(given.sizes)) if given.sizes else CASES[recipe]
        rows += report(recipe, case, structures.get(recipe, []), given.workers, given.repeats)
    print("\n".join(["", *rows]))


if __name__ == "__main__":
    main()
