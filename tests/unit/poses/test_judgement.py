"""Sentences about found poses: shifts that pile up at the border, and views that leave frequencies unseen."""

import numpy as np

from cryobench.imaging.shift_scores import ShiftGrid
from cryobench.reconstruction.poses import judge_shifts, judge_views
from cryobench.rotations import rotations_from_euler, rotations_from_quaternions

GRID = ShiftGrid(5.0, 7)


def test_uniform_shifts_pass_and_piled_ones_are_said_with_their_share(rng: np.random.Generator) -> None:
    uniform = rng.uniform(-5, 5, (4000, 2))
    assert judge_shifts(uniform, GRID, 3.0) == []
    piled = np.clip(rng.uniform(-12, 12, (4000, 2)), -5, 5)
    (sentence,) = judge_shifts(piled, GRID, 3.0)
    assert "±15 Å: raise shift_range" in sentence
    share = float(sentence.split("%")[0]) / 100
    assert 0.8 < share < 0.9  # 1 − (4.3 / 12)²
    assert judge_shifts(np.zeros((10, 2)), ShiftGrid(0.0, 1), 3.0) == []


def test_views_in_a_cone_leave_directions_unseen(rng: np.random.Generator) -> None:
    everywhere = rotations_from_quaternions(rng.standard_normal((1000, 4)))
    classes = np.zeros(1000, dtype=int)
    assert judge_views(everywhere, classes, 20) == []
    angles = np.stack(
        [rng.uniform(0, 2 * np.pi, 1000), np.abs(rng.normal(0, 0.2, 1000)), rng.uniform(0, 2 * np.pi, 1000)], axis=1
    )
    (sentence,) = judge_views(rotations_from_euler(angles), classes, 20)
    assert sentence.startswith("The views leave")
    # Views on a great circle, as of particles that lie on their side, see every direction.
    angles[:, 1] = np.pi / 2
    assert judge_views(rotations_from_euler(angles), classes, 20) == []
