"""Initial classes of the particles: random, or from the principal variation of the particles at low resolution.

cryoSPARC's "PCA" start (``assign_by_subsets``) reconstructs many small random subsets, takes the principal
components of their volumes and clusters them; a class starts from the subsets of a cluster. A subset averages over
the differences of its particles, so most of the variation between subset volumes is chance. The default clusters the
*particles*, in the space of their principal volumes (``principal``), by k-means in the metric of how well the images
resolve two coordinates.
"""

import warnings

import numpy as np
import torch
from jaxtyping import Float, Int

from cryobench.methods.classification_3d.settings import Classification3DSettings
from cryobench.reconstruction.engine import Passes
from cryobench.reconstruction.statistics import solve_volumes, sum_classes
from cryobench.rng import stream
from cryobench.volumes.mask import make_largest_sphere

_CLUSTERED = 20_000
_RESTARTS = 30
_SUBSETS, _SUBSETS_PER_CLASS = 100, 5


def assign_at_random(n: int, n_classes: int, seed: int) -> Int[np.ndarray, "n"]:
    """Labels (n,) of random subsets of equal size, up to one particle."""
    return stream(seed, "random subsets").permutation(np.arange(n) % n_classes)


def assign_by_subsets(
    passes: Passes, settings: Classification3DSettings, radius: int, seed: int
) -> Int[np.ndarray, "n"]:
    """Labels (n,) from k-means on the principal coordinates of low-resolution volumes of small random subsets."""
    n, n_classes = len(passes), settings.n_classes
    count = min(n, max(_SUBSETS, _SUBSETS_PER_CLASS * n_classes))
    subsets = stream(seed, "small subsets").permutation(np.arange(n) % count)
    sums = sum_classes(passes, np.eye(count, dtype=np.float32)[subsets], passes.mean_power, reach=radius)
    sphere = make_largest_sphere(sums.box_size).to(passes.device)
    volumes = solve_volumes(sums, mask=sphere)[0].flatten(1).double()
    left, values, _ = torch.linalg.svd(volumes - volumes.mean(0), full_matrices=False)
    coordinates = (left * values)[:, : settings.n_components].cpu().numpy()
    return cluster(coordinates, n_classes, seed)[subsets]


def cluster(coordinates: Float[np.ndarray, "n d"], n_classes: int, seed: int) -> Int[np.ndarray, "n"]:
    """Labels (n,) from k-means on coordinates (n, d)."""
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    chosen = np.sort(stream(seed, "k-means").permutation(len(coordinates))[:_CLUSTERED])
    state = int(stream(seed, "k-means starts").integers(2**31))
    clustering = KMeans(n_classes, n_init=_RESTARTS, random_state=state)  # pyright: ignore[reportArgumentType]
    with warnings.catch_warnings():
        # Fewer distinct points than clusters: some classes start empty.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return np.asarray(clustering.fit(coordinates[chosen]).predict(coordinates), dtype=np.int64)
