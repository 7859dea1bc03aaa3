"""UMAP of latents: it preserves neighbourhoods; distances between distant groups have no meaning.

Defaults of umap-learn (15 neighbours, minimum distance 0.1), as in the published figures; a fixed seed and one thread
make it reproducible. Duplicate rows are embedded once. High-dimensional latents are first reduced to ``WIDEST``
principal components. Source: McInnes, Healy & Melville, UMAP, arXiv:1802.03426.
"""

import warnings
from typing import Any

import numpy as np
from jaxtyping import Float
from sklearn.neighbors import NearestNeighbors

WIDEST = 50
"""Dimensions above which latents are first reduced to principal components."""
FEWEST = 200
"""Number of distinct points below which UMAP adds nothing to principal components."""
NEIGHBOURS = 15
EXACT = 4096
"""Number of points below which neighbours are exact, as in umap-learn; from there on they are approximate."""


def explain_no_umap(points: Float[np.ndarray, "n d"]) -> str | None:
    """Reason why points are shown without UMAP, or None if UMAP is used."""
    if points.shape[1] <= 2:
        return f"{'one dimension' if points.shape[1] == 1 else 'two dimensions'}, shown as they are"
    distinct = len(np.unique(points, axis=0))
    if distinct < FEWEST:
        return f"{distinct} distinct points, fewer than {FEWEST}: principal components only"
    return None


def lay_out_umap(points: Float[np.ndarray, "n d"], *, seed: int = 0) -> Float[np.ndarray, "n 2"]:
    """UMAP coordinates (n, 2) of finite points (n, d), the same for the same points and seed."""
    distinct, where = np.unique(np.asarray(points, dtype=np.float64), axis=0, return_inverse=True)
    if distinct.shape[1] > WIDEST:
        centred = distinct - distinct.mean(axis=0)
        distinct = centred @ np.linalg.svd(centred, full_matrices=False)[2][:WIDEST].T
    scale = float(np.sqrt(distinct.var(axis=0).sum())) or 1.0
    distinct = (distinct / scale).astype(np.float32)
    options = {"n_neighbors": NEIGHBOURS, "random_state": seed, "n_jobs": 1, **_find_neighbours(distinct)}
    with warnings.catch_warnings():
        # On import: an unused part lacks TensorFlow. While fitting: the graph is disconnected.
        warnings.filterwarnings("ignore", message="Tensorflow not installed", category=ImportWarning)
        warnings.filterwarnings("ignore", message="Graph is not fully connected", category=UserWarning)
        warnings.filterwarnings("ignore", message="Spectral initialisation failed", category=UserWarning)
        warnings.filterwarnings("ignore", message=".*not an NNDescent object", category=UserWarning)
        # Imported here: it takes seconds to compile, and most pages do not need it.
        from umap import UMAP

        embedding = UMAP(**options).fit_transform(distinct)
    return np.asarray(embedding, dtype=np.float64)[where.ravel()]


def _find_neighbours(points: np.ndarray) -> dict[str, Any]:
    """UMAP options that pass exact neighbours of few points: its own search takes seconds to compile."""
    if len(points) >= EXACT:
        return {}
    distances, indices = NearestNeighbors(n_neighbors=NEIGHBOURS).fit(points).kneighbors()
    own = np.arange(len(points))[:, None]
    indices = np.hstack([own, indices[:, :-1]])
    distances = np.hstack([np.zeros_like(distances[:, :1]), distances[:, :-1]]).astype(np.float32)
    return {"precomputed_knn": (indices, distances, None), "force_approximation_algorithm": True}
