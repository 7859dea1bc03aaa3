"""Dots with intervals by name, and runs or particles in two dimensions."""

import json
from collections.abc import Mapping

import numpy as np

from cryobench.report.charts.kinds import (
    Axis,
    DotChart,
    GraphChart,
    PlaneChart,
    Point,
    ScatterChart,
    SnapshotChart,
    Trail,
)  # fmt: skip
from cryobench.report.colours import CYCLIC, DISCRETE
from cryobench.report.drawing.vega import (
    NUMBER,
    PAGE_WIDTH,
    Medium,
    Runs,
    Spec,
    colour_bar,
    encode,
    interval,
    layer,
    say_interval,
    square,
    stack,
    table,
    tooltip,
    write_remark,
)  # fmt: skip
from cryobench.report.scored_runs.colourings import Colouring
from cryobench.report.scored_runs.styles import RunStyle

MANY = 12
"""Number of names above which rows are narrower."""
_BARE: Spec = {"labels": False, "ticks": False, "grid": False}


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
            "y": series.y + (0 if chart.own_rows else 0.7 * ((number + 0.5) / n_runs - 0.5)),
            **interval(series),
            "run": styles[series.slug].label,
            "name": [chart.names[int(row)] for row in series.y],
            "n": np.nan if series.counts is None else series.counts,
        }
        for number, series in enumerate(chart.series)
    ]
    axis: Spec = {
        "values": list(range(n_rows)), "labelExpr": f"{json.dumps(chart.names)}[datum.value]", "grid": False,
        "tickCount": n_rows, "ticks": False, "domain": False, "labelLimit": 150, "labelOverlap": False,
        "labelPadding": 2 + 5 * medium.marker,  # clear of a marker at the end of the axis
    }  # fmt: skip
    x, y = encode("x", chart.value, titleAnchor="end"), encode("y", Axis("", n_rows - 0.5, -0.5), **axis)
    said = {"run": ("run", ""), "x": (chart.value.title, NUMBER), **say_interval(chart.series)}
    if any(each.counts is not None for each in chart.series):
        said["n"] = ("items", "d")
    if not chart.own_rows:
        said["name"] = ("of", "")
    tick = {"style": "mark", "orient": "vertical", "thickness": 2, "size": 16}
    marker = {"size": 60 * medium.marker, "strokeWidth": 0.8 + medium.marker, "opacity": 1}
    bar = {"x": {**x, "field": "low"}, "x2": "high", "y": y, **runs.channels("color")}
    dot = {"x": x, "y": y, **runs.channels("color", "fill", "shape"), **tooltip(medium, **said)}
    layers = [
        layer("rule", table({"y": np.arange(1, n_rows) - 0.5}), {"style": "quiet"}, y=y),
        *(layer("tick", table({"x": each.x, "y": each.y}), tick, x=x, y=y) for each in chart.references),
        layer("rule", stack(rows), {"strokeWidth": 2}, transform=runs.filters, **bar),
        layer("point", stack(rows), marker, transform=runs.filters, params=runs.params, **dot),
    ]
    each = 34 if chart.own_rows else 22 if n_rows > MANY else min(66, 18 + 9 * n_runs)
    height = max(60, round(each * n_rows * (1 if medium.interactive else 0.62)))
    return {"layer": layers, "height": height, **write_remark(chart.remark, medium)}


def plane_spec(chart: PlaneChart, styles: Mapping[str, RunStyle], medium: Medium, width: int = PAGE_WIDTH) -> Spec:
    """Runs in two dimensions with both spreads, the diagonal, and marks of the perfect and the chance result."""
    runs = Runs([styles[point.slug] for point in chart.points], medium, width)
    points = {"run": [styles[point.slug].label for point in chart.points], **_positions_of(chart.points)}
    x, y = encode("x", chart.x), encode("y", chart.y)
    ends = [end for axis in (chart.x, chart.y) for end in (axis.low, axis.high) if end is not None]
    diagonal = np.array([min(ends), max(ends)])
    marks = {**_positions_of(chart.marks), "name": [mark.slug for mark in chart.marks]}
    said = tooltip(medium, run=("run", ""), x=(chart.x.title, ".3f"), y=(chart.y.title, ".3f"))
    color, bar = runs.channels("color"), {"strokeWidth": 1.4}
    across = {"x": {**x, "field": "x_low"}, "x2": "x_high", "y": y, **color}
    along = {"x": x, "y": {**y, "field": "y_low"}, "y2": "y_high", **color}
    marker = {"size": 80 * medium.marker, "strokeWidth": 0.8 + medium.marker, "opacity": 1}
    dot = {"x": x, "y": y, **runs.channels("color", "fill", "shape"), **said}
    # Names are placed towards the middle.
    names = [
        ([{"filter": f"datum.x {side} {diagonal.mean():g}"}], {"align": align, "baseline": "top", "dx": dx, "dy": 3})
        for side, align, dx in (("<=", "left", 7), (">", "right", -7))
    ]
    plus = {"shape": "M-1,0H1M0,-1V1", "filled": False, "size": 60, "style": "mark"}
    layers = [
        layer("line", table({"x": diagonal, "y": diagonal}), {"style": "quiet", "clip": True}, x=x, y=y),
        layer("point", table(marks), plus, x=x, y=y),
        *(layer("text", table(marks), look, transform=near, x=x, y=y, text="name") for near, look in names),
        layer("rule", table(points), bar, transform=runs.filters, **across),
        layer("rule", table(points), bar, transform=runs.filters, **along),
        layer("point", table(points), marker, transform=runs.filters, params=runs.params, **dot),
    ]
    return square({"layer": layers})


def _positions_of(points: list[Point]) -> dict[str, np.ndarray]:
    """Both coordinates of points, and the ends of their error bars."""
    x, y, wide, high = np.array([[p.x, p.y, p.x_spread, p.y_spread] for p in points]).reshape(-1, 4).T
    return {"x": x, "y": y, "x_low": x - wide, "x_high": x + wide, "y_low": y - high, "y_high": y + high}


def colour_of(colouring: Colouring, medium: Medium) -> Spec:
    """Colour encoding of particles: cyclic, discrete, or along viridis."""
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
    """Particles, those of unknown colour in grey below the others, and the positions of volumes above.

    ``source`` names data of the page with the particles (fields x, y, particle and c), where several charts use them.
    """
    bare = _BARE if chart.bare else {}
    channels = {"x": encode("x", chart.x, **bare), "y": encode("y", chart.y, **bare)}
    base = source or {"data": table(_particles(chart.particles, chart.positions, chart.colouring))}
    size = (9 if len(chart.positions) > 1500 else 22) if medium.interactive else 5
    coordinates = {"x": (chart.x.title, NUMBER), "y": (chart.y.title, NUMBER)} if chart.plain else {}
    look = {"opacity": 0.65} if chart.plain else {"style": "unknown"}
    layers = _dots(chart.particles, chart.colouring, medium, channels, {"size": size}, look, coordinates)
    shared = base.get("transform", [])
    layers = [{**each, **base, "transform": [*shared, *each.get("transform", [])]} for each in layers]
    layers += _trails(chart.trails, medium, channels)
    spec = {"layer": layers, "height": 290 if medium.interactive else 120}
    spec["resolve"] = {"scale": {"color": "independent"}}
    return square(spec) if chart.plain and chart.x.low is not None else spec


def _particles(particles: np.ndarray, positions: np.ndarray, colouring: Colouring | None) -> dict[str, np.ndarray]:
    colour = {} if colouring is None else {"c": colouring.axis.values[particles]}
    return {"particle": particles, "x": positions[:, 0], "y": positions[:, 1], **colour}


def _dots(
    particles: np.ndarray, colouring: Colouring | None, medium: Medium, channels: Spec, size: Spec, unknown: Spec,
    coordinates: dict[str, tuple[str, str]],
) -> list[Spec]:  # fmt: skip
    """Layers without data: particles without a colour, if any, and those with one."""
    said = {"particle": ("particle", "d"), **coordinates}
    if colouring is None:
        return [layer("circle", None, {**size, **unknown}, **channels, **tooltip(medium, **said))]
    known = [{"filter": "isValid(datum.c)"}]
    words = tooltip(medium, **said, c=(colouring.axis.title, NUMBER))
    color = colour_of(colouring, medium)
    layers = [layer("circle", None, {**size, "opacity": 1}, transform=known, **channels, color=color, **words)]
    if not np.isfinite(colouring.axis.values[particles]).all():
        others = [{"filter": "!isValid(datum.c)"}]
        grey = layer("circle", None, {**size, **unknown}, transform=others, **channels, **tooltip(medium, **said))
        layers.insert(0, grey)
    return layers


def _trails(trails: list[Trail], medium: Medium, channels: Spec) -> list[Spec]:
    """Positions of volumes, joined by a line if they are ordered."""
    if not trails:
        return []
    rows = [
        {
            "x": trail.positions[:, 0], "y": trail.positions[:, 1], "order": np.arange(len(trail.positions)),
            "volume": trail.captions, "particle": trail.particles, "name": trail.name,
        }
        for trail in trails
    ]  # fmt: skip
    names = [trail.name for trail in trails]
    scale = {"domain": names, "range": [DISCRETE[number % len(DISCRETE)] for number in range(len(names))]}
    legend = {"orient": "bottom", "title": None, "columns": 3}
    color = {"field": "name", "type": "nominal", "scale": scale, "legend": legend}
    joined = [row for row, trail in zip(rows, trails, strict=True) if trail.joined]
    order = {"field": "order", "type": "quantitative"}
    said = tooltip(medium, name=("series", ""), volume=("volume", ""), particle=("nearest particle", "d"))
    look = {"shape": "diamond", "filled": True, "size": 90 * medium.marker, "stroke": medium.ground, "opacity": 1}
    return [
        *([layer("line", stack(joined), {"strokeWidth": 2}, **channels, color=color, order=order)] if joined else []),
        layer("point", stack(rows), {**look, "strokeWidth": 1.5 * medium.marker}, **channels, color=color, **said),
    ]


def snapshot_spec(chart: SnapshotChart, medium: Medium) -> Spec:
    """One small panel per epoch, on the same axes."""
    rows = [
        {"panel": title, **_particles(chart.particles, positions, chart.colouring)}
        for title, positions in zip(chart.titles, chart.positions, strict=True)
    ]
    channels = {"x": encode("x", chart.x, **_BARE), "y": encode("y", chart.y, **_BARE)}
    size = {"size": 8 if medium.interactive else 4}
    layers = _dots(chart.particles, chart.colouring, medium, channels, size, {"style": "unknown"}, {})
    facet = {"field": "panel", "type": "nominal", "sort": chart.titles, "title": None}
    panel = {"layer": layers, "width": 120, "height": 120}
    return {"data": stack(rows), "facet": facet, "columns": 4, "spec": panel, "spacing": 12}


def graph_spec(chart: GraphChart, medium: Medium) -> Spec:
    """States as dots with area proportional to particles, over lines for the steps between them."""
    low, high = chart.positions[:, 1].min(), chart.positions[:, 1].max()
    x, y = encode("x", chart.x, grid=False), {**encode("y", Axis("", low - 0.6, high + 0.8)), "axis": None}
    ends = chart.positions[chart.edges] if len(chart.edges) else np.zeros((0, 2, 2))
    steps = table({"x": ends[:, 0, 0], "y": ends[:, 0, 1], "x2": ends[:, 1, 0], "y2": ends[:, 1, 1]})
    columns = {
        "x": chart.positions[:, 0],
        "y": chart.positions[:, 1],
        "name": chart.names,
        "particles": chart.particles,
    }
    states = table(columns)
    said = tooltip(medium, name=("state", ""), particles=("particles", "d"), x=(chart.x.title, NUMBER))
    scale = {"domain": [0, max(1.0, float(chart.particles.max()))], "range": [25, 420 * medium.marker]}
    size = {"field": "particles", "type": "quantitative", "scale": scale, "legend": None}
    words = {"dy": -15, "limit": 90, "color": medium.ink}
    layers = [
        layer("rule", steps, {"style": "reference"}, x=x, y=y, x2="x2", y2="y2"),
        layer("circle", states, {"opacity": 1}, x=x, y=y, size=size, **said),
        layer("text", states, words, x=x, y=y, text="name"),
    ]
    height = min(460.0, 130 + 75 * float(high - low)) * (1 if medium.interactive else 0.6)
    return {"layer": layers, "height": round(height)}
