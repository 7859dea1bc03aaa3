"""Where poses of particles come from when they are not simply given: a table that gradients move, or a search."""

from cryobench.reconstruction.poses.judgement import judge_shifts, judge_views
from cryobench.reconstruction.poses.orientations import OrientationGrid
from cryobench.reconstruction.poses.point_groups import point_group
from cryobench.reconstruction.poses.search import PoseSearch
from cryobench.reconstruction.poses.search_plan import SearchPlan, plan_radii
from cryobench.reconstruction.poses.search_values import FoundPoses, Leaves, Matched
from cryobench.reconstruction.poses.slices import GridSlices, SliceSource
from cryobench.reconstruction.poses.table import PoseTable, rotations_from_rows

__all__ = [
    "FoundPoses",
    "GridSlices",
    "Leaves",
    "Matched",
    "OrientationGrid",
    "PoseSearch",
    "PoseTable",
    "SearchPlan",
    "SliceSource",
    "judge_shifts",
    "judge_views",
    "plan_radii",
    "point_group",
    "rotations_from_rows",
]
