"""Charts of what the metrics measured: each a small value that the page's scripts and the paper figures both draw.

``kinds`` says what a chart can be; the other files make them from curves and items of scores, one idea each.
``collect_charts`` makes all that were measured.
"""

from cryobench.report.charts.collect import collect_charts
from cryobench.report.charts.kinds import (
    Axis,
    Chart,
    DotChart,
    GridChart,
    LineChart,
    Picture,
    PlaneChart,
    Point,
    Reference,
    Series,
)

__all__ = [
    "Axis",
    "Chart",
    "DotChart",
    "GridChart",
    "LineChart",
    "Picture",
    "PlaneChart",
    "Point",
    "Reference",
    "Series",
    "collect_charts",
]
