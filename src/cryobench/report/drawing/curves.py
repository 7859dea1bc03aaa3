"""Curves, steps and points of runs over one axis, and bars."""

import json
from collections.abc import Mapping, Sequence

import numpy as np

from cryobench.report.charts.kinds import Axis, BarChart, LineChart, Reference, Series
from cryobench.report.drawing.vega import (
    DOTTED,
    NUMBER,
    PAGE_WIDTH,
    Medium,
    Runs,
    Spec,
    encode,
    interval,
    layer,
    say_interval,
    stack,
    table,
    tooltip,
    write_remark,
)  # fmt: skip
from cryobench.report.scored_runs.styles import RunStyle

FEW = 40
"""Curves over fewer whole numbers than this have a marker at each."""


def bar_spec(chart: BarChart, medium: Medium) -> Spec:
    """Specification of a histogram: one bar per count."""
    half = 0.46 * chart.width
    columns = {"x": chart.centres, "low": chart.centres - half, "high": chart.centres + half, "y": chart.counts}
    ends = [chart.centres.min() - half, chart.centres.max() + half] if len(chart.centres) else []
    x, y = encode("low", chart.x, ends, grid=False), encode("y", chart.y)
    said = tooltip(medium, x=(chart.x.title, NUMBER), y=(chart.y.title, "d"))
    bars = layer("rect", table(columns), {"clip": True}, x=x, x2="high", y=y, y2={"datum": 0}, **said)
    return {**bars, "height": 190 if medium.interactive else 120}


def line_spec(chart: LineChart, styles: Mapping[str, RunStyle], medium: Medium, width: int = PAGE_WIDTH) -> Spec:
    """References, bands, curves or points, and marks of the inverse axis, one layer each."""
    lines = _Lines(chart, chart.styles or styles, medium, width)
    top = (
        {"title": {"text": chart.x.inverse, "offset": 20}} if chart.x.inverse else write_remark(chart.remark, medium)
    )
    height = 250 + 90 * bool(chart.x.inverse)
    spec = {"layer": lines.layers(), "height": height if medium.interactive else 165, **top}
    # A marker in the legend is not drawn with the dashes of its line.
    return {**spec, "resolve": {"legend": {"strokeDash": "independent"}}} if lines.markers else spec


class _Lines:
    """Layers of one chart."""

    def __init__(self, chart: LineChart, styles: Mapping[str, RunStyle], medium: Medium, width: int) -> None:
        self.chart, self.medium = chart, medium
        self.styles = {series.slug: styles[series.slug] for series in chart.series}
        named = [each for each in chart.references if each.label and not _is_level(each)]
        extra = [
            RunStyle(each.label, medium.muted, "dot" if each.shape == "dotted" else "solid", "stroke")
            for each in named
        ]
        self.markers = chart.shape not in ("line", "steps") or (
            chart.x.whole and all(len(series.x) < FEW for series in chart.series)
        )
        self.runs = Runs(list(self.styles.values()), medium, width, extra, lines=not self.markers)
        ends = [end for each in (*chart.series, *chart.references) if len(each.x) for end in (each.x[0], each.x[-1])]
        heights = [each.y[np.isfinite(each.y)] for each in chart.series] if chart.y.logarithmic else []
        self.x = encode("x", chart.x, ends, grid=chart.shape == "free")
        self.y = encode("y", chart.y, np.concatenate([*heights, np.zeros(0)]))
        self.between = {"y": {**self.y, "field": "low"}, "y2": "high"}
        self.steps = "step" if chart.shape == "steps" else "linear"

    def layers(self) -> list[Spec]:
        """All layers, from back to front."""
        chart, runs = self.chart, self.runs
        layers = [self._reference(each) for each in chart.references]
        layers += [self._level_name(each) for each in chart.references if _is_level(each) and each.label]
        if chart.bundles:
            layers.append(self._bundles())
        spread = [series for series in chart.series if series.low is not None]
        if chart.shape in ("line", "steps"):
            layers += [self._band(series) for series in spread]
            layers.append(self._curves())
            if self.markers:
                layers.append(self._points(30))
            layers += [self._hover()] if self.medium.interactive and not chart.bundles else []
        else:
            bars = self._rows(spread)
            layers += [self._of_runs("rule", bars, {"strokeWidth": 1.4}, **self.between)] if spread else []
            layers.append({**self._points(45), "params": runs.params})
        return layers + (self._inverse() if chart.x.inverse else [])

    def _rows(self, series: Sequence[Series]) -> Spec:
        """Data of series; field "at" is x without the sideways offset that points have."""
        return stack(
            [
                {
                    "x": each.x + self._offset(each), "y": each.y, **interval(each), "at": each.x,
                    "run": self.styles[each.slug].label,
                }
                for each in series
            ]
        )  # fmt: skip

    def _of_runs(self, mark: str, data: Spec, look: Spec, **encoding: Spec | str) -> Spec:
        """A layer of marks in the colours of their runs."""
        channels = {"x": self.x, "y": self.y, **self.runs.channels("color"), **encoding}
        return layer(mark, data, look, transform=self.runs.filters, **channels)

    def _reference(self, reference: Reference) -> Spec:
        columns = {"x": reference.x, "y": reference.y}
        if reference.shape == "bars":
            half = 0.46 * _step(reference.x)
            columns |= {"low": reference.x - half, "high": reference.x + half}
            x = {**self.x, "field": "low"}
            return layer("rect", table(columns), {"style": "bars"}, x=x, x2="high", y=self.y, y2={"datum": 0})
        dash = {"strokeDash": DOTTED} if reference.shape == "dotted" else {}
        look = {"style": "reference", "interpolate": self.steps, **dash}
        return layer("line", table(columns), look, x=self.x, y=self.y)

    def _level_name(self, reference: Reference) -> Spec:
        data = table({"x": reference.x[-1:], "y": reference.y[-1:], "name": [reference.label]})
        look = {"align": "right", "baseline": "bottom", "dx": -2, "dy": -2}
        return layer("text", data, look, x=self.x, y=self.y, text="name")

    def _curves(self) -> Spec:
        look = {"strokeWidth": 2, "interpolate": self.steps, "clip": True}
        dashes = self.runs.channels("color", "strokeDash")
        rows = [{"x": each.x, "y": each.y, "run": self.styles[each.slug].label} for each in self.chart.series]
        return {**self._of_runs("line", stack(rows), look, **dashes), "params": self.runs.params}

    def _band(self, series: Series) -> Spec:
        style = self.styles[series.slug]
        data = stack([{"x": series.x, **interval(series), "run": style.label}])
        look = {"color": style.colour, "opacity": 0.14, "clip": True}
        return layer("area", data, look, transform=self.runs.filters, x=self.x, **self.between)

    def _points(self, size: int) -> Spec:
        chart, medium = self.chart, self.medium
        said = {"run": ("run", ""), "at": (chart.x.title, NUMBER), "y": (chart.y.title, NUMBER)}
        words = tooltip(medium, **said, **say_interval(chart.series))
        look = {"size": size * medium.marker, "strokeWidth": 0.6 + medium.marker, "opacity": 1}
        markers = self.runs.channels("color", "fill", "shape")
        return self._of_runs("point", self._rows(chart.series), look, **markers, **words)

    def _bundles(self) -> Spec:
        """Single curves as columns of a table over their common frequencies, named by run and particle."""
        bundles = self.chart.bundles
        columns = {"x": bundles[0].x}
        for number, bundle in enumerate(bundles):
            keys = [f"{number}p{particle}" for particle in bundle.particles.tolist()]
            columns |= dict(zip(keys, bundle.curves, strict=True))
        names = json.dumps([self.styles[bundle.slug].label for bundle in bundles])
        words = tooltip(self.medium, run=("run", ""), particle=("query particle", ""))
        shared = {"x": self.x, "y": self.y, "detail": "key", **self.runs.channels("color"), **words}
        # Vega detects the mouse on a line only near its points, within the width of the line.
        looks = [(0.9, 0.45), (12, 0)] if self.medium.interactive else [(0.9, 0.45)]
        transform: list[Spec] = [
            {"fold": [key for key in columns if key != "x"], "as": ["key", "y"]},
            {"calculate": f"{names}[toNumber(split(datum.key, 'p')[0])]", "as": "run"},
            {"calculate": "split(datum.key, 'p')[1]", "as": "particle"},
            *self.runs.filters,
        ]
        lines = [
            layer("line", None, {"strokeWidth": wide, "opacity": opacity, "clip": True}, **shared)
            for wide, opacity in looks
        ]
        return {"data": table(columns), "transform": transform, "layer": lines}

    def _hover(self) -> Spec:
        """A vertical line at the x nearest to the mouse, with the values of all curves there."""
        series = self.chart.series
        positions = np.unique(np.concatenate([each.x for each in series]))
        columns, said = {"x": positions}, {"x": (self.chart.x.title, NUMBER)}
        for number, each in enumerate(series):
            values = np.full(len(positions), np.nan)
            values[np.searchsorted(positions, each.x)] = each.y
            columns[f"r{number}"] = values
            said[f"r{number}"] = (self.styles[each.slug].label, NUMBER)
        near = {"type": "point", "on": "pointermove", "nearest": True, "encodings": ["x"], "clear": "pointerout"}
        seen = {"condition": {"param": "near", "empty": False, "value": 0.6}, "value": 0}
        params = [{"name": "near", "select": near}]
        words = tooltip(self.medium, **said)
        return layer("rule", table(columns), {"style": "reference"}, params=params, x=self.x, opacity=seen, **words)

    def _inverse(self) -> list[Spec]:
        """Tick labels above the plot with the reciprocals of x, a fifth of the axis apart."""
        axis: Axis = self.chart.x
        high = float(axis.high or max(float(each.x.max()) for each in self.chart.series))
        ticks = np.linspace(0, high, 6)[1:]
        data = table({"x": ticks, "name": [f"{1 / (tick * axis.unit):.3g}" for tick in ticks]})
        look, top = {"baseline": "bottom", "dy": -6, "color": self.medium.ink}, {"value": 0}
        return [
            layer("text", data, look, x=self.x, y=top, text="name"),
            layer("rule", data, {"style": "quiet"}, x=self.x, y=top, y2={"value": -4}),
        ]

    def _offset(self, series: Series) -> float:
        """Sideways offset of the points of a series."""
        if self.chart.shape != "points":
            return 0.0
        step = _step(self.chart.references[0].x) if self.chart.references else 1.0
        number = next(number for number, each in enumerate(self.chart.series) if each is series)
        return 0.7 * step * ((number + 0.5) / len(self.chart.series) - 0.5)


def _is_level(reference: Reference) -> bool:
    """Whether the reference is a constant, which is labelled where it is drawn."""
    return reference.shape == "dotted" and float(np.ptp(reference.y)) == 0


def _step(positions: np.ndarray) -> float:
    return float(np.median(np.diff(positions))) if len(positions) > 1 else 1.0
