"""The tables of runs as the page's scripts read them: plain JSON, numbers rounded, what is not measured null."""

from typing import Any, cast

import numpy as np
import pandas as pd
from matplotlib.colors import to_hex

from cryobench.report.contents import Contents
from cryobench.report.figures.assignments import CYCLIC
from cryobench.report.page import number, numbers
from cryobench.report.tables import describe_metric

MOST_CURVES = 100
"""Single FSC curves per run and mask on the page; evenly spaced query particles of more."""
_MARKERS = {
    "o": "circle", "s": "square", "D": "diamond", "^": "triangle-up", "v": "triangle-down",
    "P": "cross", "X": "x", "h": "hexagon",
}  # fmt: skip


def plot_data(contents: Contents) -> dict[str, Any]:
    """What the plots of runs are drawn from, but for the surfaces."""
    return {
        "runs": {
            slug: {
                "label": style.label,
                "colour": style.colour,
                "dash": style.dash,
                "marker": _MARKERS[style.marker],
                "control": style.is_control,
            }
            for slug, style in contents.styles.items()
        },
        "metrics": _metrics(contents),
        "fsc": _fsc(contents),
        "cost": {
            row["slug"]: number(row["wall_seconds"])
            for row in contents.run_table.to_dict("records")
            if row["status"] != "failed"
        },
        "truth": None
        if contents.truth_axis is None
        else {"title": contents.truth_axis.title, "period": contents.truth_axis.period},
        "cyclic": [[place, to_hex(CYCLIC(place))] for place in np.linspace(0, 1, 17).tolist()],
        "classes": {slug: _class_map(table) for slug, table in contents.classes.items()},
        "latents": {slug: _scatter(table) for slug, table in contents.latents.items()}
        | ({} if contents.truth_embedding is None else {"truth": _scatter(contents.truth_embedding)}),
    }


def _metrics(contents: Contents) -> list[dict[str, Any]]:
    result = []
    for metric in contents.metrics:
        text = describe_metric(metric)
        values = {
            row["slug"]: [*(number(row[name]) for name in ("value", "low", "high")), row["n"], row["never_crossed"]]
            for row in contents.scores.query("metric == @metric").to_dict("records")
        }
        result.append(
            {
                "name": metric,
                "title": text.title,
                "unit": text.unit,
                "decimals": text.decimals,
                "lower": text.lower_is_better,
                "values": values,
            }
        )
    return result


def _fsc(contents: Contents) -> dict[str, Any] | None:
    if contents.curves.empty:
        return None
    runs: dict[str, dict[str, Any]] = {}
    for key, rows in contents.curve_summary.groupby(["slug", "mask"], sort=False):
        slug, mask = cast("tuple[str, str]", key)
        rows = rows.sort_values("shell")
        runs.setdefault(slug, {})[mask] = {
            "frequency": numbers(rows["frequency"]),
            "mean": numbers(rows["mean"], 4),
            "low": numbers(rows["low"], 4),
            "high": numbers(rows["high"], 4),
            "n": int(rows["n"].to_numpy().max()),
        }
    for key, rows in contents.curves.groupby(["slug", "mask"], sort=False):
        slug, mask = cast("tuple[str, str]", key)
        particles = np.unique(rows["particle"])
        shown = particles[np.unique(np.linspace(0, len(particles) - 1, min(len(particles), MOST_CURVES)).astype(int))]
        wide = rows.pivot_table(index="particle", columns="shell", values="fsc").loc[shown]
        target = runs[slug][mask]
        target["particles"] = [int(particle) for particle in shown]
        target["curves"] = [numbers(curve, 4) for curve in wide.to_numpy()]
    masks = [mask for mask in ("mask", "none") if mask in set(contents.curves["mask"])]
    return {"pixel_size": contents.dataset.particles.pixel_size, "masks": masks, "runs": runs}


def _class_map(table: pd.DataFrame) -> dict[str, Any]:
    grid = table.pivot(index="order", columns="truth", values="share")
    names = table.drop_duplicates("order").set_index("order")["class"].sort_index()
    particles = table.drop_duplicates("truth").set_index("truth")["particles"].loc[grid.columns]
    return {
        "truth": numbers(grid.columns, 6),
        "names": [int(name) for name in names],
        "share": [numbers(row, 4) for row in grid.to_numpy()],
        "particles": [int(count) for count in particles],
    }


def _scatter(table: pd.DataFrame) -> dict[str, Any]:
    return {
        "particle": [int(particle) for particle in table["particle"]],
        "first": numbers(table["first"]),
        "second": numbers(table["second"]),
        "truth": numbers(table["truth"]),
        "explained": table.attrs.get("explained", []),
    }
