"""Decodability: how well each collective variable can be predicted from the latent.

A regression from latent to variable is fitted to four fifths of the particles and tested on the other fifth, five
times, so that each particle is predicted once by a model that has not seen it. With y the variable and ŷ its
prediction,

    R² = 1 − Σ |y − ŷ|² / Σ |y − ȳ|²

1 is perfect, 0 is as good as the mean, and less is worse than that. For a particle without a latent the
mean is predicted. Two regressions: the mean of the 10 nearest
latents, which any continuous relation passes (at best about 1 − 1/10 of the part that is noise), and a linear one,
which shows whether the variable is an axis of the latent. A circular variable is predicted as the unit vector
(cos, sin), and |·| is then the chord, so that no value depends on where the circle is cut.

Particles of one state are on both sides of the split: this tests whether the latent contains the variable, not
whether a regression generalises to unseen states.

Source: linear and nearest-neighbour probes as in Alain & Bengio (arXiv 1610.01644); ours for cryo-EM latents.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, Int, Num, Shaped

from cryobench._display import Displayed
from cryobench._one_thread import one_thread
from cryobench._progress import Progress, Silent
from cryobench.data import CollectiveVariable, Dataset, Reconstruction, Score, Scores
from cryobench.metrics.latents.latent_spaces import (
    FEWEST,
    choose_variables,
    draw_with_latents,
    find_latent,
    turn_to_circle,
)
from cryobench.metrics.metric import Metric, ScoreKind, described
from cryobench.metrics.resampling import centred_interval, resample_means
from cryobench.rng import stream

NEIGHBOURS = 10
FOLDS = 5
MOST = 10_000
"""Most particles used for fitting and testing."""


@dataclass(frozen=True, eq=False, repr=False)
class Decodability(Displayed):
    """Cross-validated R² of one variable."""

    knn_by_point: Float[np.ndarray, "m"]
    """1 − |y − ŷ|² / mean |y − ȳ|² of each point, whose mean is R², from the nearest latents."""
    linear_by_point: Float[np.ndarray, "m"]
    """The same from the linear regression."""
    points: Int[np.ndarray, "m"]
    """Rows of the arrays that were measured."""

    @property
    def knn(self) -> float:
        """R² from the nearest latents."""
        return float(self.knn_by_point.mean())

    @property
    def linear(self) -> float:
        """R² of the linear regression."""
        return float(self.linear_by_point.mean())


def decodability(
    latent: Num[np.ndarray, "n d"],
    variable: Num[np.ndarray, "m"],
    period: float | None = None,
    *,
    neighbours: int = NEIGHBOURS,
    folds: int = FOLDS,
    seed: int = 0,
) -> Decodability:
    """Decodability of a variable from a latent: cross-validated R² of nearest neighbours and of linear regression.

    Invariant to rotation, shift and scale of the latent; the linear one to any invertible linear map.

    Parameters
    ----------
    latent, variable
        (n, d) and (n,). Rows whose variable is NaN are left out: see ``points`` of the result. Where the latent is
        NaN the prediction is the mean of the variable.
    period
        Period of a circular variable.
    seed
        For the split into folds.

    Raises
    ------
    ValueError
        If the lengths differ, the variable is constant, or a fold would leave fewer points than neighbours.
    """
    if len(latent) != len(variable):
        raise ValueError(f"the latent has {len(latent)} rows but the variable {len(variable)} values.")
    points = np.flatnonzero(np.isfinite(variable))
    placed = np.isfinite(latent[points]).all(axis=1)
    n_placed = int(placed.sum())
    if n_placed * (folds - 1) // folds < max(neighbours, 2):
        raise ValueError(
            f"{n_placed} of {len(latent)} points are finite: {folds} folds leave too few for {neighbours} neighbours."
        )
    values = np.asarray(variable, dtype=np.float64)[points]
    target = values[:, None] if period is None else turn_to_circle(values, period)
    if (target == target[0]).all():
        raise ValueError(f"the variable is constant ({variable[points[0]]}): there is nothing to decode.")
    knn, linear = np.tile(target.mean(axis=0), (2, len(points), 1))
    coordinates = np.asarray(latent, dtype=np.float64)[points[placed]]
    knn[placed], linear[placed] = _predict(coordinates, target[placed], neighbours, folds, seed)
    return Decodability(_explain(target, knn), _explain(target, linear), points)


def _predict(
    latent: Float[np.ndarray, "n d"], target: Float[np.ndarray, "n t"], neighbours: int, folds: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Cross-validated predictions (n, t) of each point by nearest neighbours and by linear regression."""
    from sklearn.linear_model import LinearRegression
    from sklearn.model_selection import KFold
    from sklearn.neighbors import KNeighborsRegressor

    # Equal latents are neighbours in index order: shuffled here, so that the order of the file does not help.
    order = stream(seed, "decodability").permutation(len(latent))
    predictions = np.empty((2, *target.shape))
    for fitted, tried in KFold(folds).split(order):
        fitted, tried = order[fitted], order[tried]
        for row, model in enumerate((KNeighborsRegressor(neighbours), LinearRegression())):
            with one_thread():
                predictions[row, tried] = model.fit(latent[fitted], target[fitted]).predict(latent[tried])
    return predictions[0], predictions[1]


def _explain(target: Float[np.ndarray, "n t"], predicted: Float[np.ndarray, "n t"]) -> Float[np.ndarray, "n"]:
    """Contribution of each point to R²."""
    spread = ((target - target.mean(axis=0)) ** 2).sum(axis=1).mean()
    return 1 - ((target - predicted) ** 2).sum(axis=1) / spread


@described
class DecodabilityMetric(Metric):
    """Cross-validated R² of the collective variables from the latent, by nearest neighbours and linear regression.

    The scores are means over the variables that vary; the curve has each of them. If there are more than 10,000
    particles, 10,000 are drawn.
    """

    name = "decodability"
    label = "Decodability of collective variables"
    scores = (
        ScoreKind(
            "decodability-knn",
            "Decodability, nearest neighbours (R²)",
            low=-np.inf,
            high=1.0,
            short="Decodability (R²)",
            main=True,
        ),
        ScoreKind("decodability-linear", "Decodability, linear (R²)", low=-np.inf, high=1.0),
    )
    version = 2
    needs = frozenset({"truth"})
    uses = frozenset({"latents", "posteriors"})
    curves = (("decodability", "R² of each collective variable"),)

    def explain_missing(self, reconstruction: Reconstruction, dataset: Dataset) -> str | None:
        """Reason why it cannot be measured: it needs latents or posteriors, and collective variables that vary."""
        truth, latent = dataset.truth, find_latent(reconstruction)
        if latent is None:
            return "needs latents or posteriors, which the reconstruction does not have"
        if truth is None:
            return "needs truth, which the data set does not have"
        variables = choose_variables(truth.variables)
        if not variables:
            return "needs collective variables that differ between particles"
        if len(latent.coordinates) == len(truth):
            placed = np.isfinite(latent.coordinates).all(axis=1)
            if (_find_known(variables) & placed).sum() < FEWEST:
                return f"needs at least {FEWEST} particles with a latent and every collective variable"
        return None

    def measure(
        self, reconstruction: Reconstruction, dataset: Dataset, *, seed: int = 0, progress: Progress | None = None
    ) -> Scores:
        """Scores as of ``decodability``; curve "decodability" has R² of each variable, with intervals."""
        truth, latent = self.require(reconstruction, dataset), find_latent(reconstruction)
        assert latent is not None  # one of the needs
        variables = choose_variables(truth.variables)
        known = np.flatnonzero(_find_known(variables))
        placed = np.asarray(np.isfinite(latent.coordinates).all(axis=1))
        particles = draw_with_latents(known, placed, MOST, seed=seed)
        coordinates = latent.coordinates[particles]
        rows, by_point = [], []
        with (progress or Silent()).task("decodability", len(variables)) as task:
            for name, variable in variables.items():
                found = decodability(coordinates, variable.values[particles], variable.period, seed=seed)
                by_point.append(np.stack([found.knn_by_point, found.linear_by_point], axis=1))
                rows.append({"variable": name, "unit": variable.unit, "circular": variable.period is not None})
                task.advance()
        columns = np.concatenate([np.mean(by_point, axis=0), *by_point], axis=1)
        samples = resample_means(columns, seed=seed)
        bounds = [_bound(columns[:, at], samples[:, at]) for at in range(columns.shape[1])]
        for at, row in enumerate(rows):
            for offset, way in enumerate(("knn", "linear")):
                row.update(zip((way, f"{way}_low", f"{way}_high"), bounds[2 + 2 * at + offset], strict=True))
        scores = {}
        for at, kind in enumerate(self.scores):
            items = pd.DataFrame({"particle": particles, "value": columns[:, at]})
            scores[kind.name] = Score(kind.name, *bounds[at], n=len(particles), items=items)
        context = {
            "latent": latent.source,
            "n_particles": len(truth),
            "n_without_variable": len(truth) - len(known),
            "n_without_latent": int((~placed[known]).sum()),
            "coverage": float(placed[known].mean()),
            "n_measured": len(particles),
            "constant_variables": sorted(set(truth.variables) - set(variables) - {"junk"}),
        }
        return Scores(scores, {self.name: pd.DataFrame(rows)}, context)


def _find_known(variables: Mapping[str, CollectiveVariable]) -> Shaped[np.ndarray, "n"]:
    """Mask (n,) of the particles for which every variable is known."""
    values = [np.asarray(variable.values, dtype=np.float64) for variable in variables.values()]
    return np.asarray(np.isfinite(np.stack(values, axis=1)).all(axis=1))


def _bound(values: Float[np.ndarray, "m"], samples: Float[np.ndarray, "r"]) -> tuple[float, float, float]:
    """Mean, and the ends of its interval."""
    value = float(np.clip(values.mean(), values.min(), values.max()))
    return value, *centred_interval(value, samples, low=float(values.min()), high=float(values.max()))
