"""Charts of latents: shared neighbours, information imbalance, decodability."""

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
    """Shared neighbours against the radius: as a share of what ties allow, and as published."""
    table = gather_curve(runs, NeighbourhoodSimilarityMetric.name)
    if table.empty:
        return []
    words = {
        "attained": "Of each particle's nearest neighbours in the true conformation, the share that are nearest in "
        "the latent too, in percent of what ties of the truth allow, so that the truth itself has 100. Band: "
        "standard deviation over five subsets of the particles, scaled alike. Dotted: chance, a latent that knows "
        "nothing. A high left end means that fine detail is kept, a high right end only that far regions are told "
        "apart. Large radii are easy: at 20 % a coarse latent looks good.",
        "published": "The same as published: the particle itself is counted among the neighbours but not in their "
        "number, so that small radii look better than they are and can pass 100 %, and ties are broken by their "
        "order in the file. Grey: the most that any latent could have, averaged over ways to break ties; where the "
        "truth is in states, a latent that keeps the order of the file can pass it.",
    }  # fmt: skip
    lines = {key: [] for key in words}
    for slug, rows in by_run(table):
        radii, spread = column_of(rows, "radius"), column_of(rows, "spread")
        # The spread is that of the neighbours shared with ties broken by index; a share of the ceiling scales it.
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
        y = Axis("neighbours shared / %", 0, shown_limits(highest, low=0, high=100)[1])
        chart = LineChart(x, y, series, references[key])
        pictures.append(Picture(f"neighbours-{key}", "latents", "Neighbours", chart, words[key]))
    return pictures


def draw_imbalance(runs: Sequence[Run]) -> list[Picture]:
    """The plane of information imbalance, both directions, towards heterogeneity, pose and CTF."""
    table = imbalance_table(runs)
    words = {
        "truth": "Information imbalance Δ between the latent and the true conformation, mean over 1, 3, 10 and 30 "
        "neighbours; bars: standard deviation over these. Lower left is better: at 0 one space tells everything of "
        "the other, at 1 nothing. Left of the diagonal the truth tells more of the latent than the latent tells of "
        "the truth: the latent has lost detail; below it, the latent holds something besides the conformation. It "
        "does not see whether decoded volumes are any good.",
        "pose": "The same between the latent and the true pose. A latent should know nothing of pose: a good run "
        "sits at (1, 1), and one below 1 leaks the viewing direction into what it calls heterogeneity.",
        "ctf": "The same between the latent and the CTF parameters of the images: again (1, 1) is right, and below "
        "1 defocus leaks into the latent. Classes share latents, which alone can take a little off 1.",
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
        caption = words.get(against, "The same against another space.")
        pictures.append(Picture(f"imbalance-{against}", "latents", "Information imbalance", chart, caption))
    return pictures


def imbalance_table(runs: Sequence[Run]) -> pd.DataFrame:
    """Imbalance averaged over k up to 30: slug, run, against, to_latent, from_latent and their spreads."""
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
    """R² of every collective variable, from nearest neighbours and from a plane."""
    table = gather_curve(runs, DecodabilityMetric.name)
    if table.empty:
        return []
    names = list(dict.fromkeys(table["variable"]))
    words = {
        "knn": "How well each collective variable is read from the latent by the 10 nearest latents, "
        "cross-validated: 1 is perfect, 0 what the mean would do. Bars: 95 % intervals over particles. It asks "
        "whether the variable is there at all, in any form; particles of one state are on both sides of the split.",
        "linear": "The same by a linear map: whether the variable is an axis of the latent, or of a circular one, "
        "whether its circle lies flat in it. Lower than the other where the relation is curved.",
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
        chart = DotChart(axis, names, series, [Reference("the mean would do", np.zeros(len(names)), everywhere)])
        pictures.append(Picture(f"decodability-{way}", "latents", "Decodability", chart, words[way]))
    return pictures
