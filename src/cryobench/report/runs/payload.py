"""The tables of runs as the page's scripts read them: plain JSON, numbers rounded, what is not measured null."""

from typing import Any, cast

import numpy as np
import pandas as pd
from matplotlib.colors import to_hex

from cryobench.metrics.display import find_kind
from cryobench.report.figures.style import CYCLIC, DISCRETE
from cryobench.report.page import number, numbers
from cryobench.report.runs.charts_payload import chart_data, latent_data
from cryobench.report.runs.contents import Contents
from cryobench.report.runs.tables import CURVE_KINDS

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
        "costs": costs_of(contents),
        "truth": None
        if contents.truth_axis is None
        else {"title": contents.truth_axis.title, "period": contents.truth_axis.period},
        "cyclic": [[place, to_hex(CYCLIC(place))] for place in np.linspace(0, 1, 17).tolist()],
        "discrete": list(DISCRETE),
        "classes": {slug: _class_map(table) for slug, table in contents.classes.items()},
        "latents": latent_data(contents.latents, contents.colourings, contents.series),
        "charts": chart_data(contents.pictures),
    }


_COSTS = {
    "wall_seconds": "wall time / s",
    "cpu_seconds": "CPU time / s",
    "gpu_seconds": "GPU time / s",
    "peak_memory_bytes": "peak memory / GiB",
    "peak_gpu_memory_bytes": "peak GPU memory / GiB",
}
"""Columns of the table of runs and their axes; bytes are counted in GiB."""


def costs_of(contents: Contents) -> list[dict[str, Any]]:
    """Costs that any run recorded, by slug."""
    rows = contents.run_table[contents.run_table["status"] != "failed"]
    found = []
    for column, title in _COSTS.items():
        values = np.asarray(rows[column], dtype=np.float64) / (2**30 if column.endswith("bytes") else 1)
        if bool((values > 0).any()):
            by_slug = dict(zip(rows["slug"], map(number, values), strict=True))
            found.append({"name": column, "title": title, "values": by_slug})
    return found


def _metrics(contents: Contents) -> list[dict[str, Any]]:
    result = []
    for metric in contents.score_names:
        kind = find_kind(metric)
        values = {
            row["slug"]: [*(number(row[name]) for name in ("value", "low", "high")), row["n"], row["never_crossed"]]
            for row in contents.scores.query("metric == @metric").to_dict("records")
        }
        result.append(
            {
                "name": metric,
                "title": kind.label,
                "unit": kind.unit,
                "decimals": kind.decimals,
                "lower": kind.better == "lower",
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
    masks = [mask for mask in CURVE_KINDS if mask in set(contents.curves["mask"])]
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
