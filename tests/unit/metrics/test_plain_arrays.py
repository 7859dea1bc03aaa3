"""The functions that work on plain arrays, without a data set: their examples, and what they refuse."""

import doctest
from functools import partial

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from cryobench.metrics import (
    FscCurve,
    compare_volumes,
    fsc,
    fsc_auc,
    information_imbalance,
    neighbourhood_similarity,
    pose_error,
)
from cryobench.volumes import Alignment, align

PUBLIC = [
    fsc,
    fsc_auc,
    neighbourhood_similarity,
    information_imbalance,
    pose_error,
    align,
    compare_volumes,
    Alignment,
]


@pytest.mark.parametrize("item", PUBLIC, ids=lambda item: item.__name__)
def test_examples_in_docstrings(item):
    names = {public.__name__: public for public in (*PUBLIC, FscCurve)}
    test = doctest.DocTestParser().get_doctest(item.__doc__, names, item.__name__, None, 0)
    assert test.examples
    messages: list[str] = []
    assert doctest.DocTestRunner().run(test, out=messages.append).failed == 0, "".join(messages)


def test_arguments_in_the_order_promised(rng):
    volume = rng.normal(size=(15, 15, 15))
    points = rng.normal(size=(60, 3))
    poses = Rotation.random(60, random_state=1).as_matrix()
    assert fsc_auc(fsc(volume, volume)) == 6 / 15
    assert neighbourhood_similarity(points, points, [10, 20]).similarity.tolist() == [100, 100]
    assert information_imbalance(points, points, 4).forward.tolist() == pytest.approx([5 / 60])
    assert pose_error(poses, poses).rotation_deg.max() == pytest.approx(0, abs=1e-6)
    assert align(volume, volume).score == pytest.approx(1, abs=1e-4)


def _poses(count):
    return Rotation.random(count, random_state=0).as_matrix()


def _with_nan(array):
    array = array.copy()
    array[..., 0] = np.nan
    return array


POINTS = np.random.default_rng(0).normal(size=(60, 2))
CUBE = np.random.default_rng(1).normal(size=(12, 12, 12))


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        (fsc, (CUBE, CUBE[:11, :11, :11]), r"truth has shape \(11, 11, 11\) but the volume \(12, 12, 12\)"),
        (fsc, (CUBE, CUBE, np.ones((10, 10, 10))), r"the mask has shape \(10, 10, 10\)"),
        (fsc, (_with_nan(CUBE), CUBE), "volume holds NaN"),
        (neighbourhood_similarity, (POINTS, POINTS[:50]), "same points, got 60 and 50 rows"),
        (neighbourhood_similarity, (_with_nan(POINTS), POINTS), "0 of 60 points are finite in both"),
        (neighbourhood_similarity, (POINTS, POINTS, [0.0]), "radii must be ascending percentages"),
        (information_imbalance, (POINTS, POINTS[:50]), "same points, got 60 and 50 rows"),
        (
            partial(information_imbalance, ties="remove"),
            (POINTS, np.ones_like(POINTS), 3),
            'ties="average" keeps them',
        ),
        (information_imbalance, (POINTS, POINTS, 60), "k must lie between 1 and 59"),
        (pose_error, (_poses(30), _poses(29)), "30 true rotations but 29 rotations"),
        (pose_error, (_poses(3), _poses(3)), "needs at least 4 particles to fit a frame to, got 3"),
        (pose_error, (_poses(30), 2 * _poses(30)), "rotations hold 30 of 30 matrices that are not proper rotation"),
        (align, (CUBE, np.ones((12, 12, 12))), "the reference is 1 everywhere"),
        (align, (CUBE, CUBE[:11, :11, :11]), "12 voxels an axis, another 11"),
    ],
)
def test_what_does_not_fit_is_said(function, arguments, message):
    with pytest.raises(ValueError, match=message):
        function(*arguments)


def test_points_that_all_coincide_know_nothing():
    nothing = np.zeros((60, 2))
    found = neighbourhood_similarity(POINTS, nothing, [10, 50], offsets=1)
    np.testing.assert_allclose(found.tie_averaged, found.chance)
    imbalance = information_imbalance(nothing, POINTS, [1, 5], ties="average")
    np.testing.assert_allclose(imbalance.forward, 1)
