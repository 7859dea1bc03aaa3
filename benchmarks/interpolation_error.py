"""Error of extracted slices against the exact transform of the voxels (FINUFFT), as the table of the documentation.

    python benchmarks/interpolation_error.py [--write]

The molecule: 400 Gaussian blobs (σ = 0.6 voxels) in a ball of 0.7 boxes, box 64, 12 random orientations; its power
reaches Nyquist. With ``--write`` the table replaces the one in docs/interpolation.md.
"""

import argparse
from pathlib import Path

import finufft
import numpy as np
import torch
from scipy.spatial.transform import Rotation

from cryobench.imaging.grid import volume_to_fourier
from cryobench.imaging.slices import extract_slices

BOX = 64
BANDS = ((0.0, 0.3), (0.3, 0.6), (0.6, 0.9), (0.0, 0.9))
"""In units of Nyquist."""
DOCUMENT = Path(__file__).parents[1] / "docs" / "interpolation.md"
BEGIN, END = "<!-- table: benchmarks/interpolation_error.py --write -->", "<!-- end of table -->"


def make_molecule(generator: np.random.Generator, *, uniform: bool) -> np.ndarray:
    """Blobs spread uniformly over the ball (the worst case), or denser towards its centre as proteins are."""
    directions = generator.standard_normal((400, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    radii = (0.35 * BOX - 1.5) * generator.random((400, 1)) ** (1 / 3 if uniform else 1 / 1.5)
    axis = np.arange(BOX) - BOX // 2
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij", sparse=True)
    volume = np.zeros((BOX,) * 3)
    for p in directions * radii:
        volume += np.exp(-((x - p[0]) ** 2 + (y - p[1]) ** 2 + (z - p[2]) ** 2) / (2 * 0.6**2))
    return volume


def measure_errors(volume: np.ndarray, rotations: np.ndarray) -> dict[tuple[str, int], list[float]]:
    y, x = np.meshgrid(np.fft.fftfreq(BOX), np.fft.rfftfreq(BOX), indexing="ij")
    points = 2 * np.pi * (np.stack([x, y, 0 * x], axis=-1).reshape(-1, 3) @ rotations).reshape(-1, 3)
    ordered = (np.ascontiguousarray(points[:, axis]) for axis in (2, 1, 0))
    exact = finufft.nufft3d2(*ordered, volume.astype(np.complex128), eps=1e-10, isign=-1)
    exact = exact.reshape(len(rotations), *x.shape)
    radius = np.hypot(x, y) / 0.5
    errors = {}
    for kernel in ("trilinear", "wide"):
        for padding in (1, 2):
            grid = volume_to_fourier(torch.from_numpy(volume), kernel=kernel, padding=padding)
            slices = extract_slices(grid, torch.from_numpy(rotations)).numpy()
            errors[kernel, padding] = []
            for low, high in BANDS:
                band = (radius >= low) & (radius <= high)
                error = np.linalg.norm((slices - exact)[:, band]) / np.linalg.norm(exact[:, band])
                errors[kernel, padding].append(float(error))
    return errors


def format_table() -> str:
    rotations = Rotation.random(12, random_state=1).as_matrix()
    head = " | ".join(f"{low:g}–{high:g} Nyquist" for low, high in BANDS)
    lines = [f"| molecule | kernel | padding | {head} |", "|---|---|---|" + "---|" * len(BANDS)]
    for name, uniform in (("denser inside", False), ("uniform ball", True)):
        errors = measure_errors(make_molecule(np.random.default_rng(0), uniform=uniform), rotations)
        for (kernel, padding), values in errors.items():
            cells = " | ".join(f"{value:.1e}" for value in values)
            lines.append(f"| {name} | {kernel} | {padding} | {cells} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="replace the table in docs/interpolation.md")
    arguments = parser.parse_args()
    table = format_table()
    print(table)
    if arguments.write:
        text = DOCUMENT.read_text(encoding="utf-8")
        before, after = text.split(BEGIN)[0], text.split(END)[1]
        DOCUMENT.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
