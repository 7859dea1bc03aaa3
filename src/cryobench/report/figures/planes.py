"""Dots with intervals by name, and runs or particles in a plane."""

import json
from collections.abc import Mapping

import numpy as np

from cryobench.report.charts.kinds import Axis, DotChart, GraphChart, PlaneChart, ScatterChart, SnapshotChart
from cryobench.report.colours import CYCLIC, DISCRETE
from cryobench.report.figures.vega import (
    PAGE_WIDTH,
    Medium,
    Runs,
    Spec,
    colour_bar,
    encode,
    square,
    stack,
    table,
    tooltip,
)
from cryobench.report.runs.colourings import Colouring
from cryobench.report.runs.styles import RunStyle

MANY = 12
"""Names; of more the rows are narrower."""
_NUMBER = ".4~g"


def dot_spec(chart: DotChart, styles: Mapping[str, RunStyle], medium: Medium, width: int = PAGE_WIDTH) -> Spec:
    """Rows from top to bottom: references as ticks, intervals as lines, values as markers."""
    n_rows, n_runs = len(chart.names), len(chart.series)
    extra = [RunStyle(each.label, medium.muted, marker="stroke") for each in chart.references]
    runs = Runs([styles[series.slug] for series in chart.series], medium, width, extra)
    if chart.own_rows:
        runs.legend = None
    rows = [
        {
            "x": series.x,
            "y": series.y + (0 if chart.own_rows else 0.7 * ((place + 0.5) / n_runs - 0.5)),
            "low": np.nan if series.low is None else series.low,
            "high": np.nan if series.high is None else series.high,
            "run": styles[series.slug].label,
            "name": [chart.names[int(row)] for row in series.y],
            "n": np.nan if series.counts is None else series.counts,
        }
        for place, series in enumerate(chart.series)
    ]
    axis: Spec = {
        "values": list(range(n_rows)), "labelExpr": f"{json.dumps(chart.names)}[datum.value]", "grid": False,
        "tickCount": n_rows, "ticks": False, "domain": False, "labelLimit": 150, "labelOverlap": False,
    }  # fmt: skip
    y = encode("y", Axis("", n_rows - 0.5, -0.5), **axis)
    x = encode("x", chart.value, titleAnchor="end")
    known = (
        {"low": ("from", _NUMBER), "high": ("to", _NUMBER)}
        if any(each.low is not None for each in chart.series)
        else {}
    )
    said = {} if chart.own_rows else {"name": ("of", "")}
    n = {"n": ("items", "d")} if any(each.counts is not None for each in chart.series) else {}
    between = np.arange(1, n_rows) - 0.5
    layers: list[Spec] = [
        {"data": table({"y": between}), "mark": {"type": "rule", "style": "quiet"}, "encoding": {"y": y}},
        *(
            {
                "data": table({"x": each.x, "y": each.y}),
                "mark": {"type": "tick", "style": "mark", "orient": "vertical", "thickness": 2, "size": 16},
                "encoding": {"x": x, "y": y},
            }
            for each in chart.references
        ),
        {
            "data": stack(rows),
            "transform": runs.filters,
            "mark": {"type": "rule", "strokeWidth": 2},
            "encoding": {"x": {**x, "field": "low"}, "x2": {"field": "high"}, "y": y, **runs.channels("color")},
        },
        {
            "data": stack(rows),
            "transform": runs.filters,
            "params": runs.params,
            "mark": {"type": "point", "size": 60 * medium.marker, "strokeWidth": 0.8 + medium.marker, "opacity": 1},
            "encoding": {
                "x": x,
                "y": y,
                **runs.channels("color", "fill", "shape"),
                **tooltip(medium, run=("run", ""), **said, x=(chart.value.title, _NUMBER), **known, **n),
            },
        },
    ]
    each = 34 if chart.own_rows else 22 if n_rows > MANY else min(66, 18 + 9 * n_runs)
    title: Spec = {}
    if chart.remark:
        look = {"anchor": "end", "frame": "bounds", "fontSize": medium.size - 1, "color": medium.muted}
        title = {"title": {"text": chart.remark, **look}}
    return {"layer": layers, "height": max(60, round(each * n_rows * (1 if medium.interactive else 0.62))), **title}


def plane_spec(chart: PlaneChart, styles: Mapping[str, RunStyle], medium: Medium, width: int = PAGE_WIDTH) -> Spec:
    """Runs in a plane with both spreads, its diagonal, and marks of what is perfect and what is chance."""
    runs = Runs([styles[point.slug] for point in chart.points], medium, width)
    columns = {
        "run": [styles[point.slug].label for point in chart.points],
        **{
            name: np.array([point.__dict__[of] + sign * point.__dict__[f"{of}_spread"] for point in chart.points])
            for of in "xy"
            for name, sign in ((of, 0), (f"{of}low", -1), (f"{of}high", 1))
        },
    }
    x, y = encode("x", chart.x), encode("y", chart.y)
    lows, highs = ([getattr(axis, end) or 0.0 for axis in (chart.x, chart.y)] for end in ("low", "high"))
    right = [2 * mark.x > lows[0] + highs[0] for mark in chart.marks]
    marks = {
        "x": np.array([mark.x for mark in chart.marks]),
        "y": np.array([mark.y for mark in chart.marks]),
        "name": [mark.slug for mark in chart.marks],
        "side": ["right" if far else "left" for far in right],
    }
    color = runs.channels("color")
    bar = {"type": "rule", "strokeWidth": 1.4}
    base = {"data": table(columns), "transform": runs.filters}
    diagonal = np.array([min(lows), max(highs)])
    names = [
        {
            "data": table(marks),
            "transform": [{"filter": f"datum.side == '{side}'"}],
            "mark": {"type": "text", "align": side, "baseline": "top", "dx": -7 if side == "right" else 7, "dy": 3},
            "encoding": {"x": x, "y": y, "text": {"field": "name"}},
        }
        for side in ("left", "right")
    ]
    layers = [
        {
            "data": table({"x": diagonal, "y": diagonal}),
            "mark": {"type": "line", "style": "quiet", "clip": True},
            "encoding": {"x": x, "y": y},
        },
        {
            "data": table(marks),
            "mark": {"type": "point", "shape": "M-1,0H1M0,-1V1", "filled": False, "size": 60, "style": "mark"},
            "encoding": {"x": x, "y": y},
        },
        *names,
        {**base, "mark": bar, "encoding": {"x": {**x, "field": "xlow"}, "x2": {"field": "xhigh"}, "y": y, **color}},
        {**base, "mark": bar, "encoding": {"x": x, "y": {**y, "field": "ylow"}, "y2": {"field": "yhigh"}, **color}},
        {
            **base,
            "params": runs.params,
            "mark": {"type": "point", "size": 80 * medium.marker, "strokeWidth": 0.8 + medium.marker, "opacity": 1},
            "encoding": {
                "x": x,
                "y": y,
                **runs.channels("color", "fill", "shape"),
                **tooltip(medium, run=("run", ""), x=(chart.x.title, ".3f"), y=(chart.y.title, ".3f")),
            },
        },
    ]
    return square({"layer": layers})


def colour_of(colouring: Colouring, medium: Medium) -> Spec:
    """The encoding of what particles are coloured by: around a circle, in few colours, or along viridis."""
    low, high = colouring.limits
    title = colouring.axis.title
    if colouring.n_classes is not None:
        classes = list(range(colouring.n_classes))
        scale = {"domain": classes, "range": list(DISCRETE[: len(classes)])}
        return {"field": "c", "type": "ordinal", "scale": scale, "legend": {"title": title, "orient": "right"}}
    scale: Spec = {"domain": [low, high], "nice": False, "zero": False}
    if colouring.axis.period is not None:
        scale |= {"range": list(CYCLIC), "interpolate": "rgb"}
    else:
        scale["scheme"] = "viridis"
    turn = {"values": np.linspace(low, high, 5).tolist()} if colouring.axis.period == 360 else {}
    return {"field": "c", "type": "quantitative", "scale": scale, "legend": colour_bar(title, medium, **turn)}


def scatter_spec(chart: ScatterChart, medium: Medium, source: Spec | None = None) -> Spec:
    """Particles of unknown colour in grey below the others, and the places of volumes above.

    ``source`` names data of the page that hold the particles (fields x, y, particle and c) where several charts
    share them.
    """
    bare: Spec = {"labels": False, "ticks": False, "grid": False} if chart.bare else {}
    x, y = encode("x", chart.x, **bare), encode("y", chart.y, **bare)
    base = source or {"data": table(_particles(chart))}
    transform = base.get("transform", [])
    size = (9 if len(chart.places) > 1500 else 22) if medium.interactive else 5
    layers: list[Spec] = []
    said: dict[str, tuple[str, str]] = {"particle": ("particle", "d")}
    if chart.colouring is not None:
        said["c"] = (chart.colouring.axis.title, _NUMBER)
    if chart.plain:
        said |= {"x": (chart.x.title, _NUMBER), "y": (chart.y.title, _NUMBER)}
    dots = {"type": "circle", "size": size}
    if chart.colouring is None or not np.isfinite(chart.colouring.axis.values[chart.particles]).all():
        unknown = [] if chart.colouring is None else [{"filter": "!isValid(datum.c)"}]
        look = {"opacity": 0.65} if chart.plain else {"style": "unknown"}
        shown = tooltip(medium, **{name: words for name, words in said.items() if name != "c"})
        layers.append(
            {
                **base,
                "transform": [*transform, *unknown],
                "mark": {**dots, **look},
                "encoding": {"x": x, "y": y, **shown},
            }
        )
    if chart.colouring is not None:
        layers.append(
            {
                **base,
                "transform": [*transform, {"filter": "isValid(datum.c)"}],
                "mark": {**dots, "opacity": 1},
                "encoding": {"x": x, "y": y, "color": colour_of(chart.colouring, medium), **tooltip(medium, **said)},
            }
        )
    layers += _trails(chart, medium, x, y)
    spec = {
        "layer": layers,
        "height": 290 if medium.interactive else 120,
        "resolve": {"scale": {"color": "independent"}},
    }
    return square(spec) if chart.plain and chart.x.low is not None else spec


def _particles(chart: ScatterChart) -> dict[str, np.ndarray]:
    columns = {"particle": chart.particles, "x": chart.places[:, 0], "y": chart.places[:, 1]}
    if chart.colouring is not None:
        columns["c"] = chart.colouring.axis.values[chart.particles]
    return columns


def _trails(chart: ScatterChart, medium: Medium, x: Spec, y: Spec) -> list[Spec]:
    if not chart.trails:
        return []
    rows = [
        {
            "x": trail.places[:, 0],
            "y": trail.places[:, 1],
            "order": np.arange(len(trail.places)),
            "volume": trail.captions,
            "particle": trail.particles,
            "name": trail.name,
        }
        for trail in chart.trails
    ]
    names = [trail.name for trail in chart.trails]
    colours = [DISCRETE[place % len(DISCRETE)] for place in range(len(names))]
    legend = {"orient": "bottom", "title": None, "columns": 3}
    color = {"field": "name", "type": "nominal", "scale": {"domain": names, "range": colours}, "legend": legend}
    joined = [row for row, trail in zip(rows, chart.trails, strict=True) if trail.joined]
    layers: list[Spec] = []
    if joined:
        layers.append(
            {
                "data": stack(joined),
                "mark": {"type": "line", "strokeWidth": 2},
                "encoding": {"x": x, "y": y, "color": color, "order": {"field": "order", "type": "quantitative"}},
            }
        )
    said = tooltip(medium, name=("series", ""), volume=("volume", ""), particle=("nearest particle", "d"))
    look = {
        "type": "point",
        "shape": "diamond",
        "filled": True,
        "size": 90,
        "stroke": medium.ground,
        "strokeWidth": 1.5,
    }
    layers.append(
        {"data": stack(rows), "mark": {**look, "opacity": 1}, "encoding": {"x": x, "y": y, "color": color, **said}}
    )
    return layers


def snapshot_spec(chart: SnapshotChart, medium: Medium) -> Spec:
    """A small panel for each time, on the same axes."""
    rows = []
    for title, places in zip(chart.titles, chart.places, strict=True):
        row = {"panel": title, "x": places[:, 0], "y": places[:, 1], "particle": chart.particles}
        if chart.colouring is not None:
            row["c"] = chart.colouring.axis.values[chart.particles]
        rows.append(row)
    bare: Spec = {"labels": False, "ticks": False, "grid": False}
    encoding = {"x": encode("x", chart.x, **bare), "y": encode("y", chart.y, **bare)}
    said: dict[str, tuple[str, str]] = {"particle": ("particle", "d")}
    dots = {"type": "circle", "size": 8 if medium.interactive else 4, "opacity": 0.9}
    layers: list[Spec] = [{"mark": {**dots, "style": "unknown"}, "encoding": {**encoding, **tooltip(medium, **said)}}]
    if chart.colouring is not None:
        layers[0]["transform"] = [{"filter": "!isValid(datum.c)"}]
        said["c"] = (chart.colouring.axis.title, _NUMBER)
        coloured = {**encoding, "color": colour_of(chart.colouring, medium), **tooltip(medium, **said)}
        layers.append({"transform": [{"filter": "isValid(datum.c)"}], "mark": dots, "encoding": coloured})
    return {
        "data": stack(rows),
        "facet": {"field": "panel", "type": "nominal", "sort": chart.titles, "title": None},
        "columns": 4,
        "spec": {"layer": layers, "width": 120, "height": 120},
        "spacing": 12,
    }


def graph_spec(chart: GraphChart, medium: Medium) -> Spec:
    """States as dots, their area by particles, over the lines of the steps between them."""
    low, high = chart.places[:, 1].min(), chart.places[:, 1].max()
    x, y = encode("x", chart.x, grid=False), encode("y", Axis("", low - 0.6, high + 0.8))
    y["axis"] = None
    ends = chart.places[chart.edges] if len(chart.edges) else np.zeros((0, 2, 2))
    steps = {"x": ends[:, 0, 0], "y": ends[:, 0, 1], "x2": ends[:, 1, 0], "y2": ends[:, 1, 1]}
    states = {"x": chart.places[:, 0], "y": chart.places[:, 1], "name": chart.names, "particles": chart.particles}
    said = tooltip(medium, name=("state", ""), particles=("particles", "d"), x=(chart.x.title, _NUMBER))
    sizes = {"domain": [0, max(1.0, float(chart.particles.max()))], "range": [25, 420]}
    layers = [
        {
            "data": table(steps),
            "mark": {"type": "rule", "style": "reference"},
            "encoding": {"x": x, "y": y, "x2": {"field": "x2"}, "y2": {"field": "y2"}},
        },
        {
            "data": table(states),
            "mark": {"type": "circle", "opacity": 1},
            "encoding": {
                "x": x,
                "y": y,
                "size": {"field": "particles", "type": "quantitative", "scale": sizes, "legend": None},
                **said,
            },
        },
        {
            "data": table(states),
            "mark": {"type": "text", "dy": -15, "limit": 90, "color": medium.ink},
            "encoding": {"x": x, "y": y, "text": {"field": "name"}},
        },
    ]
    height = min(460, 130 + 75 * (high - low)) * (1 if medium.interactive else 0.6)
    return {"layer": layers, "height": round(float(height))}
