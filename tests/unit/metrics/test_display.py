"""What screens show of scores: one order, the main ones, the one that ranks, when a resolution is only a bound."""

import numpy as np
import pandas as pd
import pytest

from cryobench.data import Score
from cryobench.metrics import get_metric, list_metrics
from cryobench.metrics.display import (
    choose_main,
    choose_ranking,
    count_censored,
    find_kind,
    find_metric,
    hides_truth,
    is_censored,
    order_scores,
)


def test_scores_stand_in_the_order_of_their_metrics_main_ones_first():
    names = ["made-up-score", "ami", "ari", "resolution-0.5", "fsc-auc-normalised-masked", "ari"]
    expected = ["fsc-auc-normalised-masked", "resolution-0.5", "ari", "ami", "made-up-score"]
    assert order_scores(names) == expected


def test_a_main_score_gives_way_to_the_one_it_names():
    assert [kind.name for kind in choose_main(["fsc-auc-normalised", "fsc-auc"])] == ["fsc-auc-normalised"]
    masked = ["fsc-auc-normalised", "fsc-auc-normalised-masked"]
    assert [kind.name for kind in choose_main(masked)] == ["fsc-auc-normalised-masked"]
    assert [kind.name for kind in choose_main(["made-up"])] == ["made-up"]
    assert choose_main(["fsc-auc"]) == []


def test_what_costs_or_is_blind_ranks_nothing():
    assert choose_ranking(["wall-time", "coverage", "population-error", "made-up"]) is None
    ranking = choose_ranking(["wall-time", "decodability-knn", "ari"])
    assert ranking is not None
    assert ranking.name == "ari"


def test_kinds_by_name():
    assert find_kind("rotation-error").unit == "°"
    assert find_metric("rotation-error") == "poses"
    assert (find_kind("made-up-score").label, find_metric("made-up-score")) == ("made up score", "")
    assert find_kind("shift-error").write(-3.14159) == "-3.14"
    assert find_kind("shift-error").write(-0.004) == "0.00"
    assert [find_kind("wall-time").write(value) for value in (0.01, 12.345, 600, 9000)] == [
        "< 0.1 s", "12.3 s", "10.0 min", "2.5 h",
    ]  # fmt: skip
    assert hides_truth(find_kind("population-error"))
    assert not hides_truth(find_kind("wall-time"))


@pytest.mark.parametrize("name", list_metrics())
def test_every_metric_has_a_main_score_and_headings_that_fit(name):
    kinds = {kind.name: kind for kind in get_metric(name).scores}
    mains = [kind for kind in kinds.values() if kind.main]
    assert mains
    assert all(len(kind.heading) <= 24 for kind in mains)
    assert {kind.otherwise for kind in kinds.values()} - {""} <= set(kinds)


def test_a_median_is_a_bound_when_half_of_the_curves_never_cross():
    items = pd.DataFrame({"particle": range(4), "value": 12.0, "crossed": [True, False, True, False]})
    score = Score("resolution-0.5", 12.0, 12.0, 12.0, 4, items)
    assert count_censored(score) == 2
    assert is_censored(12.0, 2, 4)
    assert not is_censored(12.0, 1, 4)
    assert not is_censored(12.0, 0, 0)
    assert is_censored(np.nan, 0, 4)
