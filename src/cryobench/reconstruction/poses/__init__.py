"""Poses of particles where they are not given and fixed: a table refined by gradients, or a search."""

from cryobench.reconstruction.poses.judgement import judge_shifts, judge_views
from cryobench.reconstruction.poses.network_search import SearchedPoses, plan_search, search_bytes
from cryobench.reconstruction.poses.network_slices import NetworkSlices
from cryobench.reconstruction.poses.orientations import OrientationGrid
from cryobench.reconstruction.poses.search import PoseSearch
from cryobench.reconstruction.poses.search_plan import SearchPlan, plan_radii
from cryobench.reconstruction.poses.search_settings import SearchSettings
from cryobench.reconstruction.poses.search_values import FoundPoses, Leaves, Matched
from cryobench.reconstruction.poses.slices import GridSlices, OwnSource, SharedSource, SliceSource
from cryobench.reconstruction.poses.starts import BestStart, random_rotations, train_starts
from cryobench.reconstruction.poses.table import PoseTable, rotations_from_rows

__all__ = [
    "BestStart",
    "FoundPoses",
    "GridSlices",
    "Leaves",
    "Matched",
    "NetworkSlices",
    "OrientationGrid",
    "OwnSource",
    "PoseSearch",
    "PoseTable",
    "SearchPlan",
    "SearchSettings",
    "SearchedPoses",
    "SharedSource",
    "SliceSource",
    "judge_shifts",
    "judge_views",
    "plan_radii",
    "plan_search",
    "random_rotations",
    "rotations_from_rows",
    "search_bytes",
    "train_starts",
]
