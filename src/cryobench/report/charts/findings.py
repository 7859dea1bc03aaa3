"""Charts of the findings of runs: variance spectra, latent densities, half-set FSC, convergence."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from cryobench.data import Dataset, LatentDensity, LatentPath
from cryobench.metrics.latents.latent_spaces import draw_subset
from cryobench.report.charts import kinds
from cryobench.report.charts.kinds import Axis, LineChart, Picture, Reference, Series, read_captions, shown_limits
from cryobench.report.findings import tables
from cryobench.report.scored_runs.tables import Run, by_run, column_of

CURVES = "Components, half-sets, convergence"
"""Group of the charts that compare several runs."""
MOST_VARIANCES = 50
"""Components drawn; the table has all."""
LARGEST_RATIO = 1e3
"""Dynamic range of the variances drawn: smaller ones are below the axis."""
MOST_GRID = 100
"""Grid points of a density drawn along each axis."""
MOST_POINTS = 600
GOLD_STANDARD = 0.143
"""Rosenthal & Henderson, J. Mol. Biol. 333 (2003) 721."""


def draw_variances(runs: Sequence[Run]) -> list[Picture]:
    """Variance spectra, one curve per run."""
    table = tables.tabulate_variances(runs)
    table = pd.DataFrame(table.loc[table["component"] <= MOST_VARIANCES])
    table["variance"] = table["variance"].where(np.isfinite(column_of(table, "variance")) & (table["variance"] > 0))
    series = [each for each in kinds.series_by_run(table, "component", "variance") if np.isfinite(each.y).any()]
    if not series:
        return []
    least, most = (float(end(column_of(table, "variance"))) for end in (np.nanmin, np.nanmax))
    low = max(least, most / LARGEST_RATIO)
    axis = Axis("variance of the latents", 0.8 * low, 1.25 * most, logarithmic=True)
    chart = LineChart(Axis("component", whole=True), axis, series)
    return [Picture("variances", "findings", CURVES, chart, read_captions()["variances"])]


def draw_densities(runs: Sequence[Run]) -> list[Picture]:
    """One density plane per run with at least two latents; one chart of all densities over a single latent."""
    pictures, lines = [], []
    for run in runs:
        found = run.find(LatentDensity)
        if found is None:
            continue
        values, axes = tables.flatten_density(found)
        if len(axes) == 1:
            lines.append(Series(run.slug, axes[0], values))
            continue
        step = -(-values.shape[0] // MOST_GRID)
        chart = kinds.DensityChart(
            Axis("latent 1"),
            Axis("latent 2"),
            axes[0, ::step],
            axes[1, ::step],
            np.clip(values[::step, ::step].T, 0, None),
            _path(run),
            _points(run, axes),
        )
        words = f"{run.label}: density over the first two latents."
        lead = read_captions()["density"]
        pictures.append(Picture(f"density-{run.slug}", "findings", "Latent density", chart, words, run.slug, lead))
    if lines:
        chart = LineChart(Axis("latent 1"), Axis("density", 0), lines)
        words = "Density of the particles along the single latent, as each method estimates it."
        pictures.append(Picture("density-line", "findings", CURVES, chart, words))
    return pictures


def _path(run: Run) -> np.ndarray | None:
    path = run.find(LatentPath)
    if path is None or path.latents.shape[1] < 2:
        return None
    return np.asarray(path.latents[:, :2], dtype=np.float64)


def _points(run: Run, axes: np.ndarray) -> np.ndarray | None:
    """Latents (m, 2) of some of the particles within the density's grid."""
    latents = run.reconstruction.latents
    if latents is None or latents.shape[1] < 2:
        return None
    positions = np.asarray(latents[:, :2], dtype=np.float64)
    inside = (
        np.isfinite(positions).all(axis=1)
        & (positions >= axes[:, 0]).all(axis=1)
        & (positions <= axes[:, -1]).all(axis=1)
    )
    shown = draw_subset(np.flatnonzero(inside), MOST_POINTS, seed=0, purpose="report/density")
    return positions[shown]


def draw_half_sets(runs: Sequence[Run], dataset: Dataset) -> list[Picture]:
    """One curve per run; for classes, the median and range over those that have particles."""
    table = _drop_empty_classes(tables.tabulate_half_sets(runs, dataset), tables.tabulate_classes(runs))
    series = []
    for slug, rows in by_run(table):
        groups = rows.groupby("frequency")["fsc"].agg(["median", "min", "max"]).reset_index()
        several = len(set(rows["class"])) > 1
        low, high = (column_of(groups, name) if several else None for name in ("min", "max"))
        series.append(Series(slug, column_of(groups, "frequency"), column_of(groups, "median"), low, high))
    if not series:
        return []
    reach = max(float(line.x[-1]) for line in series)
    low = shown_limits(column_of(table, "fsc"), low=0, high=1)[0]
    chart = LineChart(
        Axis("spatial frequency / Å⁻¹", 0, reach, inverse="resolution / Å"),
        Axis("Fourier shell correlation", 1.05 * low, 1.03),
        series,
        [Reference("0.143", np.array([0, reach]), np.full(2, GOLD_STANDARD), "dotted")],
    )
    return [Picture("half-set-fsc", "findings", CURVES, chart, read_captions()["half-set-fsc"])]


def draw_controls(runs: Sequence[Run], dataset: Dataset) -> list[Picture]:
    """Half-set FSC next to that of the control, for each run that has one."""
    pictures = []
    for slug, rows in by_run(tables.tabulate_half_sets(runs, dataset).dropna(subset=["control"])):
        frequency, control = column_of(rows, "frequency"), column_of(rows, "control")
        chart = LineChart(
            Axis("spatial frequency / Å⁻¹", 0, float(frequency[-1]), inverse="resolution / Å"),
            Axis("Fourier shell correlation", shown_limits(control, low=0, high=1)[0], 1.03),
            [Series(slug, frequency, column_of(rows, "fsc"))],
            [Reference("without motion", frequency, control)],
        )
        words = read_captions()["half-set-control"]
        pictures.append(Picture(f"half-set-control-{slug}", "findings", CURVES, chart, words, slug))
    return pictures


def _drop_empty_classes(table: pd.DataFrame, classes: pd.DataFrame) -> pd.DataFrame:
    """The curves without those of empty classes."""
    empty = pd.MultiIndex.from_frame(pd.DataFrame(classes.loc[classes["population"] == 0, ["slug", "class"]]))
    return pd.DataFrame(table.loc[~pd.MultiIndex.from_frame(pd.DataFrame(table[["slug", "class"]])).isin(empty)])


def draw_convergence(runs: Sequence[Run]) -> list[Picture]:
    """Objective against iteration, one chart for the runs with the same definition of it."""
    table = tables.tabulate_progress(runs)
    table = table.loc[table.duplicated(["definition", "slug"], keep=False)]
    pictures = []
    for definition in dict.fromkeys(table["definition"]):
        alike = pd.DataFrame(table.loc[table["definition"] == definition])
        series = kinds.series_by_run(alike, "iteration", "objective")
        words = (
            f"Convergence: {definition or 'an objective that the run does not define'}. A curve that still changes "
            "was stopped early; a flat one may be in a local optimum. It does not measure agreement with the truth."
        )
        chart = LineChart(Axis("iteration", whole=True), Axis("objective"), series)
        key = f"convergence-{len(pictures) + 1}" if pictures else "convergence"
        pictures.append(Picture(key, "findings", CURVES, chart, words))
    return pictures
