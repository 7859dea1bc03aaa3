"""Kinds of chart: curves, bars, dots with intervals, points in two dimensions, grids, fields, graphs and trees.

Colours and dashes are not set here: a series names its run by slug, and a run looks the same in every chart.
Numbers are in the units of their axis title; NaN is not drawn.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from cryobench.report.scored_runs.colourings import Colouring
from cryobench.report.scored_runs.styles import RunStyle
from cryobench.report.scored_runs.tables import by_run, column_of

Section = Literal["fsc", "latents", "classes", "poses", "findings"]
"""Section of the page that shows a picture."""


@dataclass(frozen=True)
class Axis:
    """Title with unit, limits and scale of an axis."""

    title: str
    low: float | None = None
    high: float | None = None
    period: float | None = None
    """Period of a circular axis."""
    whole: bool = False
    """Whether its values are whole numbers, such as states."""
    logarithmic: bool = False
    inverse: str = ""
    """Title of a second axis on the opposite side that shows the reciprocal, such as Å for 1/Å."""
    unit: float = 1.0
    """Size of this axis's unit in the reciprocal of the unit of ``inverse``, such as 1/Å for a cycle per pixel."""


@dataclass(frozen=True, eq=False)
class Series:
    """A curve of one run, with a band or error bars where its spread is known."""

    slug: str
    x: np.ndarray
    y: np.ndarray
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    counts: np.ndarray | None = None
    """Items behind each value."""


@dataclass(frozen=True, eq=False)
class Bundle:
    """Many thin curves of one run, one per query particle."""

    slug: str
    x: np.ndarray
    curves: np.ndarray
    """(m, len(x)), one row per curve."""
    particles: np.ndarray
    """(m,)."""


@dataclass(frozen=True, eq=False)
class Reference:
    """A reference such as the truth, chance or the best possible value. Drawn in grey behind the runs."""

    label: str
    x: np.ndarray
    y: np.ndarray
    shape: Literal["line", "bars", "dotted"] = "line"


@dataclass(frozen=True, eq=False)
class LineChart:
    """Curves over one axis: as lines, as steps over bins, or as points, side by side or at their exact x ("free")."""

    x: Axis
    y: Axis
    series: list[Series]
    references: list[Reference] = field(default_factory=list)
    shape: Literal["line", "steps", "points", "free"] = "line"
    bundles: list[Bundle] = field(default_factory=list)
    styles: Mapping[str, RunStyle] | None = None
    """Styles of curves that do not belong to runs."""
    remark: str = ""
    """Remark above the chart on the runs left out."""


@dataclass(frozen=True, eq=False)
class BarChart:
    """Histogram: counts by value."""

    x: Axis
    y: Axis
    centres: np.ndarray
    counts: np.ndarray
    width: float
    """Width of a bar, along x."""


@dataclass(frozen=True, eq=False)
class DotChart:
    """A value with its interval for every name and run: names from top to bottom, the value along x."""

    value: Axis
    names: list[str]
    series: list[Series]
    """``x`` are values, ``low`` and ``high`` the ends of their intervals, ``y`` the index of the name."""
    references: list[Reference] = field(default_factory=list)
    own_rows: bool = False
    """Whether each name is that of a run, so that no legend is needed."""
    remark: str = ""
    """Remark above the rows on those left out."""


@dataclass(frozen=True)
class Point:
    """A run or a mark in two dimensions, with the half-widths of its error bars."""

    slug: str
    """Slug of a run, or name of a mark."""
    x: float
    y: float
    x_spread: float = 0.0
    y_spread: float = 0.0


@dataclass(frozen=True, eq=False)
class PlaneChart:
    """Runs as points in two dimensions, with marks for the perfect and the chance result."""

    x: Axis
    y: Axis
    points: list[Point]
    marks: list[Point] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class GridChart:
    """Fractions by row and column, rows from top to bottom."""

    x: Axis
    y: Axis
    columns: list[str]
    rows: list[str]
    fractions: np.ndarray
    """(rows, columns) in [0, 1]."""
    counts: np.ndarray | None = None
    """(rows, columns) particles, where the values are fractions of particles."""
    title: str = "fraction of the row"
    """Title of the values."""


@dataclass(frozen=True, eq=False)
class DensityChart:
    """A density in two dimensions, with a path through it and some of the points it was estimated from."""

    x: Axis
    y: Axis
    columns: np.ndarray
    """(c,) grid positions along x."""
    rows: np.ndarray
    """(r,) grid positions along y, from bottom to top."""
    values: np.ndarray
    """(r, c) density, not negative."""
    path: np.ndarray | None = None
    """(f, 2) positions (x, y) in order."""
    points: np.ndarray | None = None
    """(m, 2) positions of dots."""


@dataclass(frozen=True, eq=False)
class SphereChart:
    """Counts in equal-area cells on the sphere, drawn on an equal-area map (Mollweide)."""

    outlines: list[np.ndarray]
    """(p, 2) closed outline of each cell on the map, x in [−2, 2] and y in [−1, 1]."""
    centres: np.ndarray
    """(c, 2) longitude and latitude of each cell, in degrees."""
    counts: np.ndarray
    """(c,)."""
    title: str


@dataclass(frozen=True, eq=False)
class Trail:
    """Positions of some volumes among particles."""

    name: str
    positions: np.ndarray
    """(f, 2) position of each volume."""
    captions: list[str]
    """Label of each volume."""
    particles: np.ndarray
    """(f,) particle nearest to each volume."""
    joined: bool
    """Whether the volumes form an ordered series."""


@dataclass(frozen=True, eq=False)
class ScatterChart:
    """Particles in two dimensions, coloured by one number each, with positions of volumes among them."""

    x: Axis
    y: Axis
    positions: np.ndarray
    """(m, 2) position of each particle."""
    particles: np.ndarray
    """(m,)."""
    colouring: Colouring | None = None
    trails: list[Trail] = field(default_factory=list)
    bare: bool = False
    """Whether the numbers on the axes have no meaning, as in UMAP."""
    plain: bool = False
    """Whether dots have no colouring by design; otherwise a dot without colour is a particle of unknown value."""


@dataclass(frozen=True, eq=False)
class SnapshotChart:
    """The same particles in two dimensions at several epochs, one small panel each."""

    x: Axis
    y: Axis
    titles: list[str]
    """Titles of the t panels, in order."""
    positions: np.ndarray
    """(t, m, 2) position of each particle at each epoch."""
    particles: np.ndarray
    """(m,)."""
    colouring: Colouring | None = None


@dataclass(frozen=True, eq=False)
class GraphChart:
    """Directed graph of states and the steps between them."""

    x: Axis
    names: list[str]
    positions: np.ndarray
    """(s, 2) position of each state."""
    particles: np.ndarray
    """(s,) particles of each state: the area of its dot."""
    edges: np.ndarray
    """(e, 2) states: from, to."""


@dataclass(frozen=True, eq=False)
class TreeChart:
    """Binary tree of named leaves, next to each other in order."""

    x: Axis
    y: Axis
    names: list[str]
    """Names of n leaves."""
    merges: np.ndarray
    """(n − 1, 4) as in scipy: two nodes, height, leaves; heights ascend."""

    def brackets(self) -> np.ndarray:
        """(3 (n − 1), 4) lines x, y, x, y: two stems and a bar per merge; leaves are at 0, 1, ... and height 0."""
        places = [(float(leaf), 0.0) for leaf in range(len(self.names))]
        lines = []
        for one, other, height, _ in self.merges.tolist():
            (left, low), (right, high) = places[int(one)], places[int(other)]
            lines += [(left, low, left, height), (right, high, right, height), (left, height, right, height)]
            places.append((0.5 * (left + right), height))
        return np.array(lines).reshape(-1, 4)


Chart = (
    LineChart
    | BarChart
    | DotChart
    | PlaneChart
    | GridChart
    | DensityChart
    | SphereChart
    | ScatterChart
    | SnapshotChart
    | GraphChart
    | TreeChart
)


@dataclass(frozen=True, eq=False)
class Picture:
    """A chart with its section of the page and its caption."""

    key: str
    """Name of its SVG file, unique on the page."""
    section: Section
    group: str
    """Heading under which pictures are grouped."""
    chart: Chart
    caption: str
    run: str | None = None
    """Slug of the run it shows, if it shows only one."""
    lead: str = ""
    """How to read it, where one text serves the pictures of all runs."""

    @property
    def kind(self) -> str:
        """Name of this kind of chart in the page's scripts."""
        return _NAMES[type(self.chart)]


_NAMES = {
    LineChart: "lines",
    DotChart: "dots",
    PlaneChart: "plane",
    GridChart: "grid",
    DensityChart: "density",
    SnapshotChart: "snapshots",
    TreeChart: "tree",
}


@cache
def read_captions() -> dict[str, str]:
    """How to read each picture, by its key without its run: ``captions.toml``."""
    return tomllib.loads(Path(__file__).with_name("captions.toml").read_text(encoding="utf-8"))


def series_by_run(table: pd.DataFrame, *columns: str) -> list[Series]:
    """A series for each run of a table, of the columns with x, y and, if given, the ends of intervals."""
    return [Series(slug, *(column_of(rows, name) for name in columns)) for slug, rows in by_run(table)]


def series_by_name(table: pd.DataFrame, names: list[str], key: str, value: str, *ends: str) -> list[Series]:
    """A series of a dot chart for each run of a table: values and their intervals, by the names in column ``key``."""
    placed = table.assign(place=[names.index(name) for name in table[key]])
    return series_by_run(placed, value, "place", *ends)


def shown_limits(values: Sequence[float] | np.ndarray, *, low: float, high: float) -> tuple[float, float]:
    """Limits (low, high) that include [low, high] and all finite values."""
    finite = np.asarray(values, dtype=np.float64)
    finite = finite[np.isfinite(finite)]
    if not len(finite):
        return low, high
    return float(min(low, finite.min())), float(max(high, finite.max()))
