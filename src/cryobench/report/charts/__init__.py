"""Charts of a data set, of what metrics measured and of what runs found: small values, drawn by ``report.figures``.

``kinds`` says what a chart can be; the other files make them from tables and arrays, one idea each.
``collect_charts`` makes all that stand on the page by themselves.
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
    "collect_charts",
]
