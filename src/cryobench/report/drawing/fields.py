"""Grids of fractions, densities in two dimensions, and counts on the sphere, in one colour scale (cividis); trees."""

import json

import numpy as np

from cryobench.report.charts.kinds import DensityChart, GridChart, SphereChart, TreeChart
from cryobench.report.drawing.vega import (
    NUMBER,
    Medium,
    Spec,
    colour_bar,
    encode,
    layer,
    named_places,
    table,
    tooltip,
)  # fmt: skip

MOST_ROWS, MOST_COLUMNS = 24, 14
"""Row or column names written next to a grid; of more, evenly spaced ones."""


def _colour(field: str, high: float, legend: Spec) -> Spec:
    scale = {"scheme": "cividis", "domain": [0, high], "nice": False}
    return {"field": field, "type": "quantitative", "scale": scale, "legend": legend}


def grid_spec(chart: GridChart, medium: Medium) -> Spec:
    """A square for each row and column."""
    n_rows, n_columns = chart.fractions.shape
    rows, columns = (values.ravel() for values in np.indices(chart.fractions.shape))
    data = {
        "row": rows,
        "column": columns,
        "fraction": chart.fractions.ravel(),
        "of": [chart.rows[row] for row in rows],
        "in": [chart.columns[column] for column in columns],
    }
    said = {"of": (chart.y.title, ""), "in": (chart.x.title, ""), "fraction": (chart.title, ".3~f")}
    if chart.counts is not None:
        data["particles"] = chart.counts.round().ravel()
        said["particles"] = ("particles", "d")
    gap = {} if max(n_rows, n_columns) > 40 else {"stroke": medium.ground, "strokeWidth": 0.6}
    step = max(6, min(17, 300 // n_rows)) if medium.interactive else max(4, min(11, 220 // n_rows))
    height = max(110, step * n_rows)
    turned = max(map(len, chart.columns), default=0) > 3 and n_columns > 6
    look = {"labelAngle": -90} if turned else {"labelAngle": 0, "labelSeparation": 4}
    x = named_places("column", chart.x.title, chart.columns, MOST_COLUMNS if n_columns > 30 else 30, **look)
    y = named_places("row", chart.y.title, chart.rows, MOST_ROWS)
    color = _colour("fraction", 1.0, colour_bar(chart.title, medium, height))
    return {**layer("rect", table(data), gap, x=x, y=y, color=color, **tooltip(medium, **said)), "height": height}


def density_spec(chart: DensityChart, medium: Medium) -> Spec:
    """The density as small rectangles, some of its points as dots, and the path in white on black."""
    (left, right), (bottom, top) = _edges(chart.columns), _edges(chart.rows)
    rows, columns = (values.ravel() for values in np.indices(chart.values.shape))
    data = {
        "x": left[columns], "x2": right[columns], "y": bottom[rows], "y2": top[rows],
        "density": chart.values.ravel(), "at": chart.columns[columns], "by": chart.rows[rows],
    }  # fmt: skip
    x, y = encode("x", chart.x, grid=False), encode("y", chart.y, grid=False)
    for encoding, ends in ((x, (left[0], right[-1])), (y, (bottom[0], top[-1]))):
        encoding["scale"] = {"domain": [float(end) for end in ends], "nice": False, "zero": False}
    said = tooltip(medium, at=(chart.x.title, NUMBER), by=(chart.y.title, NUMBER), density=("density", NUMBER))
    color = _colour("density", float(chart.values.max()), colour_bar("density", medium, format="~g"))
    # Slightly larger than a cell, so that there are no gaps between neighbours.
    look = {"x2Offset": 0.6, "yOffset": 0.6}
    layers = [layer("rect", table(data), look, x=x, x2="x2", y=y, y2="y2", color=color, **said)]
    if chart.points is not None:
        dots = table({"x": chart.points[:, 0], "y": chart.points[:, 1]})
        layers.append(layer("circle", dots, {"size": 5, "color": "#ffffff", "opacity": 0.35}, x=x, y=y))
    if chart.path is not None:
        numbers = np.arange(1, len(chart.path) + 1)
        path = table({"x": chart.path[:, 0], "y": chart.path[:, 1], "volume": numbers})
        order = {"field": "volume", "type": "quantitative"}
        said = {"volume": ("volume of the path", "d"), "x": (chart.x.title, NUMBER), "y": (chart.y.title, NUMBER)}
        ring = {"size": 90, "color": "#000000", "stroke": "#ffffff", "strokeWidth": 2, "opacity": 1}
        layers += [
            layer("line", path, {"color": "#000000", "strokeWidth": 5}, x=x, y=y, order=order),
            layer("line", path, {"color": "#ffffff", "strokeWidth": 2.5}, x=x, y=y, order=order),
            layer(
                "circle", path, {"size": 20, "color": "#ffffff", "opacity": 1}, x=x, y=y, **tooltip(medium, **said)
            ),
            layer("circle", path, ring, transform=[{"filter": "datum.volume == 1"}], x=x, y=y),
        ]
    return {"layer": layers, "height": 290 if medium.interactive else 190}


def _edges(places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    half = (places[1] - places[0]) / 2 if len(places) > 1 else 0.5
    return places - half, places + half


def sphere_spec(chart: SphereChart, medium: Medium) -> Spec:
    """Equal-area cells on the map."""
    centres, counts = chart.centres.round().astype(int).tolist(), chart.counts.astype(int).tolist()
    shapes = []
    for outline, (longitude, latitude), count in zip(chart.outlines, centres, counts, strict=True):
        cell = {"type": "Polygon", "coordinates": [np.round(outline, 3).tolist()]}
        properties = {"longitude": longitude, "latitude": latitude, "count": count}
        shapes.append({"type": "Feature", "geometry": cell, "properties": properties})
    said = {
        "properties.longitude": ("longitude / °", "d"),
        "properties.latitude": ("latitude / °", "d"),
        "properties.count": (chart.title, "d"),
    }
    high = max(1.0, float(chart.counts.max()))
    color = _colour("properties.count", high, colour_bar(chart.title, medium, 105))
    cells = layer("geoshape", {"values": shapes}, {"stroke": None}, color=color, **tooltip(medium, **said))
    return {
        **cells,
        "projection": {"type": "identity", "reflectY": True},
        "height": 190 if medium.interactive else 110,
    }


def tree_spec(chart: TreeChart, medium: Medium) -> Spec:
    """Stems and bars of the tree, with the names of its leaves below."""
    lines = chart.brackets()
    data = {"x": lines[:, 0], "y": lines[:, 1], "x2": lines[:, 2], "y2": lines[:, 3]}
    x, y = encode("x", chart.x, grid=False), encode("y", chart.y)
    count = len(chart.names)
    x["scale"] = {"domain": [-0.5, count - 0.5], "nice": False, "zero": False}
    x["axis"] = {
        **x.get("axis", {}),
        "values": list(range(0, count, -(-count // 30))),
        "labelExpr": f"{json.dumps(chart.names)}[datum.value]",
        "labelAngle": -90 if max(map(len, chart.names), default=0) > 2 and count > 6 else 0,
    }
    said = tooltip(medium, y2=(chart.y.title, ".3~f"))
    look = {"strokeWidth": 1.4, "color": medium.ink}
    rules = layer("rule", table(data), look, x=x, y=y, x2="x2", y2="y2", **said)
    return {**rules, "height": 220 if medium.interactive else 150}
