"""Runs are ranked by paired differences: ties are shown, and runs that differ on every item are told apart."""

import numpy as np
import pandas as pd
import pytest

from cryobench.data import Score
from cryobench.metrics.ranking import Rank, compare_scores, rank_scores
from cryobench.metrics.uncertainty import resample_statistic, summarise


def scored(values: np.ndarray, particles: np.ndarray | None = None, statistic="mean") -> Score:
    particles = np.arange(len(values)) if particles is None else particles
    return summarise("toy", pd.DataFrame({"particle": particles, "value": values}), statistic=statistic)


def single(value: float, low: float, high: float) -> Score:
    return Score("toy", value, low, high, 500, pd.DataFrame({"value": [value]}))


@pytest.fixture
def items() -> np.ndarray:
    return np.random.default_rng(1).normal(0, 1.0, 60)


@pytest.mark.parametrize("statistic", ["mean", "median"])
def test_a_small_lead_on_every_item_is_told_where_intervals_overlap(items, statistic) -> None:
    one, other = scored(items, statistic=statistic), scored(items + 0.05, statistic=statistic)
    assert one.high > other.low
    assert rank_scores([one, other], better="higher", statistic=statistic) == [Rank(2, 2), Rank(1, 1)]
    assert rank_scores([one, other], better="lower", statistic=statistic) == [Rank(1, 1), Rank(2, 2)]


def test_noise_is_a_tie_and_a_rank_is_a_range(items) -> None:
    noise = np.random.default_rng(2).normal(0, 0.5, (2, 60))
    noise -= noise.mean(axis=1, keepdims=True)
    ranks = rank_scores([scored(items + noise[0]), scored(items - 9), scored(items + noise[1])], better="higher")
    assert ranks == [Rank(1, 2), Rank(3, 3), Rank(1, 2)]
    assert [rank.label for rank in ranks if rank] == ["1–2", "3", "1–2"]


def test_equal_runs_are_tied_and_what_was_not_measured_has_no_rank(items) -> None:
    missing = Score("toy", np.nan, np.nan, np.nan, 0, pd.DataFrame({"value": []}))
    ranks = rank_scores([None, scored(items), missing, scored(items)], better="higher")
    assert ranks == [None, Rank(1, 2), None, Rank(1, 2)]
    assert rank_scores([], better="higher") == []


def test_items_are_paired_by_particle_whatever_their_order(items) -> None:
    order = np.random.default_rng(3).permutation(60)
    turned = scored((items + 0.05)[order], order)
    difference = compare_scores(turned, scored(items))
    assert difference.n == 60
    assert (difference.low, difference.value, difference.high) == pytest.approx((0.05, 0.05, 0.05))
    assert difference.is_significant


def test_only_shared_items_count(items) -> None:
    shifted = items + np.where(np.arange(60) < 40, 0.0, 5.0)
    difference = compare_scores(scored(shifted), scored(items[:40], np.arange(40)))
    assert (difference.n, difference.value) == (40, 0.0)
    assert not difference.is_significant
    apart = compare_scores(scored(items), scored(items, np.arange(60) + 60))
    assert apart.n == 0


def test_scores_without_items_are_compared_by_their_intervals() -> None:
    ranks = rank_scores([single(0.5, 0.4, 0.6), single(0.55, 0.5, 0.7), single(0.9, 0.8, 0.95)], better="higher")
    assert ranks == [Rank(2, 3), Rank(2, 3), Rank(1, 1)]
    assert compare_scores(single(3.0, 3.0, 3.0), single(2.0, 2.0, 2.0)).is_significant  # costs: known, and different


def test_a_score_that_is_no_mean_of_its_items_is_compared_by_its_interval(items) -> None:
    table = pd.DataFrame({"particle": np.arange(60), "value": items})
    odd = Score("toy", 7.0, 6.5, 7.5, 60, table)
    assert compare_scores(odd, scored(items)).n == 0


def test_about_one_pair_of_equals_in_twenty_is_told_apart() -> None:
    generator = np.random.default_rng(5)
    told = sum(
        compare_scores(scored(values[0]), scored(values[1])).is_significant
        for values in generator.normal(size=(200, 2, 40)) + generator.normal(0, 3, (200, 1, 40))
    )
    assert 2 <= told <= 22  # expected 10 to 13; the binomial error is 3


def test_samples_do_not_depend_on_the_blocks_they_are_drawn_in(items, monkeypatch) -> None:
    whole = resample_statistic(items[:, None], seed=4, resamples=100)
    monkeypatch.setattr("cryobench.metrics.uncertainty._BLOCK", 7 * 60)
    np.testing.assert_array_equal(resample_statistic(items[:, None], seed=4, resamples=100), whole)


def test_nan_cannot_be_compared(items) -> None:
    nothing = Score("toy", np.nan, np.nan, np.nan, 0, pd.DataFrame({"value": []}))
    with pytest.raises(ValueError, match="NaN"):
        compare_scores(nothing, scored(items))
