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
from cryobench.report.charts.kinds import (
    Axis,
    DotChart,
    LineChart,
    Picture,
    PlaneChart,
    Point,
    Reference,
    Series,
    shown_limits,
)
from cryobench.report.runs.tables import Run, by_run, column_of, gather_curve

_TOWARDS = {"truth": "heterogeneity", "pose": "pose", "ctf": "CTF"}


def draw_neighbours(runs: Sequence[Run]) -> list[Picture]:
    """Common neighbours against radius: relative to the maximum that ties allow, and as published."""
    table = gather_curve(runs, NeighbourhoodSimilarityMetric.name)
    if table.empty:
        return []
    words = {
        "attained": "Percentage of each particle's nearest neighbours by true conformation that are also nearest "
        "neighbours in the latent, relative to the maximum that ties in the truth allow (the truth scores 100). "
        "Band: standard deviation over five subsets of the particles, with the same scaling. Dotted: chance, an "
        "uninformative latent. High values at small radii mean that fine detail is kept; at large radii, only that "
        "distant regions are separated. Large radii are easy: at 20 % a coarse latent looks good.",
        "published": "As published: the particle itself counts among the common neighbours but not in their total, "
        "so small radii are overestimated and can exceed 100 %, and ties are broken by order in the file. Grey: the "
        "highest value any latent can reach, averaged over ways to break ties; where the truth is in discrete "
        "states, a latent that keeps the order of the file can exceed it.",
    }  # fmt: skip
    lines = {key: [] for key in words}
    for slug, rows in by_run(table):
        radii, spread = column_of(rows, "radius"), column_of(rows, "spread")
        # The spread is that of common neighbours with ties broken by index, scaled to the ceiling like the values.
        scaled = spread * 100 / np.maximum(column_of(rows, "ceiling"), 1e-9)
        for key, bar in (("attained", scaled), ("published", spread)):
            values = column_of(rows, key)
            lines[key].append(Series(slug, radii, values, values - bar, values + bar))
    first = by_run(table)[0][1]
    radii, of_self = column_of(first, "radius"), 100 / column_of(first, "k")
    ceiling = column_of(first, "ceiling")
    references = {
        "attained": [Reference("chance", radii, column_of(first, "attained_chance"), "dotted")],
        "published": [Reference("chance", radii, column_of(first, "chance") + of_self, "dotted")],
    }
    if (ceiling < 99.9).any():
        references["published"].append(Reference("largest possible", radii, ceiling + of_self))
    pictures = []
    for key, series in lines.items():
        highest = np.concatenate([line.y for line in (*series, *references[key])]) * 1.02
        x = Axis("radius / % of the particles", 0, float(radii.max()))
        y = Axis("common neighbours / %", 0, shown_limits(highest, low=0, high=100)[1])
        chart = LineChart(x, y, series, references[key])
        pictures.append(Picture(f"neighbours-{key}", "latents", "Neighbours", chart, words[key]))
    return pictures


def draw_imbalance(runs: Sequence[Run]) -> list[Picture]:
    """Information imbalance in both directions, between the latent and conformation, pose and CTF."""
    table = imbalance_table(runs)
    words = {
        "truth": "Information imbalance Δ between the latent and the true conformation, mean over 1, 3, 10 and 30 "
        "neighbours; bars: standard deviation over these. Lower left is better: at 0 one space fully predicts the "
        "other, at 1 not at all. Left of the diagonal the truth predicts the latent better than the latent predicts "
        "the truth: the latent has lost detail; below it, the latent encodes something other than conformation. The "
        "quality of decoded volumes is not assessed.",
        "pose": "The same between the latent and the true pose. A latent should be independent of pose: a good run "
        "is at (1, 1); below 1, viewing direction leaks into the latent and passes for heterogeneity.",
        "ctf": "The same between the latent and the CTF parameters of the images: (1, 1) is again correct; below 1, "
        "defocus leaks into the latent. Latents that coincide within classes can alone lower it slightly below 1.",
    }  # fmt: skip
    pictures = []
    for against in dict.fromkeys(table["against"]):
        rows = pd.DataFrame(table.loc[table["against"] == against])
        points = [
            Point(row["slug"], *(row[name] for name in ("to_latent", "from_latent", "to_spread", "from_spread")))
            for row in rows.to_dict("records")
        ]
        ends = np.concatenate(
            [
                column_of(rows, f"{way}_latent") + sign * column_of(rows, f"{way}_spread")
                for way in ("to", "from")
                for sign in (-1, 1)
            ]
        )
        if against == "truth":
            low, high = shown_limits(ends, low=0, high=1.05)
            marks = [Point("perfect", 0, 0), Point("chance", 1, 1)]
        else:
            low, high = shown_limits(ends, low=0.9, high=1.1)
            marks = [Point("no leak", 1, 1)]
        limits = low - 0.02 * (high - low), high + 0.02 * (high - low)
        name = _TOWARDS.get(against, against)
        x, y = Axis(f"Δ, {name} to latent", *limits), Axis(f"Δ, latent to {name}", *limits)
        chart = PlaneChart(x, y, points, marks)
        caption = words.get(against, "The same between the latent and another space.")
        pictures.append(Picture(f"imbalance-{against}", "latents", "Information imbalance", chart, caption))
    return pictures


def imbalance_table(runs: Sequence[Run]) -> pd.DataFrame:
    """Imbalance averaged over k up to 30: columns slug, run, against, to_latent, from_latent and their spreads."""
    columns = ["slug", "run", "against", "to_latent", "from_latent", "to_spread", "from_spread"]
    table = gather_curve(runs, InformationImbalanceMetric.name)
    if table.empty:
        return pd.DataFrame(columns=columns)
    table = table.loc[(table["points"] == "subsets") & (table["k"] <= LARGEST_AVERAGED)]
    rows = []
    for against in dict.fromkeys(table["against"]):
        for slug, group in by_run(pd.DataFrame(table.loc[table["against"] == against])):
            ways = [
                column_of(pd.DataFrame(group.loc[group["direction"] == way]), "value")
                for way in (f"{against} to latent", f"latent to {against}")
            ]
            run = next(iter(group["run"]))
            rows.append(
                (slug, run, against, *(float(way.mean()) for way in ways), *(float(way.std()) for way in ways))
            )
    return pd.DataFrame(rows, columns=columns)


def draw_decodability(runs: Sequence[Run]) -> list[Picture]:
    """R² of every collective variable, predicted by nearest neighbours and by a linear map."""
    table = gather_curve(runs, DecodabilityMetric.name)
    if table.empty:
        return []
    names = list(dict.fromkeys(table["variable"]))
    words = {
        "knn": "R² of each collective variable predicted from the 10 nearest latents, cross-validated: 1 is perfect, "
        "0 is predicting the mean. Bars: 95 % intervals over particles. It shows whether the latent encodes the "
        "variable in any form; particles of one state are on both sides of the split.",
        "linear": "The same with a linear map: whether the variable is an axis of the latent or, if it is circular, "
        "a circle in a plane of it. Lower than the R² of nearest neighbours where the relation is curved.",
    }  # fmt: skip
    titles = {"knn": "R², nearest neighbours", "linear": "R², linear"}
    pictures = []
    for way, title in titles.items():
        low = float(np.nanmin(column_of(table, f"{way}_low")))
        axis = Axis(title, max(-1.0, min(0.0, low * 1.05)), 1.02)
        series = [
            Series(
                slug,
                column_of(rows, way),
                np.array([names.index(name) for name in rows["variable"]], dtype=np.float64),
                column_of(rows, f"{way}_low"),
                column_of(rows, f"{way}_high"),
            )
            for slug, rows in by_run(table)
        ]
        everywhere = np.arange(len(names), dtype=np.float64)
        chart = DotChart(axis, names, series, [Reference("predicting the mean", np.zeros(len(names)), everywhere)])
        pictures.append(Picture(f"decodability-{way}", "latents", "Decodability", chart, words[way]))
    return pictures
