"""Fraction of particles in each class along the truth: by value of the first collective variable, or by state.

A reconstruction without posteriors, or a data set without truth, gives None.
"""

import numpy as np
import pandas as pd

from cryobench.data import Dataset, Reconstruction
from cryobench.report.axes import choose_truth_axis

MOST_BINS = 60
"""Columns of a class-by-truth map; more values than this are binned."""


def class_by_truth(reconstruction: Reconstruction, dataset: Dataset) -> pd.DataFrame | None:
    """Fraction of each class among the particles at each true value.

    Columns: class, order, truth, fraction, particles.
    The truth axis has one column per distinct value, or ``MOST_BINS`` equal bins where there are more values.
    ``fraction`` is the mean posterior, so it sums to 1 over classes. ``order`` sorts classes along the truth axis (by
    circular mean if it is periodic); classes keep their numbers.
    """
    if reconstruction.posteriors is None or dataset.truth is None:
        return None
    axis = choose_truth_axis(dataset.truth)
    known = np.isfinite(axis.values) & np.isfinite(reconstruction.posteriors).all(axis=1)
    posteriors, values = reconstruction.posteriors[known], axis.values[known]
    if not len(values):
        return None
    centres, column = _bin(values)
    counts = np.bincount(column, minlength=len(centres))
    sums = np.zeros((len(centres), posteriors.shape[1]))
    np.add.at(sums, column, posteriors)
    fractions = sums / np.maximum(counts, 1)[:, None]
    order = np.argsort(np.argsort(_class_centres(fractions, centres, axis.period), kind="stable"), kind="stable")
    class_grid, centre_grid = np.meshgrid(np.arange(posteriors.shape[1]), centres)
    table = pd.DataFrame(
        {
            "class": class_grid.ravel(),
            "order": np.tile(order, len(centres)),
            "truth": centre_grid.ravel(),
            "fraction": fractions.ravel(),
            "particles": np.repeat(counts, posteriors.shape[1]),
        }
    )
    return table.query("particles > 0").reset_index(drop=True)


def _bin(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centres of the columns of the truth axis, and the column of every particle."""
    centres, column = np.unique(np.round(values, 6), return_inverse=True)
    if len(centres) <= MOST_BINS:
        return centres, column
    edges = np.linspace(values.min(), values.max(), MOST_BINS + 1)
    column = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, MOST_BINS - 1)
    return (edges[:-1] + edges[1:]) / 2, column


def _class_centres(fractions: np.ndarray, centres: np.ndarray, period: float | None) -> np.ndarray:
    weights = fractions / np.maximum(fractions.sum(axis=0), 1e-12)
    if period is None:
        return weights.T @ centres
    angles = 2 * np.pi * centres / period
    return np.mod(np.arctan2(weights.T @ np.sin(angles), weights.T @ np.cos(angles)), 2 * np.pi)
