"""Sub-meshes fused along a tree: vertices of two labels at the same lattice point merge where the tree joins them."""

from collections import Counter, deque
from collections.abc import Sequence
from itertools import combinations

import numpy as np
from jaxtyping import Int
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Fused = tuple[int, int]
"""Two labels."""


def fuse_vertices(
    vertices: Int[np.ndarray, "v 4"], fused: Sequence[Fused] | None
) -> tuple[Int[np.ndarray, "v"], Int[np.ndarray, "u"]]:
    """New index of every vertex, and the old indices (u,) of the new vertices.

    Parameters
    ----------
    vertices
        (v, 4) label and lattice point, all different, in ascending order.
    fused
        Pairs of labels; None for those of ``find_tree``.

    Raises
    ------
    ValueError
        If a label has no vertices, or two fused labels do not touch.
    """
    at = np.unique(vertices[:, 1:], axis=0, return_inverse=True)[1].reshape(-1)
    labels = sorted(set(vertices[:, 0].tolist()))
    where = {label: np.flatnonzero(vertices[:, 0] == label) for label in labels}
    links = []
    for first, second in find_tree(vertices) if fused is None else fused:
        for label in (first, second):
            if label not in where:
                raise ValueError(
                    f"segment {label} is to be fused, but the segments are {', '.join(map(str, labels))}."
                )
        shared, one, other = np.intersect1d(at[where[first]], at[where[second]], return_indices=True)
        if not len(shared):
            raise ValueError(f"segments {first} and {second} are to be fused and do not touch: no cell holds both.")
        links.append(np.stack([where[first][one], where[second][other]]))
    pairs = np.concatenate(links, axis=1) if links else np.zeros((2, 0), dtype=np.int64)
    graph = coo_array((np.ones(pairs.shape[1]), (pairs[0], pairs[1])), shape=(len(vertices),) * 2)
    _, numbers = connected_components(graph, directed=False)
    _, kept = np.unique(numbers, return_index=True)
    return numbers.astype(np.int64), kept


def find_tree(vertices: Int[np.ndarray, "v 4"]) -> tuple[Fused, ...]:
    """Pairs of labels that make a tree, breadth first from the largest, over adjacent ones, the closest first.

    Labels without adjacent ones are roots.
    """
    by_vertex: dict[tuple[int, ...], list[int]] = {}
    for label, *vertex in vertices.tolist():
        by_vertex.setdefault(tuple(vertex), []).append(label)
    touching: Counter[Fused] = Counter()
    for labels in by_vertex.values():
        touching.update(combinations(sorted(labels), 2))
    sizes = Counter(vertices[:, 0].tolist())
    tree: list[Fused] = []
    reached: set[int] = set()
    for root in sorted(sizes, key=lambda label: (-sizes[label], label)):
        if root in reached:
            continue
        reached.add(root)
        waiting = deque([root])
        while waiting:
            label = waiting.popleft()
            near = [(-count, *pair) for pair, count in touching.items() if label in pair]
            for _, *pair in sorted(near):
                other = pair[1] if pair[0] == label else pair[0]
                if other not in reached:
                    reached.add(other)
                    tree.append((label, other))
                    waiting.append(other)
    return tuple(tree)
