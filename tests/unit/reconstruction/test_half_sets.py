"""What half-sets say: the resolution at which their correlation falls below a threshold."""

import numpy as np
import pytest

from cryobench.reconstruction.statistics import find_resolution


@pytest.mark.parametrize(("threshold", "shell"), [(0.5, 3.8), (0.2, 4.25), (0.95, 2.5)])
def test_resolution_is_where_the_curve_falls_below_the_threshold(threshold, shell):
    curve = np.array([0.3, 1.0, 1.0, 0.9, 0.4, -0.4])
    assert find_resolution(curve, 200.0, threshold=threshold) == pytest.approx(200 / shell)


def test_curves_that_never_fall_and_those_that_fall_at_once():
    assert find_resolution(np.ones(11), 100.0) == 10.0
    assert find_resolution(np.array([1, 0.1, 0.9, 0.0]), 100.0) == 100.0
