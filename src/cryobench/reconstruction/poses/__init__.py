"""Where poses of particles come from when they are not simply given."""

from cryobench.reconstruction.poses.table import PoseTable, rotations_from_rows

__all__ = ["PoseTable", "rotations_from_rows"]
