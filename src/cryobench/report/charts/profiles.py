"""Charts of the distribution along each collective variable, as fractions of particles and as free energies."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from cryobench.data import Dataset
from cryobench.report.axes import TruthAxis, variable_axis
from cryobench.report.charts.kinds import Axis, LineChart, Picture, Reference, Series
from cryobench.report.runs.tables import Run, by_run, column_of, gather_curve

_GROUP = "Distributions along collective variables"
MOST_VARIABLES = 6
"""Variables drawn; the table has all."""
_FRACTIONS = (
    "true distribution (grey) and recovered distributions: each particle is given the mean true value of the "
    "particles in the same class, or near it in the latent. Few classes give few peaks; an uninformative run puts "
    "all particles at the mean. Particle identity is ignored, and volumes are not assessed."
)
_ENERGIES = (
    "the same as free energy −ln p, with half a particle added to each bin; only bins with at least 10 true "
    "particles. An empty bin appears as a high barrier that does not exist."
)


def draw_profiles(runs: Sequence[Run], dataset: Dataset) -> list[Picture]:
    """Two pictures per collective variable."""
    table = gather_curve(runs, "profiles")
    if table.empty or dataset.truth is None:
        return []
    pictures = []
    for name in list(dict.fromkeys(table["variable"]))[:MOST_VARIABLES]:
        if name not in dataset.truth.variables:
            continue
        variable = variable_axis(name, dataset.truth.variables[name])
        rows = pd.DataFrame(table.loc[table["variable"] == name])
        factor = np.rad2deg(1.0) if dataset.truth.variables[name].unit == "rad" else 1.0
        safe = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in name)
        if any(picture.key == f"profile-share-{safe}" for picture in pictures):
            safe = f"{safe}-{len(pictures)}"
        for key, chart, words in (
            ("share", _draw_fractions(variable, rows, factor), _FRACTIONS),
            ("energy", _draw_energies(variable, rows, factor), _ENERGIES),
        ):
            caption = f"{variable.title}: {words}"
            pictures.append(Picture(f"profile-{key}-{safe}", "classes", _GROUP, chart, caption))
    return pictures


def _draw_fractions(variable: TruthAxis, table: pd.DataFrame, factor: float) -> LineChart:
    series = [
        Series(slug, _middle(rows, factor), column_of(rows, "recovered") / column_of(rows, "true").sum())
        for slug, rows in by_run(table)
    ]
    first = by_run(table)[0][1]
    true = column_of(first, "true")
    reference = Reference("true", _middle(first, factor), true / true.sum(), "bars")
    x = Axis(variable.title, period=variable.period)
    return LineChart(x, Axis("fraction of particles", 0), series, [reference], "steps")


def _draw_energies(variable: TruthAxis, table: pd.DataFrame, factor: float) -> LineChart:
    series = [Series(slug, _middle(rows, factor), column_of(rows, "free_energy")) for slug, rows in by_run(table)]
    first = by_run(table)[0][1]
    reference = Reference("true", _middle(first, factor), column_of(first, "true_free_energy"))
    x = Axis(variable.title, period=variable.period)
    return LineChart(x, Axis("free energy / kT", 0), series, [reference], "steps")


def _middle(rows: pd.DataFrame, factor: float) -> np.ndarray:
    return (column_of(rows, "low") + column_of(rows, "high")) / 2 * factor
