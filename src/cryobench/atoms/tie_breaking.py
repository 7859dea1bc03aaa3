"""Choices among equals that are the same on every machine.

For axes of a symmetric structure or atoms on a symmetry axis, which of several is the largest or nearest depends on
the last bit, which differs between processors and libraries. Here values within a millionth are equal, and the first
of equals is chosen.
"""

import numpy as np
from jaxtyping import Float64, Int64
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

_EQUAL = 1e-6
_BOND = 2.0
_MOST_TIED = 6
_GOLDEN = 0.6180339887498949


def settle_signs(axes: Float64[np.ndarray, "k n"]) -> Float64[np.ndarray, "k n"]:
    """Each axis (a row) or its opposite, such that its largest entry, or the first of equals, is positive."""
    sizes = np.abs(axes)
    first = (sizes >= (1 - _EQUAL) * sizes.max(axis=1, keepdims=True)).argmax(axis=1)
    return axes * np.where(axes[np.arange(len(axes)), first] < 0, -1.0, 1.0)[:, None]


def settle_axes(axes: Float64[np.ndarray, "k n"], values: Float64[np.ndarray, " k"]) -> Float64[np.ndarray, "k n"]:
    """Orthonormal axes (rows) with ordered eigenvalues, with settled signs, and settled directions among equals.

    Axes of one eigenvalue, as in symmetric structures, are an arbitrary basis of their span; the one used follows
    from fixed vectors projected into it.
    """
    settled = settle_signs(axes)
    scale = np.maximum(np.abs(values[1:]), np.abs(values[:-1]))
    starts = np.flatnonzero(np.concatenate([[True], np.abs(np.diff(values)) > _EQUAL * scale]))
    for start, stop in zip(starts, [*starts[1:], len(axes)], strict=True):
        if stop - start > 1:
            settled[start:stop] = _project_fixed(axes[start:stop])
    return settled


def find_nearest(
    points: Float64[np.ndarray, "p 3"], queries: Float64[np.ndarray, "q 3"]
) -> tuple[Float64[np.ndarray, " q"], Int64[np.ndarray, " q"]]:
    """Distance in Å and index of the point nearest to each query, the first among equals."""
    found = KDTree(points).query(queries, k=min(_MOST_TIED, len(points)))
    distance = np.asarray(found[0]).reshape(len(queries), -1)
    index = np.asarray(found[1], dtype=np.int64).reshape(len(queries), -1)
    tied = distance <= distance[:, :1] + _EQUAL
    return distance[:, 0], np.where(tied, index, len(points)).min(axis=1)


def find_least(values: Float64[np.ndarray, " n"]) -> int:
    """Index of the least value, the first among equals."""
    return int((values <= values.min() + _EQUAL).argmax())


def attach_groups(anchors: Float64[np.ndarray, "p 3"], loose: Float64[np.ndarray, "q 3"]) -> Int64[np.ndarray, " q"]:
    """Anchor of each loose atom, positions in Å: bonded atoms have the anchor nearest to any of them."""
    pairs = KDTree(loose).query_pairs(_BOND, output_type="ndarray")
    links = coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(loose), len(loose)))
    count, group = connected_components(links, directed=False)
    distance, nearest = find_nearest(anchors, loose)
    for member in range(count):
        atoms = np.flatnonzero(group == member)
        nearest[atoms] = nearest[atoms[find_least(distance[atoms])]]
    return nearest


def _project_fixed(axes: Float64[np.ndarray, "m n"]) -> Float64[np.ndarray, "m n"]:
    count, size = axes.shape
    fixed = (np.arange(1, count + 1)[:, None] * np.arange(1, size + 1) * _GOLDEN) % 1 - 0.5
    rows = fixed @ axes.T
    for row in range(count):
        for earlier in rows[:row]:
            rows[row] -= (rows[row] @ earlier) * earlier
        rows[row] /= np.linalg.norm(rows[row])
    return rows @ axes
