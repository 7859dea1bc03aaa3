"""Parts of the Vega-Lite specifications of all charts: media, tables, axes, and the looks of runs.

Page and paper are drawn from the same specification, except for its ``Medium``: colours (those of the page follow
its theme), sizes, and interaction.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Any

import numpy as np
import pandas as pd

from cryobench.report.charts.kinds import Axis, Series
from cryobench.report.colours import BLUE
from cryobench.report.scored_runs.styles import RunStyle

Spec = dict[str, Any]

COLUMN_WIDTH, PAGE_WIDTH = 336, 691
"""CSS pixels: one column of a journal page (3.5 inch), and both (7.2 inch)."""
DASHES = {"solid": [1, 0], "dash": [6, 4], "dot": [2, 2], "dashdot": [6, 3, 2, 3], "longdash": [12, 3]}
NUMBER = ".4~g"
"""Format of numbers in tooltips."""
DOTTED = [2, 3]
"""Dash pattern of references."""
_SHAPES = {
    "x": "M-1,-.6L-.6,-1L0,-.4L.6,-1L1,-.6L.4,0L1,.6L.6,1L0,.4L-.6,1L-1,.6L-.4,0Z",
    "hexagon": "M0,-1L.87,-.5L.87,.5L0,1L-.87,.5L-.87,-.5Z",
}
"""Paths of markers that Vega does not have, in the square from −1 to 1."""
_LONG_STROKE: Spec = {"symbolType": "M-2.8,0H2.8", "symbolOffset": 8, "labelOffset": 12}
"""Symbols of lines in a legend, long enough to show their dashes."""
_LEGEND_START = 50
"""Pixels left of a legend below a chart, which aligns it with the axis."""


@dataclass(frozen=True)
class Medium:
    """Medium of a chart: colours, fonts, and whether it is interactive."""

    name: str
    interactive: bool
    ink: str
    muted: str
    line: str
    grid: str
    ground: str
    """Fill of hollow markers."""
    bars: str
    """Fill of bars of the truth behind runs."""
    plain: str
    """Colour of marks that belong to no run."""
    font: str
    size: float
    """Font size in pixels."""
    bar: int
    """Length of a colour bar in pixels."""
    marker: float
    """Area of markers, relative to the page."""

    @property
    def config(self) -> Spec:
        """Configuration of Vega-Lite."""
        text = {"labelColor": self.ink, "titleColor": self.ink, "titleFontWeight": "normal"}
        small = {"labelFontSize": self.size - 1, "titleFontSize": self.size}
        return {
            "background": "transparent" if self.interactive else "white",
            "font": self.font,
            "aria": False,
            "padding": 2,
            "view": {"stroke": None},
            "mark": {"color": self.plain},
            "axis": {
                **text, **small, "gridColor": self.grid, "domainColor": self.line, "tickColor": self.line,
                "labelFlush": False, "tickSize": 4, "titlePadding": 6, "labelSeparation": 7,
            },
            "legend": {
                **text, **small, "labelFontSize": self.size, "offset": 10, "symbolSize": 55 * self.marker,
                "symbolStrokeWidth": 1 + self.marker, "gradientThickness": 9, "rowPadding": 3,
                "columnPadding": 14, "labelLimit": 190,
            },
            "header": {"labelColor": self.ink, "labelFontSize": self.size, "titleColor": self.ink},
            "title": {"color": self.ink, "fontSize": self.size, "fontWeight": "normal", "anchor": "middle"},
            "text": {"fontSize": self.size - 1, "color": self.muted},
            "style": {
                "reference": {"color": self.muted, "strokeWidth": 1.2},
                "bars": {"color": self.bars},
                "quiet": {"color": self.grid, "strokeWidth": 1},
                "unknown": {"color": self.muted, "opacity": 0.5},
                "mark": {"color": self.muted, "strokeWidth": 1.6},
            },
        }  # fmt: skip


PAGE = Medium(
    "page", True, "var(--ink)", "var(--muted)", "var(--line)", "var(--grid)", "var(--card)", "var(--bars)", "#3b8bc4",
    'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif', 12.5, 150, 1.0,
)  # fmt: skip
PAPER = Medium(
    "paper", False, "#1d2329", "#5b6570", "#8a8f98", "#e9ebed", "#ffffff", "#d9dde1", BLUE,
    "Helvetica, Arial, Liberation Sans, DejaVu Sans, sans-serif", 10, 95, 0.5,
)  # fmt: skip


def to_csv(columns: Mapping[str, Any] | pd.DataFrame) -> str:
    """Columns of one length as CSV, numbers to five digits; NaN is an empty cell."""
    return pd.DataFrame(columns).to_csv(index=False, float_format="%.5g", lineterminator="\n")


def parse(columns: Mapping[str, Any] | pd.DataFrame) -> Spec:
    """Parse options for the CSV of these columns: numbers as numbers, all else as text."""
    kinds = {name: np.asarray(values).dtype.kind for name, values in columns.items()}
    return {"type": "csv", "parse": {name: "number" if kind in "iuf" else "string" for name, kind in kinds.items()}}


def table(columns: Mapping[str, Any] | pd.DataFrame) -> Spec:
    """Columns of one length as the data of a layer."""
    return {"values": to_csv(columns), "format": parse(columns)}


def stack(parts: Sequence[Mapping[str, Any]]) -> Spec:
    """Concatenated tables as the data of a layer; a column that is a single value is repeated."""
    frames = [pd.DataFrame(part) for part in parts]
    return table(pd.concat(frames, ignore_index=True)) if frames else {"values": []}


def layer(
    mark: str,
    data: Spec | None = None,
    look: Spec | None = None,
    *,
    transform: Sequence[Spec] = (),
    params: Sequence[Spec] = (),
    **encoding: Spec | str | list[Spec],
) -> Spec:
    """One layer: mark, data and looks, and for each channel an encoding or the name of its field."""
    channels = {channel: {"field": of} if isinstance(of, str) else of for channel, of in encoding.items()}
    made: Spec = {"mark": {"type": mark, **(look or {})}, "encoding": channels}
    parts = {"data": data, "transform": list(transform), "params": list(params)}
    return {**{name: part for name, part in parts.items() if part}, **made}


def interval(series: Series) -> Spec:
    """Columns with both ends of a series' intervals; empty where they are not known."""
    return {name: np.nan if ends is None else ends for name, ends in (("low", series.low), ("high", series.high))}


def say_interval(series: Sequence[Series]) -> dict[str, tuple[str, str]]:
    """Tooltip fields of both ends, where any are known."""
    return {"low": ("from", NUMBER), "high": ("to", NUMBER)} if any(each.low is not None for each in series) else {}


_FEW = 20
"""Extent of an axis of whole numbers up to which each has a tick."""


def encode(field: str, axis: Axis, extent: Sequence[float] | np.ndarray = (), **options: Any) -> Spec:
    """Encoding of a numeric field along an axis; ``extent`` are numbers that a circular axis must show."""
    scale: Spec = {"zero": False, "nice": axis.high is None and not axis.whole and axis.period is None}
    if axis.logarithmic:
        scale = {"type": "log", "nice": False, "padding": 12}
    if axis.low is not None and axis.high is not None:
        scale["domain"] = [axis.low, axis.high]
    elif axis.low is not None:
        scale["domainMin"] = axis.low
    elif axis.high is not None:
        scale["domainMax"] = axis.high
    shown: Spec = {"labelOverlap": True}
    ends = [float(end) for end in (axis.low, axis.high, *extent) if end is not None and np.isfinite(end)]
    if axis.logarithmic:
        if ends and max(ends) < 2 * min(ends):
            ends = [min(ends) / 2, 2 * max(ends)]
            scale["domain"] = ends
        shown |= _decades(ends)
    if axis.period == 360 and ends:
        shown["values"] = np.arange(np.ceil(min(ends) / 90) * 90, max(ends) + 1, 90).tolist()
    elif axis.whole:
        shown |= {"tickMinStep": 1, "format": "d"}
        if len(ends) > 1 and max(ends) - min(ends) <= _FEW:
            # The least step alone does not keep Vega from halves where there are few numbers.
            shown["values"] = np.arange(np.ceil(min(ends)), max(ends) + 1e-6).tolist()
    return {"field": field, "type": "quantitative", "title": axis.title, "scale": scale, "axis": {**shown, **options}}


def write_remark(remark: str, medium: Medium) -> Spec:
    """Title of a chart with a remark at its upper right; empty without one."""
    look = {"anchor": "end", "frame": "bounds", "fontSize": medium.size - 1, "color": medium.muted}
    return {"title": {"text": remark, **look}} if remark else {}


def _decades(ends: Sequence[float]) -> Spec:
    """Ticks of a logarithmic axis: powers of ten, or 1, 2 and 5 times them where there are few."""
    low, high = np.log10([min(ends, default=1), max(ends, default=10)])
    powers = 10.0 ** np.arange(np.floor(low) - 1, np.ceil(high) + 2)
    ticks = powers if high - low > 2.5 else (powers[:, None] * [1, 2, 5]).ravel()
    shown = [float(f"{tick:.3g}") for tick in ticks if tick / 10**low >= 0.5 and tick / 10**high <= 2]
    plain = "datum.value >= 0.01 && datum.value < 100000"
    return {"values": shown, "labelExpr": f"{plain} ? format(datum.value, '~f') : format(datum.value, '.0e')"}


def named_places(field: str, title: str, names: Sequence[str], most: int, **options: Any) -> Spec:
    """Encoding of named positions 0, 1 …, of which only a limited number of names is written."""
    step = max(1, -(-len(names) // most))
    return {
        "field": field,
        "type": "ordinal",
        "title": title,
        "sort": None,
        "axis": {
            "values": list(range(0, len(names), step)),
            "labelExpr": f"{json.dumps(list(names))}[datum.value]",
            "ticks": False, "grid": False, "labelLimit": 110, "domain": False,
            "labelOverlap": True,
            "labelSeparation": 1,
            **options,
        },
    }  # fmt: skip


class Runs:
    """Looks of the runs of one chart, as scales, and their legend."""

    def __init__(
        self,
        styles: Sequence[RunStyle],
        medium: Medium,
        width: int,
        extra: Sequence[RunStyle] = (),
        *,
        lines: bool = False,
    ) -> None:
        self.styles = [*extra, *styles]
        self.medium = medium
        self.lines = lines
        """Whether runs are lines without markers, so that dashes are in the legend."""
        longest = min(30, max((len(style.label) for style in self.styles), default=0))
        room = round(46 + 12 * lines + 0.52 * medium.size * longest)
        columns: Any = max(1, (width - _LEGEND_START) // room)
        if medium.interactive:
            columns = {"expr": f"max(1, floor((containerSize()[0] - {_LEGEND_START}) / {room}))"}
        self.legend: Spec | None = None
        if len(self.styles) > 1:
            self.legend = {"orient": "bottom", "title": None, "columns": columns, "symbolOpacity": 1}
            if lines:
                self.legend |= _LONG_STROKE

    def channels(self, *channels: str) -> Spec:
        """Encodings of a layer whose field "run" holds labels: any of color, fill, shape and strokeDash."""
        ranges = {
            "color": [style.colour for style in self.styles],
            "fill": [self.medium.ground if style.is_control else style.colour for style in self.styles],
            "shape": [_SHAPES.get(style.marker, style.marker) for style in self.styles],
            "strokeDash": [DASHES[style.dash] for style in self.styles],
        }
        domain = [style.label for style in self.styles]
        return {
            channel: {
                "field": "run",
                "type": "nominal",
                "sort": None,
                "scale": {"domain": domain, "range": ranges[channel]},
                "legend": self.legend if channel != "strokeDash" or self.lines else None,
            }
            for channel in channels
        }

    @property
    def params(self) -> list[Spec]:
        """Selection of runs by the legend, for one layer of an interactive chart."""
        if self.legend is None or not self.medium.interactive:
            return []
        chosen = {"type": "point", "fields": ["run"], "toggle": "true"}
        return [{"name": "shown", "select": chosen, "bind": "legend"}]

    @property
    def filters(self) -> list[Spec]:
        """Transforms, for every layer of runs, that keep only the selected runs."""
        return [{"filter": {"param": "shown"}}] if self.params else []


def tooltip(medium: Medium, **fields: tuple[str, str]) -> Spec:
    """Tooltip encoding: a title and a format ("" for text) for each field."""
    if not medium.interactive:
        return {}
    return {
        "tooltip": [
            {
                "field": field,
                "title": title,
                **({"type": "quantitative", "format": form} if form else {"type": "nominal"}),
            }
            for field, (title, form) in fields.items()
        ]
    }


def colour_bar(title: str, medium: Medium, length: int = 1000, **options: Any) -> Spec:
    """Legend of a continuous colour, with a maximum length in pixels."""
    shown = min(medium.bar, length)
    # A longer title would be cut at the edge of the figure; the space before a unit does not break.
    lines = wrap(title.replace(" / ", "\u00a0/\u00a0"), int(shown / (0.5 * medium.size)))
    return {
        "title": title if len(lines) < 2 else lines,
        "titlePadding": 5 + medium.size * (len(lines) - 1),
        "orient": "right",
        "gradientLength": shown,
        "titleOrient": "right",
        "titleLimit": shown + 30,
        **options,
    }


def square(spec: Spec) -> Spec:
    """A chart with one scale on both axes: it is as high as it is wide."""
    return {**spec, "usermeta": {"square": True}}
