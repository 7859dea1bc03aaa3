"""Small tables of particles as other programs write them, for tests of readers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from cryobench.data import Particles
from cryobench.imaging.ctf import Ctf
from cryobench.io.formats.mrc import MrcStacks, begin_stack
from cryobench.io.programs.relion import write_star

SIZE, PIXEL_SIZE = 8, 4.0


def write_stack(path: Path, images: np.ndarray, pixel_size: float = PIXEL_SIZE) -> Path:
    with begin_stack(path, len(images), images.shape[-1], pixel_size) as writer:
        writer.append(images.astype(np.float32))
    return path


def make_ctf(n: int, **replaced: object) -> Ctf:
    values = {"defocus_u": np.linspace(9e3, 2e4, n), "defocus_v": np.linspace(8.5e3, 1.9e4, n), "defocus_angle": 0.4}
    return Ctf.from_columns(n, **(values | replaced))


def make_particles(
    folder: Path, n: int = 6, *, stacks: tuple[str, ...] = ("particles.mrcs",), **replaced
) -> Particles:
    """``n`` noise images in stacks of equal lengths; image i is full of numbers near i."""
    rng = np.random.default_rng(0)
    images = np.arange(n)[:, None, None] + 0.01 * rng.normal(size=(n, SIZE, SIZE))
    paths = [
        write_stack(folder / name, part) for name, part in zip(stacks, np.split(images, len(stacks)), strict=True)
    ]
    parts = {
        "images": MrcStacks(paths),
        "pixel_size": PIXEL_SIZE,
        "ctf": make_ctf(n),
        "rotations": Rotation.random(n, rng=rng).as_matrix(),
        "shifts": rng.uniform(-6, 6, (n, 2)),
        "sign": -1,
    }
    return Particles(**(parts | replaced))


def write_table(folder: Path, n: int = 6, **options) -> Path:
    """A RELION table of such particles."""
    write_star(folder / "particles.star", make_particles(folder, n, **options))
    return folder / "particles.star"


def cs_columns(n: int, path: str = ">particles.mrcs") -> dict[str, np.ndarray]:
    """Fields of a .cs file without poses."""

    def full(value: float) -> np.ndarray:
        return np.full(n, value, "<f4")

    return {
        "uid": np.arange(n, dtype="<u8") * 7919 + 2**63,
        "blob/path": np.array([path.encode()] * n),
        "blob/idx": np.arange(n, dtype="<u4"),
        "blob/shape": np.full((n, 2), SIZE, "<u4"),
        "blob/psize_A": full(PIXEL_SIZE),
        "blob/sign": full(1),
        "ctf/accel_kv": full(300),
        "ctf/cs_mm": full(2.7),
        "ctf/amp_contrast": full(0.1),
        "ctf/df1_A": full(12_000),
        "ctf/df2_A": full(11_000),
        "ctf/df_angle_rad": full(0.3),
        "ctf/phase_shift_rad": full(0),
    }


def save_cs(path: Path, columns: dict[str, np.ndarray]) -> Path:
    n = len(next(iter(columns.values())))
    rows = np.zeros(n, [(name, values.dtype, values.shape[1:]) for name, values in columns.items()])
    for name, values in columns.items():
        rows[name] = values
    with path.open("wb") as file:
        np.save(file, rows)
    return path
