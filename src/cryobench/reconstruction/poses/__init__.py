"""Poses of particles where they are not given and fixed: a table refined by gradients, or a search."""

from cryobench.reconstruction.poses.judgement import judge_shifts as judge_shifts
from cryobench.reconstruction.poses.judgement import judge_views as judge_views
from cryobench.reconstruction.poses.network_search import SearchedPoses as SearchedPoses
from cryobench.reconstruction.poses.network_search import plan_search as plan_search
from cryobench.reconstruction.poses.network_search import search_bytes as search_bytes
from cryobench.reconstruction.poses.network_slices import NetworkSlices as NetworkSlices
from cryobench.reconstruction.poses.orientations import OrientationGrid as OrientationGrid
from cryobench.reconstruction.poses.search import PoseSearch as PoseSearch
from cryobench.reconstruction.poses.search_plan import SearchPlan as SearchPlan
from cryobench.reconstruction.poses.search_plan import plan_radii as plan_radii
from cryobench.reconstruction.poses.search_settings import HealpixNside as HealpixNside
from cryobench.reconstruction.poses.search_settings import SearchSettings as SearchSettings
from cryobench.reconstruction.poses.search_values import Leaves as Leaves
from cryobench.reconstruction.poses.search_values import Matched as Matched
from cryobench.reconstruction.poses.slices import GridSlices as GridSlices
from cryobench.reconstruction.poses.starts import random_rotations as random_rotations
from cryobench.reconstruction.poses.starts import train_starts as train_starts
from cryobench.reconstruction.poses.table import PoseTable as PoseTable
from cryobench.reconstruction.poses.table import rotations_from_rows as rotations_from_rows
