"""Time and success rate of volume alignment, compared with a brute-force search with SciPy, in one run.

python benchmarks/alignment.py [--pairs 20] [--brute-pairs 1]

Pairs of volumes of random blobs, as much noise as signal in both (white, variance over all voxels), rotated at
random, shifted by up to 10 px at 64 px along each axis and in proportion at 128, every second one mirrored. Success
is within 1.5 degrees and 0.5 px, with the right hand. Brute force: 4,608 rotations of a copy of 32 px, both hands,
each with the best shift by cross-correlation; then Powell's method on the correlation of the original volumes.
"""

import argparse
import time

import numpy as np
import torch
from scipy import fft, ndimage, optimize
from scipy.spatial.transform import Rotation

from cryobench.fourier import fourier_crop
from cryobench.volumes import align
from machine import describe_machine

MIRROR = np.diag([1.0, 1.0, -1.0])


def make_pair(size: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, bool]:
    """Volume, reference, and the rotation, shift (px) and hand that take one to the other."""
    rng = np.random.default_rng(seed)
    centres = np.clip(rng.normal(0, 0.1 * size, (12, 3)), -0.22 * size, 0.22 * size)
    widths, heights = rng.uniform(0.03, 0.05, 12) * size, rng.uniform(0.5, 1.5, 12)
    rotation = Rotation.from_quat(rng.normal(size=4)).as_matrix()
    shift, mirrored = rng.uniform(-10, 10, 3) * size / 64, bool(seed % 2)

    def draw(places: np.ndarray) -> np.ndarray:
        along = np.exp(-((np.arange(size) - size // 2 - places[..., None]) ** 2) / (2 * widths[:, None, None] ** 2))
        clean = np.einsum("b,bz,by,bx->zyx", heights, along[:, 2], along[:, 1], along[:, 0])
        return (clean + rng.normal(0, clean.std(), clean.shape)).astype(np.float32)

    matrix = rotation @ MIRROR if mirrored else rotation
    return draw(centres), draw(centres @ matrix.T + shift), rotation, shift, mirrored


def is_right(found: tuple, truth: tuple) -> bool:
    """Whether (rotation, shift, mirrored) lies within 1.5 degrees and 0.5 px, and the hand is right."""
    angle = np.rad2deg(np.linalg.norm(Rotation.from_matrix(found[0] @ truth[0].T).as_rotvec()))
    return bool(angle < 1.5 and np.linalg.norm(found[1] - truth[1]) < 0.5 and found[2] == truth[2])


def align_by_brute_force(volume: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, np.ndarray, bool]:
    """Every rotation of a grid on small copies, then a search without derivatives."""
    size, small_size = len(volume), 32
    small, target = (
        fourier_crop(torch.from_numpy(one), small_size, dimensions=3).numpy() for one in (volume, reference)
    )
    target_spectrum = fft.rfftn(target)
    best = (-np.inf, np.eye(3), np.zeros(3), False)
    for rotation in make_grid():
        for mirrored in (False, True):
            matrix = rotation @ MIRROR if mirrored else rotation
            moved = move(small, matrix, np.zeros(3), order=1)
            overlap = fft.irfftn(target_spectrum * fft.rfftn(moved).conj(), s=small.shape)
            at = np.unravel_index(overlap.argmax(), overlap.shape)
            if overlap[at] > best[0]:
                offset = (np.array(at[::-1]) + small_size // 2) % small_size - small_size // 2
                best = (overlap[at], rotation, offset * size / small_size, mirrored)
    _, rotation, shift, mirrored = best

    def lose(parameters: np.ndarray) -> float:
        turned = Rotation.from_rotvec(parameters[:3] / 20).as_matrix() @ rotation
        moved = move(volume, turned @ MIRROR if mirrored else turned, shift + parameters[3:], order=1)
        return -float(np.corrcoef(moved.ravel(), reference.ravel())[0, 1])

    found = optimize.minimize(lose, np.zeros(6), method="Powell", options={"xtol": 0.02, "ftol": 1e-6}).x
    return Rotation.from_rotvec(found[:3] / 20).as_matrix() @ rotation, shift + found[3:], mirrored


def make_grid() -> np.ndarray:
    """4,608 rotations about 15 degrees apart: 192 directions on a spiral, 24 turns about each."""
    index = np.arange(192) + 0.5
    tilt, azimuth = np.arccos(1 - 2 * index / 192), np.pi * (1 + np.sqrt(5)) * index
    turns = np.arange(24) * 2 * np.pi / 24
    angles = [(a, b, c) for a, b in zip(azimuth, tilt, strict=True) for c in turns]
    return Rotation.from_euler("ZYZ", angles).as_matrix()


def move(volume: np.ndarray, matrix: np.ndarray, shift: np.ndarray, *, order: int) -> np.ndarray:
    """x' = matrix x + shift about the centre voxel."""
    back = matrix.T[::-1, ::-1]
    centre = np.full(3, len(volume) // 2)
    return ndimage.affine_transform(volume, back, centre - back @ (centre + shift[::-1]), order=order)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--brute-pairs", type=int, default=1)
    options = parser.parse_args()
    print(describe_machine())
    ours = {}
    for size in (64, 128):
        align(*make_pair(size, 0)[:2])
        times, right = [], []
        for seed in range(options.pairs):
            volume, reference, *truth = make_pair(size, seed)
            start = time.perf_counter()
            found = align(volume, reference)
            times.append(time.perf_counter() - start)
            right.append(is_right((found.rotation, found.shift, found.mirrored), tuple(truth)))
        ours[size] = min(times)
        print(
            f"cryobench, {size} px: {np.median(times):.2f} s a pair (least {min(times):.2f}, most {max(times):.2f}), "
            f"{sum(right)} of {len(right)} right",
            flush=True,
        )
    times, right = [], []
    for seed in range(options.brute_pairs):
        volume, reference, *truth = make_pair(64, seed)
        start = time.perf_counter()
        found = align_by_brute_force(volume, reference)
        times.append(time.perf_counter() - start)
        right.append(is_right(found, tuple(truth)))
    if times:
        print(f"brute force, 64 px: {np.median(times):.1f} s a pair, {sum(right)} of {len(right)} right")
        print(f"ratio {min(times) / ours[64]:.0f}")


if __name__ == "__main__":
    main()
