"""Charts of latents: common neighbours, information imbalance, decodability."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from cryobench.metrics.latents.scores import (
    LARGEST_AVERAGED,
    InformationImbalanceMetric,
    NeighbourhoodSimilarityMetric,
)
from cryobench.metrics.variables.decoding import DecodabilityMetric
from cryobench.report.charts import kinds
from cryobench.report.charts.kinds import Axis, Picture, Point, Reference, read_captions, shown_limits
from cryobench.report.scored_runs.tables import Run, by_run, column_of, gather_curve

_TOWARDS = {"truth": "heterogeneity", "pose": "pose", "ctf": "CTF"}


def draw_neighbours(runs: Sequence[Run]) -> list[Picture]:
    """Common neighbours against radius: relative to the maximum that ties allow, and as published."""
    table = gather_curve(runs, NeighbourhoodSimilarityMetric.name)
    if table.empty:
        return []
    # The spread is that of common neighbours with ties broken by index, scaled to the ceiling like the values.
    spreads = {"attained": table["spread"] * 100 / table["ceiling"].clip(lower=1e-9), "published": table["spread"]}
    first = by_run(table)[0][1]
    radii, ceiling, of_self = column_of(first, "radius"), column_of(first, "ceiling"), 100 / column_of(first, "k")
    references = {
        "attained": [Reference("chance", radii, column_of(first, "attained_chance"), "dotted")],
        "published": [Reference("chance", radii, column_of(first, "chance") + of_self, "dotted")],
    }
    if (ceiling < 99.9).any():
        references["published"].append(Reference("largest possible", radii, ceiling + of_self))
    pictures = []
    for key, spread in spreads.items():
        ends = table.assign(low=table[key] - spread, high=table[key] + spread)
        series = kinds.series_by_run(ends, "radius", key, "low", "high")
        highest = np.concatenate([line.y for line in (*series, *references[key])]) * 1.02
        x = Axis("radius / % of the particles", 0, float(radii.max()))
        y = Axis("common neighbours / %", 0, shown_limits(highest, low=0, high=100)[1])
        chart = kinds.LineChart(x, y, series, references[key])
        name = f"neighbours-{key}"
        pictures.append(Picture(name, "latents", "Neighbours", chart, read_captions()[name]))
    return pictures


def draw_imbalance(runs: Sequence[Run]) -> list[Picture]:
    """Information imbalance in both directions, between the latent and conformation, pose and CTF."""
    table = imbalance_table(runs)
    pictures = []
    for against in dict.fromkeys(table["against"]):
        rows = pd.DataFrame(table.loc[table["against"] == against])
        columns = ["slug", "to_latent", "from_latent", "to_spread", "from_spread"]
        points = [Point(*row) for row in rows[columns].itertuples(index=False)]
        centres, spreads = (rows[columns].to_numpy()[:, part].astype(float) for part in (slice(1, 3), slice(3, 5)))
        ends = np.r_[centres - spreads, centres + spreads].ravel()
        if against == "truth":
            low, high = shown_limits(ends, low=0, high=1.05)
            marks = [Point("perfect", 0, 0), Point("chance", 1, 1)]
        else:
            low, high = shown_limits(ends, low=0.9, high=1.1)
            marks = [Point("no leak", 1, 1)]
        # Below the mark of the perfect result there is room for its name.
        below = 0.07 if against == "truth" else 0.02
        limits = low - below * (high - low), high + 0.02 * (high - low)
        name, key = _TOWARDS.get(against, against), f"imbalance-{against}"
        x, y = Axis(f"Δ, {name} to latent", *limits), Axis(f"Δ, latent to {name}", *limits)
        caption = read_captions().get(key, "The same between the latent and another space.")
        chart = kinds.PlaneChart(x, y, points, marks)
        pictures.append(Picture(key, "latents", "Information imbalance", chart, caption))
    return pictures


def imbalance_table(runs: Sequence[Run]) -> pd.DataFrame:
    """Imbalance averaged over k up to 30: columns slug, run, against, to_latent, from_latent and their spreads."""
    columns = ["slug", "run", "against", "to_latent", "from_latent", "to_spread", "from_spread"]
    table = gather_curve(runs, InformationImbalanceMetric.name)
    if table.empty:
        return pd.DataFrame(columns=columns)
    table = table.loc[(table["points"] == "subsets") & (table["k"] <= LARGEST_AVERAGED)]
    rows = []
    for (against, slug, run), group in table.groupby(["against", "slug", "run"], sort=False):
        ways = [
            column_of(pd.DataFrame(group.loc[group["direction"] == way]), "value")
            for way in (f"{against} to latent", f"latent to {against}")
        ]
        rows.append((slug, run, against, *(float(way.mean()) for way in ways), *(float(way.std()) for way in ways)))
    return pd.DataFrame(rows, columns=columns)


def draw_decodability(runs: Sequence[Run]) -> list[Picture]:
    """R² of every collective variable, predicted by nearest neighbours and by a linear map."""
    table = gather_curve(runs, DecodabilityMetric.name)
    if table.empty:
        return []
    names = list(dict.fromkeys(table["variable"]))
    mean = Reference("predicting the mean", np.zeros(len(names)), np.arange(len(names), dtype=np.float64))
    pictures = []
    for way, title in {"knn": "R², nearest neighbours", "linear": "R², linear"}.items():
        low = float(np.nanmin(column_of(table, f"{way}_low")))
        axis = Axis(title, max(-1.0, min(0.0, low * 1.05)), 1.02)
        series = kinds.series_by_name(table, names, "variable", way, f"{way}_low", f"{way}_high")
        chart, name = kinds.DotChart(axis, names, series, [mean]), f"decodability-{way}"
        pictures.append(Picture(name, "latents", "Decodability", chart, read_captions()[name]))
    return pictures
