"""Groups of particles in a latent space: clusters, and overlapping windows along an axis."""

import numpy as np
from jaxtyping import Float, Int

from cryobench.rng import stream


def cluster_latents(
    latents: Float[np.ndarray, "n d"], n_clusters: int, *, by_mixture: bool = False, seed: int = 0
) -> Int[np.ndarray, "n"]:
    """Cluster (n,) of each latent, numbered along the first axis; −1 for latents that are not finite.

    By k-means, or by a Gaussian mixture, which may leave clusters empty, so there may be fewer than requested.
    ValueError if there are fewer different latents than clusters.
    """
    from sklearn.cluster import KMeans
    from sklearn.mixture import GaussianMixture

    known = np.isfinite(latents).all(axis=1)
    distinct = len(np.unique(latents[known], axis=0))
    if n_clusters > distinct:
        raise ValueError(f"{n_clusters} clusters were requested, and there are only {distinct} different latents.")
    random_state = int(stream(seed, "clusters").integers(2**31))
    if by_mixture:
        found = GaussianMixture(n_clusters, random_state=random_state).fit_predict(latents[known])
    else:
        found = KMeans(n_clusters, n_init=10, random_state=random_state).fit_predict(latents[known])  # pyright: ignore[reportArgumentType]
    present = np.unique(found)
    order = present[np.argsort([latents[known][found == cluster, 0].mean() for cluster in present], kind="stable")]
    labels = np.full(len(latents), -1)
    labels[known] = np.argsort(np.searchsorted(present, order))[np.searchsorted(present, found)]
    return labels


def triangular_weights(values: Float[np.ndarray, "n"], frames: int) -> Float[np.ndarray, "n f"]:
    """Weights (n, frames) of overlapping windows along values (n,): triangles over ranks, which sum to 1.

    Window f is centred at the fraction f / (frames − 1) of the sorted values and ends at its neighbours' centres:
    each contains as many particles as the next, whatever the density of the values; the two at the ends half as many.
    """
    ranks = np.empty(len(values))
    ranks[np.argsort(values, kind="stable")] = np.arange(len(values))
    positions = ranks / max(len(values) - 1, 1) * (frames - 1)
    return np.clip(1 - np.abs(positions[:, None] - np.arange(frames)), 0, 1).astype(np.float32)
