"""UMAP of latents: a picture of neighbourhoods, on which distances between far groups mean nothing.

Defaults of umap-learn (15 neighbours, least distance 0.1), as the published figures have; the seed makes it the same
each time, on one thread. Rows that repeat are laid out once. Wide latents are first brought to ``WIDEST`` principal
components. Source: McInnes, Healy & Melville, UMAP, arXiv:1802.03426.
"""

import warnings
from typing import Any

import numpy as np
from jaxtyping import Float
from sklearn.neighbors import NearestNeighbors

WIDEST = 50
"""Columns above which principal components come first."""
FEWEST = 200
"""Distinct points below which principal components say as much."""
NEIGHBOURS = 15
EXACT = 4096
"""Points up to which neighbours are exact, as in umap-learn; beyond, they are approximate."""


def explain_no_umap(points: Float[np.ndarray, "n d"]) -> str | None:
    """Why points are shown without UMAP, in words, or None if they are not."""
    if points.shape[1] <= 2:
        return f"{'one dimension' if points.shape[1] == 1 else 'two dimensions'}, shown as they are"
    distinct = len(np.unique(points, axis=0))
    if distinct < FEWEST:
        return f"{distinct} distinct points, fewer than {FEWEST}: principal components only"
    return None


def lay_out_umap(points: Float[np.ndarray, "n d"], *, seed: int = 0) -> Float[np.ndarray, "n 2"]:
    """Places in the plane (n, 2) of finite points (n, d), the same for the same points and seed."""
    distinct, where = np.unique(np.asarray(points, dtype=np.float64), axis=0, return_inverse=True)
    if distinct.shape[1] > WIDEST:
        centred = distinct - distinct.mean(axis=0)
        distinct = centred @ np.linalg.svd(centred, full_matrices=False)[2][:WIDEST].T
    scale = float(np.sqrt(distinct.var(axis=0).sum())) or 1.0
    distinct = (distinct / scale).astype(np.float32)
    options = {"n_neighbors": NEIGHBOURS, "random_state": seed, "n_jobs": 1, **_find_neighbours(distinct)}
    with warnings.catch_warnings():
        # On import: that a part which is not used here has no TensorFlow. While fitting: that the graph falls apart.
        warnings.filterwarnings("ignore", message="Tensorflow not installed", category=ImportWarning)
        warnings.filterwarnings("ignore", message="Graph is not fully connected", category=UserWarning)
        warnings.filterwarnings("ignore", message="Spectral initialisation failed", category=UserWarning)
        warnings.filterwarnings("ignore", message=".*not an NNDescent object", category=UserWarning)
        # Imported here: it compiles for seconds, and most pages need it not at all.
        from umap import UMAP

        embedding = UMAP(**options).fit_transform(distinct)
    return np.asarray(embedding, dtype=np.float64)[where.ravel()]


def _find_neighbours(points: np.ndarray) -> dict[str, Any]:
    """Options by which UMAP is told the exact neighbours of few points: its own search takes seconds to compile."""
    if len(points) >= EXACT:
        return {}
    distances, indices = NearestNeighbors(n_neighbors=NEIGHBOURS).fit(points).kneighbors()
    own = np.arange(len(points))[:, None]
    indices = np.hstack([own, indices[:, :-1]])
    distances = np.hstack([np.zeros_like(distances[:, :1]), distances[:, :-1]]).astype(np.float32)
    return {"precomputed_knn": (indices, distances, None), "force_approximation_algorithm": True}
