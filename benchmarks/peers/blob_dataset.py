"""Data set of Gaussian blobs, projected analytically in NumPy, to test conventions without the simulator.

    python benchmarks/peers/blob_dataset.py FOLDER [--particles N] [--box-size N] [--sign {1,-1}]

The object has no symmetry and no mirror plane, shifts reach a tenth of the box, every particle has its own strong
astigmatism and phase shift, there are two voltages, and the table alternates particles of two stacks: a wrong
hand, sign, axis order, unit or order anywhere is detected.
"""

import argparse
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from cryobench.data import GroundTruth, IndexedVolumes, Particles
from cryobench.imaging.ctf import Ctf, evaluate_ctf
from cryobench.io.formats.mrc import MrcStacks, begin_stack
from cryobench.io.store import write_dataset
from cryobench.rotations import sample_uniform_rotation

PIXEL_SIZE = 3.0


def make_blobs(rng: np.random.Generator, box_size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centres (a, 3) in Å, ordered (x, y, z), of a lopsided chain of blobs; widths (a,) in Å; weights (a,)."""
    steps = rng.normal(size=(30, 3)) * [1.0, 0.7, 0.5]
    centres = np.cumsum(steps, axis=0)
    centres -= centres.mean(axis=0)
    centres *= 0.25 * box_size * PIXEL_SIZE / np.abs(centres).max()
    return centres, rng.uniform(0.9, 1.3, 30) * PIXEL_SIZE, rng.uniform(0.5, 1.5, 30)


def render(centres: np.ndarray, widths: np.ndarray, weights: np.ndarray, box_size: int) -> np.ndarray:
    """Volume (z, y, x): each blob is a Gaussian of integral ``weight``."""
    axis = (np.arange(box_size) - box_size // 2) * PIXEL_SIZE
    profiles = gaussian(axis[None, :, None] - centres[:, None, :], widths[:, None, None])
    x, y, z = np.moveaxis(profiles, 2, 0)
    return np.einsum("a,az,ay,ax->zyx", weights, z, y, x) * PIXEL_SIZE


def project(points: np.ndarray, widths: np.ndarray, weights: np.ndarray, box_size: int) -> np.ndarray:
    """Image (y, x) of blobs whose centres in the particle's frame are ``points`` (a, 3), summed along z."""
    axis = (np.arange(box_size) - box_size // 2) * PIXEL_SIZE
    x = gaussian(axis[None] - points[:, :1], widths[:, None])
    y = gaussian(axis[None] - points[:, 1:2], widths[:, None])
    return np.einsum("a,ay,ax->yx", weights, y, x)


def gaussian(distance: np.ndarray, width: np.ndarray) -> np.ndarray:
    return np.exp(-(distance**2) / (2 * width**2)) / np.sqrt(2 * np.pi * width**2)


def apply_ctf(images: np.ndarray, ctf: Ctf) -> np.ndarray:
    """Images (n, y, x) times each particle's CTF in Fourier space."""
    n = images.shape[-1]
    axis = torch.from_numpy(np.fft.fftfreq(n, PIXEL_SIZE))
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    transfer = evaluate_ctf(ctf, torch.stack([x, y], dim=-1)).numpy()
    return np.fft.ifft2(np.fft.fft2(images) * transfer).real


def write_blobs(
    folder: Path, *, particles: int = 4000, box_size: int = 64, sign: Literal[1, -1] = -1, noise: float = 1.0
) -> None:
    """Write a data set of two states. ``noise`` is the variance of the noise over that of the signal."""
    rng = np.random.default_rng(7)
    centres, widths, weights = make_blobs(rng, box_size)
    moved = centres + np.where(np.arange(30) < 8, 6 * PIXEL_SIZE, 0.0)[:, None] * [0.3, -0.5, 0.4]
    states = rng.integers(0, 2, particles)
    rotations = np.stack([sample_uniform_rotation(rng) for _ in range(particles)])
    shifts = rng.uniform(-0.1, 0.1, (particles, 2)) * box_size * PIXEL_SIZE
    mean_defocus = rng.uniform(12_000, 30_000, particles)
    ctf = Ctf.from_columns(
        particles,
        defocus_u=mean_defocus + 8_000,
        defocus_v=mean_defocus - 8_000,
        defocus_angle=rng.uniform(np.pi / 8, 3 * np.pi / 8, particles),
        voltage_kv=np.where(rng.random(particles) < 0.5, 300.0, 200.0),
        phase_shift=rng.uniform(0, np.pi / 2, particles),
    )
    stacks = [folder / "particles" / f"{state:03d}.mrcs" for state in (0, 1)]
    place = np.empty(particles, dtype=np.int64)
    hashes = {}
    for state, (blobs, stack) in enumerate(zip((centres, moved), stacks, strict=True)):
        members = np.flatnonzero(states == state)
        place[members] = np.arange(len(members))
        # x_particle = R x_reference; the shift centres the particle, so its content sits at minus the shift.
        offsets = np.pad(-shifts, [(0, 0), (0, 1)])
        clean = np.stack([project(blobs @ rotations[i].T + offsets[i], widths, weights, box_size) for i in members])
        signal = apply_ctf(clean, ctf[members])
        images = signal + rng.normal(size=signal.shape) * signal.std() * np.sqrt(noise)
        with begin_stack(stack, len(members), box_size, PIXEL_SIZE) as writer:
            writer.append((sign * images).astype(np.float32))
        hashes[stack.relative_to(folder).as_posix()] = writer.sha256
    volumes = np.stack([render(blobs, widths, weights, box_size) for blobs in (centres, moved)])
    write_dataset(
        folder,
        Particles(
            MrcStacks(stacks, file_index=states, image_index=place), PIXEL_SIZE, ctf, rotations, shifts, sign=sign
        ),
        GroundTruth(states, IndexedVolumes(volumes.astype(np.float32), np.arange(2)), rotations, shifts),
        queries=np.array([0, particles - 1]),
        card={"name": "blobs", "recipe": "blobs", "parameters": {"noise": noise}},
        hashes=hashes,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--particles", type=int, default=4000)
    parser.add_argument("--box-size", type=int, default=64)
    parser.add_argument("--sign", type=int, choices=(1, -1), default=-1)
    parser.add_argument("--noise", type=float, default=1.0, help="noise variance over signal variance")
    given = parser.parse_args()
    write_blobs(given.folder, particles=given.particles, box_size=given.box_size, sign=given.sign, noise=given.noise)
    print(f"{given.particles} particles of {given.box_size} px in {given.folder}")


if __name__ == "__main__":
    main()
