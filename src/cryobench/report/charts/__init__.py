"""Charts of what metrics measured and runs found: small values that the page's scripts and the paper figures draw.

``kinds`` says what a chart can be; the other files make them from curves and items of scores, or from the arrays of
runs (``findings``), one idea each. ``collect_charts`` makes all that there are numbers for.
"""

from cryobench.report.charts.collect import collect_charts
from cryobench.report.charts.kinds import (
    Axis,
    Chart,
    DensityChart,
    DotChart,
    GridChart,
    LineChart,
    Picture,
    PlaneChart,
    Point,
    Reference,
    Series,
    SnapshotChart,
)

__all__ = [
    "Axis",
    "Chart",
    "DensityChart",
    "DotChart",
    "GridChart",
    "LineChart",
    "Picture",
    "PlaneChart",
    "Point",
    "Reference",
    "Series",
    "SnapshotChart",
    "collect_charts",
]
