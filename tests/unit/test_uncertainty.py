"""Bootstrap intervals: coverage, determinism, edge cases."""

import numpy as np
import pandas as pd
import pytest

from cryobench.metrics.uncertainty import bootstrap_interval, summarise


def test_interval_covers_the_true_mean_about_as_often_as_it_says(rng: np.random.Generator) -> None:
    trials = 400
    hits = 0
    for trial in range(trials):
        low, high = bootstrap_interval(rng.normal(2.0, 1.0, 60), seed=trial, resamples=400)
        hits += low <= 2.0 <= high
    # 95 % nominal; the percentile interval of 60 values covers about 94 %, the binomial error is 1.2 %.
    assert 0.89 <= hits / trials <= 0.985


def test_width_is_that_of_the_normal_theory(rng: np.random.Generator) -> None:
    values = rng.normal(0, 3.0, 400)
    low, high = bootstrap_interval(values)
    assert high - low == pytest.approx(2 * 1.96 * values.std() / np.sqrt(400), rel=0.1)


def test_same_seed_same_interval_other_seed_another(rng: np.random.Generator) -> None:
    values = rng.normal(size=30)
    assert bootstrap_interval(values, seed=3) == bootstrap_interval(values, seed=3)
    assert bootstrap_interval(values, seed=3) != bootstrap_interval(values, seed=4)


def test_median_resists_an_outlier(rng: np.random.Generator) -> None:
    values = np.r_[rng.normal(0, 1, 50), 1e6]
    assert bootstrap_interval(values, statistic="median")[1] < 2
    assert bootstrap_interval(values, statistic="mean")[1] > 1e4


def test_equal_values_give_exactly_that_value() -> None:
    items = pd.DataFrame({"particle": np.arange(7), "value": np.full(7, 0.1)})
    score = summarise("toy", items)
    assert (score.value, score.low, score.high, score.n) == (0.1, 0.1, 0.1, 7)


def test_refuses_nothing_and_nan() -> None:
    with pytest.raises(ValueError, match="finite values"):
        bootstrap_interval(np.array([]))
    with pytest.raises(ValueError, match="1 are not finite"):
        bootstrap_interval(np.array([1.0, np.nan]))
    with pytest.raises(ValueError, match="coverage"):
        bootstrap_interval(np.array([1.0]), coverage=95.0)
