"""What a chart can be: curves, bars, dots with intervals, runs or particles in a plane, grids, fields and graphs.

Colours and dashes are not here: a series belongs to a run, named by its slug, which looks the same in every chart.
Numbers are in the units their axis names; NaN is not drawn.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from cryobench.report.runs.colourings import Colouring
from cryobench.report.runs.styles import RunStyle

Section = Literal["fsc", "latents", "classes", "poses", "findings"]
"""Where on the page a picture stands."""


@dataclass(frozen=True)
class Axis:
    """Title with unit, and what is shown of it."""

    title: str
    low: float | None = None
    high: float | None = None
    period: float | None = None
    """Length of one turn where the axis is a circle."""
    whole: bool = False
    """Whether places on it are whole numbers, such as states."""
    logarithmic: bool = False
    inverse: str = ""
    """Title of a second axis at the opposite side that shows one over this one, such as Å over 1/Å."""
    unit: float = 1.0
    """What one on this axis is in the inverse of the unit of ``inverse``: 1/Å in a cycle per pixel, for instance."""


@dataclass(frozen=True, eq=False)
class Series:
    """A curve of one run, with a band or bars around it where its spread is known."""

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
    """(m, len(x))."""
    particles: np.ndarray
    """(m,)."""


@dataclass(frozen=True, eq=False)
class Reference:
    """What no run made: the truth, chance, the best that is possible. Drawn in grey behind the runs."""

    label: str
    x: np.ndarray
    y: np.ndarray
    shape: Literal["line", "bars", "dotted"] = "line"


@dataclass(frozen=True, eq=False)
class LineChart:
    """Curves over one axis: joined, in steps over bins, or as points, side by side or where they are ("free")."""

    x: Axis
    y: Axis
    series: list[Series]
    references: list[Reference] = field(default_factory=list)
    shape: Literal["line", "steps", "points", "free"] = "line"
    bundles: list[Bundle] = field(default_factory=list)
    styles: Mapping[str, RunStyle] | None = None
    """How the curves look where they are not of runs."""


@dataclass(frozen=True, eq=False)
class BarChart:
    """Counts by a value: a histogram."""

    x: Axis
    y: Axis
    centres: np.ndarray
    counts: np.ndarray
    width: float
    """Of a bar, along x."""


@dataclass(frozen=True, eq=False)
class DotChart:
    """A value with its interval for every name and run: names from top to bottom, the value along x."""

    value: Axis
    names: list[str]
    series: list[Series]
    """``x`` are values, ``low`` and ``high`` their ends, ``y`` the place of the name."""
    references: list[Reference] = field(default_factory=list)
    own_rows: bool = False
    """Whether each name is that of a run, so that no legend is needed."""
    remark: str = ""
    """Said above the rows, of those that are not there."""


@dataclass(frozen=True)
class Point:
    """A run, or a mark, in a plane, with the half-widths of its bars."""

    slug: str
    """Of a run; of a mark, what it is called."""
    x: float
    y: float
    x_spread: float = 0.0
    y_spread: float = 0.0


@dataclass(frozen=True, eq=False)
class PlaneChart:
    """Points of runs in a plane, and marks for what is perfect and what is chance."""

    x: Axis
    y: Axis
    points: list[Point]
    marks: list[Point] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class GridChart:
    """Shares by row and column, rows from top to bottom."""

    x: Axis
    y: Axis
    columns: list[str]
    rows: list[str]
    shares: np.ndarray
    """(rows, columns) in [0, 1]."""
    counts: np.ndarray | None = None
    """(rows, columns) particles, where shares are of particles."""
    title: str = "share of the row"
    """What a share is of."""


@dataclass(frozen=True, eq=False)
class DensityChart:
    """A density over a plane, with a path through it and some of what it is the density of."""

    x: Axis
    y: Axis
    columns: np.ndarray
    """(c,) places along x."""
    rows: np.ndarray
    """(r,) places along y, from bottom to top."""
    values: np.ndarray
    """(r, c), not negative."""
    path: np.ndarray | None = None
    """(f, 2) places (x, y) in order."""
    points: np.ndarray | None = None
    """(m, 2)."""


@dataclass(frozen=True, eq=False)
class SphereChart:
    """Counts in cells of equal area on the sphere, as a map of equal area (Mollweide)."""

    outlines: list[np.ndarray]
    """(p, 2) closed outline of each cell on the map, x in [−2, 2] and y in [−1, 1]."""
    centres: np.ndarray
    """(c, 2) longitude and latitude of each cell, in degrees."""
    counts: np.ndarray
    """(c,)."""
    title: str


@dataclass(frozen=True, eq=False)
class Trail:
    """Places of some volumes among particles."""

    name: str
    places: np.ndarray
    """(f, 2)."""
    captions: list[str]
    """Of each volume."""
    particles: np.ndarray
    """(f,) nearest to each."""
    joined: bool
    """Whether they are in an order."""


@dataclass(frozen=True, eq=False)
class ScatterChart:
    """Particles in a plane, coloured by a number of each, with places of volumes among them."""

    x: Axis
    y: Axis
    places: np.ndarray
    """(m, 2)."""
    particles: np.ndarray
    """(m,)."""
    colouring: Colouring | None = None
    trails: list[Trail] = field(default_factory=list)
    bare: bool = False
    """Whether numbers on the axes mean nothing."""
    plain: bool = False
    """Whether dots without a colouring are what is shown, and not particles of which something is not known."""


@dataclass(frozen=True, eq=False)
class SnapshotChart:
    """The same particles in a plane at several times, a small panel each."""

    x: Axis
    y: Axis
    titles: list[str]
    """Of the t panels, in order."""
    places: np.ndarray
    """(t, m, 2)."""
    particles: np.ndarray
    """(m,)."""
    colouring: Colouring | None = None


@dataclass(frozen=True, eq=False)
class GraphChart:
    """States joined by steps that lead from one to another."""

    x: Axis
    names: list[str]
    places: np.ndarray
    """(s, 2)."""
    particles: np.ndarray
    """(s,) of each state: the area of its dot."""
    edges: np.ndarray
    """(e, 2) states: from, to."""


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
)


@dataclass(frozen=True, eq=False)
class Picture:
    """A chart with its place and its words."""

    key: str
    """Name of its SVG file, unique on the page."""
    section: Section
    group: str
    """Pictures of one group stand together under its heading."""
    chart: Chart
    caption: str
    run: str | None = None
    """Slug of the run it shows, if it shows one only."""
    lead: str = ""
    """How to read it, where that is said once for the pictures of all runs."""

    @property
    def kind(self) -> str:
        """What the page's scripts call a chart of this kind."""
        names = {
            LineChart: "lines",
            DotChart: "dots",
            PlaneChart: "plane",
            GridChart: "grid",
            DensityChart: "density",
            SnapshotChart: "snapshots",
        }
        return names[type(self.chart)]


def shown_limits(values: Sequence[float] | np.ndarray, *, low: float, high: float) -> tuple[float, float]:
    """Limits that hold [low, high] and all finite values."""
    finite = np.asarray(values, dtype=np.float64)
    finite = finite[np.isfinite(finite)]
    if not len(finite):
        return low, high
    return float(min(low, finite.min())), float(max(high, finite.max()))
