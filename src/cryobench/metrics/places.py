"""What a reconstruction says of a quantity it does not know: its mean over the particles it puts in one place.

A place is a class, or a neighbourhood in the latent: √n nearest neighbours in Euclidean distance, the particle itself
not among them. Latents that repeat (√n times on average, or more) are classes. See ``metrics.distributions``.

On a line, the mean of a place that says nothing is the mean of all. On a circle it is any direction, so there the
mean carries a certainty: the length of the mean vector, 1 where all agree and near 0 where they point everywhere.

Source: Devroye, Györfi & Lugosi, A Probabilistic Theory of Pattern Recognition (1996), chapter 5 (√n neighbours).
"""

import numpy as np
from jaxtyping import Float, Int
from sklearn.neighbors import NearestNeighbors

from cryobench._one_thread import one_thread

SMALLEST_CLASS = 5
"""Particles a class needs to have a mean of its own; smaller ones would repeat the truth rather than average it."""


class Places:
    """Where a reconstruction puts each of n particles: in a class, or among neighbours in the latent.

    Parameters
    ----------
    classes
        (n,) class of each, or None.
    latents
        (n, d), used where there are no classes.
    """

    def __init__(self, classes: Int[np.ndarray, "n"] | None, latents: Float[np.ndarray, "n d"] | None = None) -> None:
        self.neighbours: np.ndarray | None = None
        if classes is None:
            if latents is None:
                raise ValueError("particles have a place by class or by latent: give one of the two.")
            n_neighbours = max(1, round(np.sqrt(len(latents))))
            distinct, repeated = np.unique(latents, axis=0, return_inverse=True)
            if len(distinct) * n_neighbours > len(latents):
                with one_thread():
                    search = NearestNeighbors(n_neighbors=n_neighbours).fit(latents)
                    self.neighbours = np.asarray(search.kneighbors(return_distance=False))
            classes = repeated.ravel()
        self.classes = np.unique(classes, return_inverse=True)[1]

    @property
    def source(self) -> str:
        """ "classes" or "neighbours"."""
        return "classes" if self.neighbours is None else "neighbours"

    def average(
        self, values: Float[np.ndarray, "n"], *, period: float | None = None
    ) -> tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n"]]:
        """Mean value (n,) at each particle's place, and its certainty (n,) in [0, 1], which is 1 on a line."""
        if period is None:
            return np.clip(self._average(values), values.min(), values.max()), np.ones(len(values))
        turns = 2 * np.pi * values / period
        cosine, sine = self._average(np.cos(turns)), self._average(np.sin(turns))
        certainty = np.minimum(np.hypot(cosine, sine), 1.0)
        # Where the mean vector vanishes there is no mean direction: it is 0 then, rather than rounding noise.
        angle = np.where(certainty < 1e-9, 0.0, np.arctan2(sine, cosine))
        return np.mod(angle * period / (2 * np.pi), period), certainty

    def _average(self, values: np.ndarray) -> np.ndarray:
        if self.neighbours is not None:
            return values[self.neighbours].mean(axis=1)
        sizes = np.bincount(self.classes)
        centre = values.mean()  # taken off before summing: a class of one value then has that value as its mean
        means = np.bincount(self.classes, weights=values - centre) / np.maximum(sizes, 1)
        return centre + np.where(sizes < SMALLEST_CLASS, 0.0, means)[self.classes]
