"""Refined poses: their table during training, and the corresponding part of the reconstruction."""

from functools import partial
from typing import Any

import numpy as np

from cryobench.data import Particles
from cryobench.methods.cryodrgn.settings import CryodrgnSettings
from cryobench.reconstruction.images import require_poses
from cryobench.reconstruction.networks import AdamSettings, SparseRowAdam
from cryobench.reconstruction.poses import PoseTable
from cryobench.rotations import geodesic_distance


def make_poses(particles: Particles, settings: CryodrgnSettings, device: str) -> PoseTable | None:
    """Pose table, starting from the given poses; None where they are not refined."""
    if not settings.refine_poses:
        return None
    rotations, _ = require_poses(particles)
    rate, shift_rate = settings.pose_learning_rate, settings.shift_learning_rate
    make_rows = partial(SparseRowAdam, settings=AdamSettings(rate))
    return PoseTable(rotations, make_rows, shift_unit=1.0 if shift_rate is None else shift_rate / rate, device=device)


def give_poses(poses: PoseTable | None, particles: Particles) -> dict[str, Any]:
    """Rotations (n, 3, 3), shifts (n, 2) in Å, and a note on their change; empty where poses are not refined.

    Images were centred by the given shifts, so those of the table are added to them.
    """
    if poses is None:
        return {}
    given, shifts = require_poses(particles)
    rotations, moves = poses.flush()
    turn = float(np.median(np.rad2deg(geodesic_distance(given, rotations))))
    move = float(np.median(np.linalg.norm(moves, axis=1))) * particles.pixel_size
    note = f"Poses were refined from the given ones: by {turn:.2g}° and {move:.2g} Å in the median."
    return {"rotations": rotations, "shifts": shifts + moves * particles.pixel_size, "notes": (note,)}
