"""Curves, steps and points of runs over one axis, and bars."""

import json
from collections.abc import Mapping

import numpy as np

from cryobench.report.charts.kinds import BarChart, Bundle, LineChart, Reference, Series
from cryobench.report.figures.vega import DOTTED, PAGE_WIDTH, Medium, Runs, Spec, encode, stack, table, tooltip
from cryobench.report.runs.styles import RunStyle

FEW = 40
"""Curves over fewer whole numbers have a marker at each."""
_NUMBER = ".4~g"


def line_spec(chart: LineChart, styles: Mapping[str, RunStyle], medium: Medium, width: int = PAGE_WIDTH) -> Spec:
    """References, bands, curves or points, and marks of the inverse axis, one layer each."""
    styles = chart.styles or styles
    named = [each for each in chart.references if each.label and not _is_level(each)]
    extra = [
        RunStyle(each.label, medium.muted, "dot" if each.shape == "dotted" else "solid", "stroke") for each in named
    ]
    runs = Runs([styles[series.slug] for series in chart.series], medium, width, extra)
    labels = {slug: style.label for slug, style in styles.items()}
    joined = chart.shape in ("line", "steps")
    layers = [_reference(each, chart) for each in chart.references]
    layers += [_level_name(each, chart) for each in chart.references if _is_level(each) and each.label]
    if chart.bundles:
        layers.append(_bundles(chart, runs, labels, medium))
    spread = [series for series in chart.series if series.low is not None]
    if joined:
        layers += [_band(chart, series, runs, styles[series.slug]) for series in spread]
    elif spread:
        layers.append(_bars(chart, spread, runs, labels))
    if joined:
        marked = chart.x.whole and all(len(series.x) < FEW for series in chart.series)
        layers.append(_curves(chart, runs, labels, silent="strokeDash" if marked else ""))
        if marked:
            layers.append(_points(chart, runs, labels, medium, 30))
        if medium.interactive and not chart.bundles:
            layers.append(_hover(chart, labels))
    else:
        layers.append({**_points(chart, runs, labels, medium, 45), "params": runs.params})
    if chart.x.inverse:
        layers += _inverse(chart, medium)
    top = {"title": {"text": chart.x.inverse, "offset": 20}} if chart.x.inverse else {}
    height = 250 + 90 * bool(chart.x.inverse)
    return {"layer": layers, "height": height if medium.interactive else 165, **top}


def bar_spec(chart: BarChart, medium: Medium) -> Spec:
    """A bar for each count."""
    half = 0.46 * chart.width
    columns = {"x": chart.centres, "low": chart.centres - half, "high": chart.centres + half, "y": chart.counts}
    ends = [chart.centres.min() - half, chart.centres.max() + half] if len(chart.centres) else []
    said = tooltip(medium, x=(chart.x.title, _NUMBER), y=(chart.y.title, "d"))
    return {
        "data": table(columns),
        "mark": "rect",
        "encoding": {
            "x": encode("low", chart.x, ends, grid=False),
            "x2": {"field": "high"},
            "y": encode("y", chart.y),
            "y2": {"datum": 0},
            **said,
        },
        "height": 190 if medium.interactive else 120,
    }


def _is_level(reference: Reference) -> bool:
    """Whether it is one height, which is named where it is drawn."""
    return reference.shape == "dotted" and float(np.ptp(reference.y)) == 0


def _x(chart: LineChart, field: str = "x") -> Spec:
    places = [each.x for each in (*chart.series, *chart.references) if len(each.x)]
    ends = [end for x in places for end in (np.nanmin(x), np.nanmax(x))]
    return encode(field, chart.x, ends, grid=chart.shape == "free")


def _y(chart: LineChart, field: str = "y") -> Spec:
    values = np.concatenate([each.y for each in chart.series]) if chart.y.logarithmic else np.zeros(0)
    return encode(field, chart.y, values[np.isfinite(values)])


def _reference(reference: Reference, chart: LineChart) -> Spec:
    columns = {"x": reference.x, "y": reference.y}
    if reference.shape == "bars":
        half = 0.46 * _step(reference.x)
        columns |= {"low": reference.x - half, "high": reference.x + half}
        encoding = {"x": _x(chart, "low"), "x2": {"field": "high"}, "y": _y(chart), "y2": {"datum": 0}}
        return {"data": table(columns), "mark": {"type": "rect", "style": "bars"}, "encoding": encoding}
    mark: Spec = {"type": "line", "style": "reference", "interpolate": _interpolation(chart)}
    if reference.shape == "dotted":
        mark["strokeDash"] = DOTTED
    return {"data": table(columns), "mark": mark, "encoding": {"x": _x(chart), "y": _y(chart)}}


def _level_name(reference: Reference, chart: LineChart) -> Spec:
    columns = {"x": reference.x[-1:], "y": reference.y[-1:], "name": [reference.label]}
    mark = {"type": "text", "align": "right", "baseline": "bottom", "dx": -2, "dy": -2}
    return {
        "data": table(columns),
        "mark": mark,
        "encoding": {"x": _x(chart), "y": _y(chart), "text": {"field": "name"}},
    }


def _interpolation(chart: LineChart) -> str:
    return "step" if chart.shape == "steps" else "linear"


def _curves(chart: LineChart, runs: Runs, labels: Mapping[str, str], silent: str) -> Spec:
    rows = [{"x": series.x, "y": series.y, "run": labels[series.slug]} for series in chart.series]
    return {
        "data": stack(rows),
        "transform": runs.filters,
        "params": runs.params,
        "mark": {"type": "line", "strokeWidth": 2, "interpolate": _interpolation(chart), "clip": True},
        "encoding": {"x": _x(chart), "y": _y(chart), **runs.channels("color", "strokeDash", silent=silent)},
    }


def _band(chart: LineChart, series: Series, runs: Runs, style: RunStyle) -> Spec:
    columns = {"x": series.x, "low": series.low, "high": series.high}
    return {
        "data": stack([{**columns, "run": style.label}]),
        "transform": runs.filters,
        "mark": {"type": "area", "color": style.colour, "opacity": 0.14, "clip": True},
        "encoding": {"x": _x(chart), "y": _y(chart, "low"), "y2": {"field": "high"}},
    }


def _bars(chart: LineChart, spread: list[Series], runs: Runs, labels: Mapping[str, str]) -> Spec:
    rows = [
        {"x": each.x + _offset(chart, each), "low": each.low, "high": each.high, "run": labels[each.slug]}
        for each in spread
    ]
    return {
        "data": stack(rows),
        "transform": runs.filters,
        "mark": {"type": "rule", "strokeWidth": 1.4},
        "encoding": {"x": _x(chart), "y": _y(chart, "low"), "y2": {"field": "high"}, **runs.channels("color")},
    }


def _points(chart: LineChart, runs: Runs, labels: Mapping[str, str], medium: Medium, size: int) -> Spec:
    rows = [
        {
            "x": series.x + _offset(chart, series),
            "y": series.y,
            "at": series.x,
            "run": labels[series.slug],
            "low": np.nan if series.low is None else series.low,
            "high": np.nan if series.high is None else series.high,
        }
        for series in chart.series
    ]
    known = (
        {"low": ("from", _NUMBER), "high": ("to", _NUMBER)}
        if any(each.low is not None for each in chart.series)
        else {}
    )
    said = tooltip(medium, run=("run", ""), at=(chart.x.title, _NUMBER), y=(chart.y.title, _NUMBER), **known)
    return {
        "data": stack(rows),
        "transform": runs.filters,
        "mark": {"type": "point", "size": size * medium.marker, "strokeWidth": 0.6 + medium.marker, "opacity": 1},
        "encoding": {"x": _x(chart), "y": _y(chart), **runs.channels("color", "fill", "shape"), **said},
    }


def _bundles(chart: LineChart, runs: Runs, labels: Mapping[str, str], medium: Medium) -> Spec:
    """Single curves as columns of a table over their common frequencies, named by run and particle."""
    bundles: list[Bundle] = chart.bundles
    columns: dict[str, np.ndarray] = {"x": bundles[0].x}
    for place, bundle in enumerate(bundles):
        keys = [f"{place}p{particle}" for particle in bundle.particles.tolist()]
        columns |= dict(zip(keys, bundle.curves, strict=True))
    names = json.dumps([labels[bundle.slug] for bundle in bundles])
    encoding = {
        "x": _x(chart),
        "y": _y(chart),
        "detail": {"field": "key"},
        **runs.channels("color"),
        **tooltip(medium, run=("run", ""), particle=("query particle", "")),
    }
    seen = {"mark": {"type": "line", "strokeWidth": 0.9, "opacity": 0.45, "clip": True}, "encoding": encoding}
    # A mouse meets a line of Vega only as near to one of its points as the line is wide.
    met = {"mark": {"type": "line", "strokeWidth": 12, "opacity": 0, "clip": True}, "encoding": encoding}
    return {
        "data": table(columns),
        "transform": [
            {"fold": [key for key in columns if key != "x"], "as": ["key", "y"]},
            {"calculate": f"{names}[toNumber(split(datum.key, 'p')[0])]", "as": "run"},
            {"calculate": "split(datum.key, 'p')[1]", "as": "particle"},
            *runs.filters,
        ],
        "layer": [seen, met] if medium.interactive else [seen],
    }


def _hover(chart: LineChart, labels: Mapping[str, str]) -> Spec:
    """A line at the place nearest to the mouse, with the values of all curves there."""
    places = np.unique(np.concatenate([series.x for series in chart.series]))
    columns: dict[str, np.ndarray] = {"x": places}
    for number, series in enumerate(chart.series):
        values = np.full(len(places), np.nan)
        values[np.searchsorted(places, series.x)] = series.y
        columns[f"r{number}"] = values
    said = [{"field": "x", "title": chart.x.title, "type": "quantitative", "format": _NUMBER}]
    said += [
        {"field": f"r{number}", "title": labels[series.slug], "type": "quantitative", "format": _NUMBER}
        for number, series in enumerate(chart.series)
    ]
    near = {"type": "point", "on": "pointermove", "nearest": True, "encodings": ["x"], "clear": "pointerout"}
    return {
        "data": table(columns),
        "params": [{"name": "near", "select": near}],
        "mark": {"type": "rule", "style": "reference"},
        "encoding": {
            "x": _x(chart),
            "opacity": {"condition": {"param": "near", "empty": False, "value": 0.6}, "value": 0},
            "tooltip": said,
        },
    }


def _inverse(chart: LineChart, medium: Medium) -> list[Spec]:
    """Marks above of one over the values below, at places a fifth of the axis apart."""
    high = float(chart.x.high or max(float(series.x.max()) for series in chart.series))
    ticks = np.linspace(0, high, 6)[1:]
    data = table({"x": ticks, "name": [f"{1 / (tick * chart.x.unit):.3g}" for tick in ticks]})
    text = {"type": "text", "baseline": "bottom", "dy": -6, "color": medium.ink}
    encoding = {"x": _x(chart), "y": {"value": 0}}
    return [
        {"data": data, "mark": text, "encoding": {**encoding, "text": {"field": "name"}}},
        {"data": data, "mark": {"type": "rule", "style": "quiet"}, "encoding": {**encoding, "y2": {"value": -4}}},
    ]


def _step(places: np.ndarray) -> float:
    return float(np.median(np.diff(places))) if len(places) > 1 else 1.0


def _offset(chart: LineChart, series: Series) -> float:
    """How far the points of a run stand beside those of the others."""
    if chart.shape != "points":
        return 0.0
    step = _step(chart.references[0].x) if chart.references else 1.0
    place = next(place for place, each in enumerate(chart.series) if each is series)
    return 0.7 * step * ((place + 0.5) / len(chart.series) - 0.5)
