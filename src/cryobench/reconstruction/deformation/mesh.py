"""Tetrahedral mesh over the cells of a cubic lattice that a mask fills.

Every cell is cut into the six tetrahedra of Kuhn: each leads from the cell's low corner to its high corner along the
three axes in one of their six orders. Neighbouring cells have the same triangles in common, the four weights of a
point are differences of its sorted coordinates, and the edges along the path are the columns of the deformation
gradient. So neither a library nor a search is needed: ``scipy.spatial.Delaunay`` on lattice points, eight of which
are on one sphere, returns non-conforming triangulations and slivers of no volume.
Sources: Kuhn, IBM J. Res. Dev. 4 (1960) 518; Freudenthal, Ann. Math. 43 (1942) 580.

Sub-meshes: where voxels have labels, each label has the cells that its voxels fill, with its own vertices, which
merge with those of another label only where the two are fused (``fusion``).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import permutations

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from cryobench.imaging.real_space.moved_voxels import BoundVoxels
from cryobench.reconstruction.deformation.fusion import Fused, fuse_vertices

ORDERS = np.array(list(permutations(range(3))), dtype=np.int64)
"""(6, 3) order of axes of the tetrahedra of a cell."""


@dataclass(frozen=True, eq=False)
class Mesh:
    """Vertices and elements."""

    corners: np.ndarray
    """(v, 3) int64 lattice points (x, y, z) of the vertices, the centre of the box at 0."""
    elements: np.ndarray
    """(t, 4) int32 vertices, each a step along a lattice axis from the one before."""
    length: float
    """Å, side of the box."""
    cell: float
    """Å, edge of a cell."""
    cells: np.ndarray
    """(c, 4) int64 label, then lattice point of the low corner, of the cells in ascending order; cell i has elements
    6 i … 6 i + 5, in the order of ``ORDERS``."""
    axes: np.ndarray = field(init=False)
    """(t, 3) int64 axes of the three steps of each element."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "axes", np.tile(ORDERS, (len(self.cells), 1)))

    @property
    def n_vertices(self) -> int:
        """Number of vertices."""
        return len(self.corners)

    @cached_property
    def rest(self) -> Float[Tensor, "v 3"]:
        """(v, 3) float32 undeformed positions of the vertices, in cells."""
        return torch.from_numpy(self.corners.astype(np.float32))

    def bind(
        self,
        box_size: int,
        pixel_size: float,
        voxels: Int[np.ndarray, "m"],
        labels: Int[np.ndarray, "m"] | None = None,
    ) -> BoundVoxels:
        """Voxels bound to the elements that contain them.

        Parameters
        ----------
        box_size, pixel_size
            Box and pixel size of the grid.
        voxels
            (m,) indices in the flattened volume (z, y, x); those outside the mesh are left out.
        labels
            (m,) of the voxels; None for one.
        """
        low, fractions = _locate(box_size, pixel_size, voxels, self.cell)
        keys = np.column_stack([np.zeros(len(voxels), dtype=np.int64) if labels is None else labels, low])
        cell = _find_rows(self.cells, keys)
        inside = cell >= 0
        order = np.argsort(-fractions, axis=1, kind="stable")
        within = np.array([4 * a + 2 * b + c for a, b, c in ORDERS.tolist()])
        corner = np.argsort(within)[np.searchsorted(np.sort(within), order @ np.array([4, 2, 1]))]
        element = 6 * cell + corner
        steps = np.take_along_axis(fractions, order, axis=1)
        weights = np.column_stack([1 - steps[:, 0], steps[:, :2] - steps[:, 1:], steps[:, 2]])
        chosen = np.flatnonzero(inside)
        chosen = chosen[np.argsort(element[chosen], kind="stable")]
        starts = np.searchsorted(element[chosen], np.arange(len(self.elements) + 1))
        return BoundVoxels(
            self.elements,
            starts.astype(np.int64),
            weights[chosen].astype(np.float32),
            np.asarray(voxels, dtype=np.int64)[chosen],
            box_size,
        )


def make_mesh(
    region: Bool[np.ndarray, "z y x"],
    pixel_size: float,
    cell: float,
    *,
    labels: Int[np.ndarray, "z y x"] | None = None,
    fused: Sequence[Fused] | None = None,
) -> Mesh:
    """The mesh over the cells that a region fills.

    Parameters
    ----------
    region
        (z, y, x) bool.
    pixel_size, cell
        Å, of the region's voxels and of a cell.
    labels
        (z, y, x) int of the voxels, for a sub-mesh each; None for one mesh.
    fused
        Pairs of labels with common vertices where both have them; None for the tree of ``find_tree``.

    Raises
    ------
    ValueError
        If the region is empty, a fused label has no cells, or two fused labels do not touch.
    """
    voxels = np.flatnonzero(region)
    if not len(voxels):
        raise ValueError(
            "the mesh would be empty: no voxel is inside the mask. Give a mask around the molecule (--mask)."
        )
    low, _ = _locate(len(region), pixel_size, voxels, cell)
    own = np.zeros(len(voxels), dtype=np.int64) if labels is None else labels.flatten()[voxels].astype(np.int64)
    cells = np.unique(np.column_stack([own, low]), axis=0)
    paths = np.zeros((6, 4, 3), dtype=np.int64)
    for number, order in enumerate(ORDERS):
        paths[number, 1:] = np.cumsum(np.eye(3, dtype=np.int64)[order], axis=0)
    positions = (cells[:, None, None, 1:] + paths).reshape(-1, 3)
    keys = np.column_stack([np.repeat(cells[:, 0], 24), positions])
    vertices, index = np.unique(keys, axis=0, return_inverse=True)
    index = index.reshape(-1)
    if labels is not None:
        merged, kept = fuse_vertices(vertices, fused)
        vertices, index = vertices[kept], merged[index]
    return Mesh(vertices[:, 1:], index.reshape(-1, 4).astype(np.int32), len(region) * pixel_size, cell, cells)


def _locate(
    box_size: int, pixel_size: float, voxels: Int[np.ndarray, "m"], cell: float
) -> tuple[Int[np.ndarray, "m 3"], Float[np.ndarray, "m 3"]]:
    """Low corner of the cell of each voxel, and the position in it from 0 to 1; (x, y, z)."""
    z, y, x = np.unravel_index(voxels, (box_size,) * 3)
    positions = (np.column_stack([x, y, z]) - box_size // 2) * (pixel_size / cell)
    low = np.floor(positions + 1e-9)
    return low.astype(np.int64), np.clip(positions - low, 0.0, 1.0)


def _find_rows(table: Int[np.ndarray, "c 4"], rows: Int[np.ndarray, "m 4"]) -> Int[np.ndarray, "m"]:
    """Index of each row in a table of ascending rows, −1 where it is absent."""
    low = np.minimum(table.min(0), rows.min(0)) if len(rows) else table.min(0)
    span = np.maximum(table.max(0), rows.max(0) if len(rows) else table.max(0)) - low + 1
    factors = np.concatenate([np.cumprod(span[:0:-1])[::-1], [1]])
    wanted, known = (rows - low) @ factors, (table - low) @ factors
    found = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    return np.where(known[found] == wanted, found, -1)


def as_pairs(texts: Iterable[str]) -> tuple[Fused, ...]:
    """Fused labels from texts such as "0>1". ValueError for any other."""
    pairs = []
    for text in texts:
        parts = text.split(">")
        if len(parts) != 2 or not all(part.strip().lstrip("-").isdigit() for part in parts):
            raise ValueError(f"fused segments are written as 0>1, got {text!r}.")
        pairs.append((int(parts[0]), int(parts[1])))
    return tuple(pairs)
