"""Slice extraction and insertion, compared with torch's grid_sample and torch-fourier-slice, in one run.

    python benchmarks/slices.py [--box-size 128] [--images 64] [--repeats 7]

Times are wall seconds per image, the least of the repeats, which alternate between the programs so that a busy
machine slows all equally. Peers: ``grid_sample`` interpolates real and imaginary part of the full spectrum at the
half-slice's points (its backward pass is the insertion); ``torch-fourier-slice``'s bare extraction and insertion
(numerator and weight together), both on the unpadded grid like our rows "pad 1", and its ``project_3d_to_2d``, which
goes from a volume to images on a grid padded by two, like our row "project" (both in calls of --peer-images).
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from cryobench.fourier import fft_volume, ifft_images
from cryobench.imaging.accumulate import SliceAccumulator
from cryobench.imaging.grid import FourierVolume, volume_to_fourier
from cryobench.imaging.layout import GridLayout
from cryobench.imaging.slices import extract_slices
from machine import describe_machine


def grid_sample_extraction(volume: Tensor, rotations: Tensor) -> Callable[[], Tensor]:
    size = volume.shape[-1]
    spectrum = torch.fft.fftshift(torch.fft.fftn(torch.fft.ifftshift(volume)))
    channels = torch.view_as_real(spectrum).movedim(-1, 0)[None].contiguous()
    axis = torch.arange(size) - size // 2
    y, x = torch.meshgrid(axis, torch.arange(size // 2 + 1), indexing="ij")
    points = torch.stack([x, y, torch.zeros_like(x)], dim=-1).float()

    def extract() -> Tensor:
        positions = (points[None] @ rotations[:, None]) / (size // 2)
        sampled = torch.nn.functional.grid_sample(channels, positions[None], align_corners=False)
        return torch.view_as_complex(sampled[0].movedim(0, -1).contiguous())

    return extract


def grid_sample_insertion(volume: Tensor, rotations: Tensor) -> Callable[[], Tensor]:
    size = volume.shape[-1]
    channels = torch.zeros(1, 2, size, size, size, requires_grad=True)
    axis = torch.arange(size) - size // 2
    y, x = torch.meshgrid(axis, torch.arange(size // 2 + 1), indexing="ij")
    points = torch.stack([x, y, torch.zeros_like(x)], dim=-1).float()
    incoming = torch.randn(1, 2, len(rotations), size, size // 2 + 1)

    def insert() -> Tensor:
        positions = (points[None] @ rotations[:, None]) / (size // 2)
        sampled = torch.nn.functional.grid_sample(channels, positions[None], align_corners=False)
        return torch.autograd.grad(sampled, channels, incoming)[0]

    return insert


def fourier_slice_peers(volume: Tensor, rotations: Tensor) -> dict[str, Callable[[], object]]:
    try:
        import torch_fourier_slice as peer
    except ImportError:
        print("torch-fourier-slice is not installed: left out")
        return {}
    size = volume.shape[-1]
    shifted = torch.fft.fftshift(fft_volume(volume), dim=(-3, -2))
    slices = torch.randn(len(rotations), size, size // 2 + 1, dtype=torch.complex64)
    return {
        "extract, torch-fourier-slice": lambda: peer.extract_central_slices_rfft_3d(shifted, rotations),
        "insert, torch-fourier-slice": lambda: peer.insert_central_slices_rfft_3d(slices, (size,) * 3, rotations),
        "project, torch-fourier-slice": lambda: peer.project_3d_to_2d(volume, rotations),
    }


def project(volume: Tensor, rotations: Tensor) -> Tensor:
    """From a volume to images, the volume's own transform included."""
    return ifft_images(extract_slices(volume_to_fourier(volume, padding=2), rotations), volume.shape[-1])


def our_rows(volume: Tensor, rotations: Tensor) -> dict[str, Callable[[], object]]:
    size, n = volume.shape[-1], len(rotations)
    rows: dict[str, Callable[[], object]] = {}
    slices = torch.randn(n, size, size // 2 + 1, dtype=torch.complex64)
    for padding in (1, 2):
        for kernel in ("trilinear", "wide"):
            grid = volume_to_fourier(volume, kernel=kernel, padding=padding)
            rows[f"extract, {kernel}, pad {padding}"] = lambda grid=grid: extract_slices(grid, rotations)
    for volumes in (8, 16):
        values = torch.randn(*GridLayout(size, 1, "trilinear").shape, volumes, dtype=torch.complex64)
        grid = FourierVolume(values, size)
        rows[f"extract, {volumes} volumes interleaved"] = lambda grid=grid: extract_slices(grid, rotations)
        if volumes == 8:
            apart = [grid[index] for index in range(volumes)]
            rows["extract, 8 volumes one by one"] = lambda apart=apart: [
                extract_slices(each, rotations) for each in apart
            ]
    accumulator, sorted_by_class = SliceAccumulator(size), SliceAccumulator(size, n_volumes=10)
    classes = torch.nn.functional.one_hot(torch.arange(n) % 10, 10).float()
    weights = slices.abs()
    rows["accumulate numerator and weight"] = lambda: accumulator.add(slices, weights, rotations)
    rows["accumulate into 10 classes, one-hot"] = lambda: sorted_by_class.add(
        slices, weights, rotations, class_weights=classes
    )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--box-size", type=int, default=128)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--peer-images", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    print(describe_machine())
    torch.manual_seed(0)
    matrices = Rotation.random(arguments.images, random_state=0).as_matrix().astype(np.float32)
    rotations = torch.from_numpy(matrices)
    few = rotations[: arguments.peer_images]
    volume = torch.randn(*(arguments.box_size,) * 3)
    rows = {name: (row, len(rotations)) for name, row in our_rows(volume, rotations).items()}
    rows["extract, grid_sample"] = (grid_sample_extraction(volume, rotations), len(rotations))
    rows["insert, grid_sample backward"] = (grid_sample_insertion(volume, rotations), len(rotations))
    rows["project, trilinear, pad 2"] = (lambda: project(volume, few), len(few))
    rows |= {name: (row, len(few)) for name, row in fourier_slice_peers(volume, few).items()}
    first, best = {}, {}
    for repeat in range(arguments.repeats):
        for name, (row, n) in rows.items():
            # Called twice and the second time taken: not with the caches and the threads the rival left behind.
            for call in range(2):
                start = time.perf_counter()
                row()
                seconds = time.perf_counter() - start
                if repeat == 0 and call == 0:
                    first[name] = seconds
            best[name] = min(best.get(name, np.inf), seconds / n)
    print(f"{arguments.box_size} px, {torch.get_num_threads()} threads, {arguments.images} images a call")
    print(f"{'':36} {'ms/image':>9} {'ratio':>7} {'first call, s':>14}")
    for name, seconds in best.items():
        own = {"extract": "extract, trilinear, pad 1", "project": "project, trilinear, pad 2"}.get(
            name.partition(",")[0], "accumulate numerator and weight"
        )
        print(f"{name:36} {seconds * 1e3:9.3f} {seconds / best[own]:7.1f} {first[name]:14.2f}")
    eight = best["extract, 8 volumes interleaved"] / best["extract, 8 volumes one by one"]
    print(f"8 interleaved volumes cost {eight:.2f} of 8 single extractions")


if __name__ == "__main__":
    main()
