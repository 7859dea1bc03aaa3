"""Charts of data sets, scores and findings of runs: small values, drawn by ``report.figures``.

``kinds`` defines the kinds of chart; each other file makes the charts of one subject from tables and arrays.
``collect_charts`` makes all charts of the page that do not depend on a selector.
"""

from cryobench.report.charts.collect import collect_charts
from cryobench.report.charts.kinds import (
    Axis,
    BarChart,
    Bundle,
    Chart,
    DensityChart,
    DotChart,
    GraphChart,
    GridChart,
    LineChart,
    Picture,
    PlaneChart,
    Point,
    Reference,
    ScatterChart,
    Series,
    SnapshotChart,
    SphereChart,
    Trail,
    TreeChart,
)

__all__ = [
    "Axis",
    "BarChart",
    "Bundle",
    "Chart",
    "DensityChart",
    "DotChart",
    "GraphChart",
    "GridChart",
    "LineChart",
    "Picture",
    "PlaneChart",
    "Point",
    "Reference",
    "ScatterChart",
    "Series",
    "SnapshotChart",
    "SphereChart",
    "Trail",
    "TreeChart",
    "collect_charts",
]
