"""Charts of data sets, scores and findings of runs: small values, drawn by ``report.figures``.

``kinds`` defines the kinds of chart; each other file makes the charts of one subject from tables and arrays.
``collect_charts`` makes all charts of the page that do not depend on a selector.
"""

from cryobench.report.charts.collect import collect_charts as collect_charts
from cryobench.report.charts.kinds import Axis as Axis
from cryobench.report.charts.kinds import BarChart as BarChart
from cryobench.report.charts.kinds import Bundle as Bundle
from cryobench.report.charts.kinds import Chart as Chart
from cryobench.report.charts.kinds import DensityChart as DensityChart
from cryobench.report.charts.kinds import DotChart as DotChart
from cryobench.report.charts.kinds import GridChart as GridChart
from cryobench.report.charts.kinds import LineChart as LineChart
from cryobench.report.charts.kinds import Picture as Picture
from cryobench.report.charts.kinds import PlaneChart as PlaneChart
from cryobench.report.charts.kinds import Reference as Reference
from cryobench.report.charts.kinds import Series as Series
from cryobench.report.charts.kinds import SnapshotChart as SnapshotChart
from cryobench.report.charts.kinds import TreeChart as TreeChart
