"""Any chart as a Vega-Lite specification, sized for the page or for paper, and as an SVG file."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import vl_convert

from cryobench.report.charts import kinds
from cryobench.report.charts.kinds import Chart, LineChart
from cryobench.report.drawing import curves, fields, planes
from cryobench.report.drawing.vega import COLUMN_WIDTH, PAGE, PAGE_WIDTH, PAPER, Medium, Spec
from cryobench.report.scored_runs.styles import RunStyle

Styles = Mapping[str, RunStyle]
_OF_RUNS = {LineChart: curves.line_spec, kinds.DotChart: planes.dot_spec, kinds.PlaneChart: planes.plane_spec}
_OTHERS = {
    kinds.BarChart: curves.bar_spec,
    kinds.GridChart: fields.grid_spec,
    kinds.DensityChart: fields.density_spec,
    kinds.SphereChart: fields.sphere_spec,
    kinds.TreeChart: fields.tree_spec,
    kinds.ScatterChart: planes.scatter_spec,
    kinds.SnapshotChart: planes.snapshot_spec,
    kinds.GraphChart: planes.graph_spec,
}
"""What draws each kind of chart: those of runs in the looks of the runs, the others by the medium alone."""
_AXIS_ROOM = 62
"""Pixels next to a panel for its axis, where panels are side by side."""
_BAR_ROOM = 52
"""Pixels for a colour bar."""
_CIRCLE = re.compile(
    r'<path transform="translate\(([-\d.]+),([-\d.]+)\)" d="M([\d.]+),0A\3,\3,0,1,1,-\3,0A\3,\3,0,1,1,\3,0"'
)
_ROLES = re.compile(r' (?:role|aria-[a-z]+)="[^"]*"(?=[^<>]*>)')
_CLIP = re.compile(r"\bclip\d+\b(?=[^<>]*>)")
_LONG = re.compile(r"(\d\.\d\d)\d+(?=[^<>]*>)")
"""Numbers with more than two decimals inside a tag."""


def chart_spec(chart: Chart, styles: Styles, medium: Medium, width: int = PAGE_WIDTH) -> Spec:
    """Specification of a chart without its width; ``styles`` maps slugs to the looks of runs."""
    draw: Any = _OF_RUNS.get(type(chart))
    return draw(chart, styles, medium, width) if draw else _OTHERS[type(chart)](chart, medium)


def draw_on_page(chart: Chart, styles: Styles, first: Sequence[str] = ()) -> Spec:
    """Specification for the page, as wide as its element; if given, only slugs in ``first`` are shown initially."""
    spec = chart_spec(chart, styles, PAGE)
    waiting = {style.label for slug, style in styles.items() if slug not in first} if first else set()
    for layer in spec.get("layer", []):
        for param in layer.get("params", []):
            if param["name"] == "shown":
                domain = layer["encoding"]["color"]["scale"]["domain"]
                param["value"] = [{"run": label} for label in domain if label not in waiting]
    return fit(spec)


def fit(spec: Spec) -> Spec:
    """A specification as wide as its element; panels are laid out by the page."""
    if "facet" in spec or "usermeta" in spec:
        return spec
    return {**spec, "width": "container", "autosize": {"type": "fit-x", "contains": "padding"}}


def draw_on_paper(chart: Chart, styles: Styles) -> Spec:
    """Specification for one column of a journal page, or both columns for wide charts."""
    wide = isinstance(chart, kinds.SnapshotChart | kinds.GraphChart)
    if isinstance(chart, LineChart):
        wide = chart.shape == "points" or chart.x.whole or len(chart.series) > 6
    width = PAGE_WIDTH if wide else COLUMN_WIDTH
    return size(chart_spec(chart, styles, PAPER, width), width)


def size(spec: Spec, width: int) -> Spec:
    """Specification of a chart with its width in pixels."""
    if "facet" in spec:
        panel = (width - _BAR_ROOM) / spec["columns"] - spec["spacing"] - 8
        return {**spec, "spec": {**spec["spec"], "width": panel, "height": panel}}
    if "usermeta" in spec:
        side = width - _AXIS_ROOM
        return {**spec, "width": side, "height": side}
    return {**spec, "width": width, "autosize": {"type": "fit-x", "contains": "padding"}}


def beside(charts: Sequence[Chart], styles: Styles, *, columns: int, titles: Sequence[str] = ()) -> Spec:
    """Several charts as panels of one figure, ``columns`` per row; only the first has the legend of runs."""
    of_runs = all(isinstance(chart, LineChart) and chart.styles is None for chart in charts)
    panels = []
    for number, chart in enumerate(charts):
        spec = chart_spec(chart, styles, PAPER, PAGE_WIDTH if of_runs else PAGE_WIDTH // columns)
        side = PAGE_WIDTH / columns - _room(chart)
        panel = {**spec, "width": side}
        if "usermeta" in spec:
            panel["height"] = side
        if titles:
            above = f" (above: {spec['title']['text']})" if "title" in spec else ""
            panel["title"] = {**spec.get("title", {}), "text": titles[number] + above, "anchor": "start"}
        panels.append(panel)
    scales = dict.fromkeys(("color", "fill", "shape", "strokeDash"), "shared" if of_runs else "independent")
    return {"concat": panels, "columns": columns, "spacing": 14, "resolve": {"scale": scales}}


def _room(chart: Chart) -> float:
    """Pixels outside the axes of a panel: labels on the left, a colour bar on the right, the gap between panels."""
    if isinstance(chart, kinds.SphereChart):
        return _BAR_ROOM
    if isinstance(chart, kinds.DotChart):
        return 30 + min(150, 5 * max(map(len, chart.names), default=0))
    if isinstance(chart, kinds.ScatterChart) and chart.colouring is not None:
        return _BAR_ROOM + (26 if chart.bare else 46)
    return _AXIS_ROOM


def to_svg(spec: Spec) -> str:
    """Reproducible SVG of a specification: text as text, circles as circles, to hundredths of a pixel."""
    svg = vl_convert.vegalite_to_svg({**spec, "config": PAPER.config})
    svg = _LONG.sub(r"\1", _CIRCLE.sub(r'<circle cx="\1" cy="\2" r="\3"', _ROLES.sub("", svg)))
    # Numbers of clip paths continue from earlier figures.
    clips = {name: f"clip{number}" for number, name in enumerate(dict.fromkeys(_CLIP.findall(svg)))}
    return _CLIP.sub(lambda found: clips[found[0]], svg)


def save_svg(figure: Spec | str, path: Path) -> None:
    """Write a specification, or existing SVG, as an SVG file; the same bytes for the same figure."""
    path.write_text(figure if isinstance(figure, str) else to_svg(figure), encoding="utf-8")
