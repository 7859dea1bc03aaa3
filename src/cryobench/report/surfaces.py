"""Isosurfaces of volumes at levels that enclose the same volume, small enough for a page.

Two densities on different scales have no common threshold, so a level is defined by the number of densest voxels it
encloses. Vertices are (x, y, z) in Å about the centre of the box.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import gaussian_filter, map_coordinates
from skimage.measure import marching_cubes
from torch.nn.functional import grid_sample

from cryobench.fourier import fourier_crop

TRUTH_FRACTIONS = (0.08, 0.15, 0.25, 0.4, 0.6)
"""Thresholds of the levels, as fractions of the reference volume's typical density."""
BOX_SIZES = (64, 48, 40, 32, 24, 16)
"""Box sizes to which volumes are reduced, in turn, until their surfaces are small enough."""


@dataclass(frozen=True, eq=False)
class Mesh:
    """A triangle mesh; empty where the level has no surface."""

    vertices: np.ndarray
    """(v, 3) Å, (x, y, z)."""
    faces: np.ndarray
    """(f, 3) indices of vertices."""


def typical_density(volume: np.ndarray) -> float:
    """Σv³ / Σv² over the positive voxels: the density inside a molecule, however little of the box it fills."""
    positive = np.clip(volume, 0, None).astype(np.float64)
    squared = float(np.square(positive).sum())
    return float((positive**3).sum()) / squared if squared > 0 else 0.0


def choose_enclosed(reference: np.ndarray) -> np.ndarray:
    """Fractions of the box that the levels enclose, largest first, from thresholds in the reference volume."""
    typical = typical_density(reference)
    if typical <= 0:
        return np.array([0.1, 0.06, 0.03, 0.02, 0.01])
    return np.array([float((reference > fraction * typical).mean()) for fraction in TRUTH_FRACTIONS])


def level_enclosing(volume: np.ndarray, fraction: float) -> float:
    """Threshold exceeded by this fraction of the voxels."""
    return float(np.quantile(volume, 1 - fraction))


def reduce_volume(volume: np.ndarray, box_size: int) -> np.ndarray:
    """The volume Fourier-cropped to a box of at most ``box_size`` voxels."""
    volume = np.ascontiguousarray(volume, dtype=np.float32)
    if volume.shape[-1] <= box_size:
        return volume
    return fourier_crop(torch.from_numpy(volume.copy()), box_size, dimensions=3).numpy()


def extract_surface(volume: np.ndarray, level: float, voxel_size: float) -> Mesh:
    """Closed isosurface in Å by marching cubes (Lewiner); surfaces that leave the box are closed at its faces."""
    low, high = float(volume.min()), float(volume.max())
    if not low < level < high:
        return Mesh(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int64))
    padded = np.pad(volume, 1, constant_values=low)
    vertices, faces, _, _ = marching_cubes(padded, level)
    centred = (vertices[:, ::-1] - 1 - volume.shape[-1] // 2) * voxel_size
    return Mesh(centred.astype(np.float32), faces.astype(np.int64))


def extract_surfaces(
    volume: np.ndarray, pixel_size: float, enclosed: Sequence[float] | np.ndarray, *, most_faces: int
) -> list[Mesh]:
    """One mesh per level, from the volume reduced until all together have at most ``most_faces`` triangles."""
    full = volume.shape[-1]
    meshes: list[Mesh] = []
    for box_size in BOX_SIZES:
        if box_size > full and box_size != BOX_SIZES[-1]:
            box_size = full
        reduced = reduce_volume(volume, box_size)
        voxel_size = pixel_size * full / reduced.shape[-1]
        meshes = [extract_surface(reduced, level_enclosing(reduced, f), voxel_size) for f in enclosed]
        if sum(len(mesh.faces) for mesh in meshes) <= most_faces:
            break
    return meshes


def pack_mesh(mesh: Mesh, half_width: float) -> dict[str, str | int]:
    """A mesh for the page: base64 of little-endian uint16 vertices over ±``half_width`` Å and uint16/32 faces."""
    scaled = np.clip((mesh.vertices + half_width) / (2 * half_width), 0, 1) * 65535
    width = 2 if len(mesh.vertices) <= 65536 else 4
    return {
        "vertices": base64.b64encode(scaled.round().astype("<u2").tobytes()).decode("ascii"),
        "faces": base64.b64encode(mesh.faces.astype(f"<u{width}").tobytes()).decode("ascii"),
        "index_bytes": width,
        "count": len(mesh.faces),
    }


def shade_surface(volume: np.ndarray, level: float, *, size: int = 160) -> np.ndarray:
    """Orthographic picture (size, size) in [0, 1] of an isosurface seen from a fixed oblique view; NaN is background.

    Shows the first crossing of the level along each ray, lit from the upper left. For paper figures and browsers
    without WebGL.
    """
    box_size = volume.shape[-1]
    tilt, turn = np.deg2rad(62.0), np.deg2rad(35.0)
    about_z = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(tilt), np.sin(tilt)], [0, -np.sin(tilt), np.cos(tilt)]])
    # Rays run from the viewer (first axis), rows from the top, columns from the left; ndimage counts (z, y, x).
    n_depths = min(size, round(1.4 * box_size))  # the crossing is interpolated between steps
    steps = np.array([-box_size / n_depths, -box_size / size, box_size / size])
    to_volume = (about_x @ about_z).T[::-1, ::-1] * steps
    shape = (n_depths, size, size)
    offset = np.full(3, box_size // 2) - to_volume @ ((np.array(shape) - 1) / 2)
    turned = _sample(volume, to_volume, offset, shape)
    above = turned > level
    seen = above.any(axis=0)
    rows, columns = np.nonzero(seen)
    first = above.argmax(axis=0)[seen]
    here, before = turned[first, rows, columns], turned[np.maximum(first - 1, 0), rows, columns]
    depth = first - np.where(here > before, (here - level) / np.maximum(here - before, 1e-12), 0)
    position = to_volume @ np.stack([depth, rows, columns]) + offset[:, None]
    gradient = np.stack(
        [map_coordinates(part, position, order=1) for part in np.gradient(gaussian_filter(volume, 0.7))]
    )
    normal = -gradient / np.maximum(np.linalg.norm(gradient, axis=0), 1e-12)
    lamp = to_volume / steps @ np.array([0.43, 0.5, -0.75])  # towards the viewer, up, left
    light = 0.35 + 0.6 * np.clip(lamp @ normal, 0, 1)
    picture = np.full((size, size), np.nan)
    picture[seen] = np.clip(light * (1 - 0.35 * depth / n_depths), 0, 1)
    return picture


def _sample(volume: np.ndarray, matrix: np.ndarray, offset: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Trilinear samples of a volume at ``matrix @ index + offset``; outside the box, its minimum."""
    n, low = volume.shape[-1], float(volume.min())
    # The same map between coordinates that run from −1 to 1 along every axis, as PyTorch counts them: x, y, z.
    linear, constant = matrix[::-1] * (2 / (n - 1)), (2 * offset / (n - 1) - 1)[::-1].copy()
    steps = torch.from_numpy(linear.copy()).float()
    depth, row, column = (torch.arange(count, dtype=torch.float32) for count in shape)
    position = (
        steps[:, 0] * depth[:, None, None, None] + steps[:, 1] * row[:, None, None] + torch.from_numpy(constant)
    )
    grid = position.float() + steps[:, 2] * column[:, None]
    values = torch.from_numpy(np.ascontiguousarray(volume, dtype=np.float32) - np.float32(low))
    return (grid_sample(values[None, None], grid[None], align_corners=True)[0, 0] + low).numpy()
