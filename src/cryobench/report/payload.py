"""The tables as the page's scripts read them: plain JSON, numbers rounded, what is not measured null."""

import json
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
from matplotlib.colors import to_hex

from cryobench.report.contents import Contents
from cryobench.report.figures.assignments import CYCLIC
from cryobench.report.tables import describe_metric

MOST_CURVES = 100
"""Single FSC curves per run and mask on the page; evenly spaced query particles of more."""
_MARKERS = {
    "o": "circle", "s": "square", "D": "diamond", "^": "triangle-up", "v": "triangle-down",
    "P": "cross", "X": "x", "h": "hexagon",
}  # fmt: skip


def plot_data(contents: Contents) -> dict[str, Any]:
    """What every plot of the page but the surfaces is drawn from."""
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
            row["slug"]: _number(row["wall_seconds"])
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
        "ctf": _ctf(contents),
        "poses": _poses(contents),
        "states": None
        if contents.states is None
        else {"state": contents.states["state"].tolist(), "particles": contents.states["particles"].tolist()},
    }


def write_script(path: Path, call: str, value: Any) -> None:
    """A script file that hands ``value`` to the page: pages opened from disk may not read JSON files."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    path.write_text(f"{call}({text});\n", encoding="utf-8")


def _number(value: Any, digits: int = 6) -> float | None:
    number = float(value)
    return float(f"{number:.{digits}g}") if np.isfinite(number) else None


def _numbers(values: Any, digits: int = 5) -> list[float | None]:
    return [_number(value, digits) for value in np.asarray(values, dtype=np.float64).ravel()]


def _metrics(contents: Contents) -> list[dict[str, Any]]:
    result = []
    for metric in contents.metrics:
        text = describe_metric(metric)
        values = {
            row["slug"]: [*(_number(row[name]) for name in ("value", "low", "high")), row["n"], row["never_crossed"]]
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
            "frequency": _numbers(rows["frequency"]),
            "mean": _numbers(rows["mean"], 4),
            "low": _numbers(rows["low"], 4),
            "high": _numbers(rows["high"], 4),
            "n": int(rows["n"].to_numpy().max()),
        }
    for key, rows in contents.curves.groupby(["slug", "mask"], sort=False):
        slug, mask = cast("tuple[str, str]", key)
        particles = np.unique(rows["particle"])
        shown = particles[np.unique(np.linspace(0, len(particles) - 1, min(len(particles), MOST_CURVES)).astype(int))]
        wide = rows.pivot_table(index="particle", columns="shell", values="fsc").loc[shown]
        target = runs[slug][mask]
        target["particles"] = [int(particle) for particle in shown]
        target["curves"] = [_numbers(curve, 4) for curve in wide.to_numpy()]
    masks = [mask for mask in ("mask", "none") if mask in set(contents.curves["mask"])]
    return {"pixel_size": contents.dataset.particles.pixel_size, "masks": masks, "runs": runs}


def _class_map(table: pd.DataFrame) -> dict[str, Any]:
    grid = table.pivot(index="order", columns="truth", values="share")
    names = table.drop_duplicates("order").set_index("order")["class"].sort_index()
    particles = table.drop_duplicates("truth").set_index("truth")["particles"].loc[grid.columns]
    return {
        "truth": _numbers(grid.columns, 6),
        "names": [int(name) for name in names],
        "share": [_numbers(row, 4) for row in grid.to_numpy()],
        "particles": [int(count) for count in particles],
    }


def _scatter(table: pd.DataFrame) -> dict[str, Any]:
    return {
        "particle": [int(particle) for particle in table["particle"]],
        "first": _numbers(table["first"]),
        "second": _numbers(table["second"]),
        "truth": _numbers(table["truth"]),
        "explained": table.attrs.get("explained", []),
    }


def _histogram(values: Any, bins: Any = 30) -> dict[str, Any]:
    counts, edges = np.histogram(np.asarray(values, dtype=np.float64), bins=bins)
    return {
        "middle": _numbers((edges[:-1] + edges[1:]) / 2),
        "width": _number(edges[1] - edges[0]),
        "count": [int(count) for count in counts],
    }


def _ctf(contents: Contents) -> dict[str, Any]:
    return {
        "defocus": _histogram(contents.ctf["defocus"]),
        "astigmatism": _histogram(contents.ctf["astigmatism"]),
        "curves": [
            {
                "particle": int(rows["particle"].iloc[0]),
                "defocus": _number(rows["defocus"].iloc[0], 4),
                "frequency": _numbers(rows["frequency"], 4),
                "value": _numbers(rows["value"], 4),
            }
            for _, rows in contents.ctf_curves.groupby("particle", sort=False)
        ],
    }


def _poses(contents: Contents) -> dict[str, Any] | None:
    if contents.directions is None or contents.poses is None:
        return None
    grid = contents.directions.pivot(index="y", columns="x", values="count")
    hover = {
        name: contents.directions.pivot(index="y", columns="x", values=name) for name in ("longitude", "latitude")
    }
    return {
        "x": _numbers(grid.columns, 4),
        "y": _numbers(grid.index, 4),
        "count": [[None if np.isnan(v) else int(v) for v in row] for row in grid.to_numpy()],
        "angles": [
            [None if np.isnan(a) else f"{a:.0f}°, {b:.0f}°" for a, b in zip(first, second, strict=True)]
            for first, second in zip(hover["longitude"].to_numpy(), hover["latitude"].to_numpy(), strict=True)
        ],
        "expected": _number(contents.directions.attrs["expected"], 4),
        "psi": _histogram(contents.poses["psi"], np.linspace(-180, 180, 25)),
        "shift_x": _numbers(contents.poses["x"], 4),
        "shift_y": _numbers(contents.poses["y"], 4),
        "particle": [int(particle) for particle in contents.poses["particle"]],
    }
