"""Ranks, warnings and sentences on controls: computed from the scores at hand, the same for terminal and page."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from cryobench.data import Priors, Reconstruction, RunRecord, Scores
from cryobench.metrics.display import find_kind
from cryobench.metrics.uncertainty import summarise
from cryobench.report.scored_runs.standing import compare_controls, find_negative_scores, rank_runs, sort_runs
from cryobench.report.scored_runs.tables import Run, name_runs

FSC = "fsc-auc-normalised"


def runs_of(levels: dict[str, float], name: str = FSC) -> list[Run]:
    results = []
    for method, level in levels.items():
        values = level + np.random.default_rng(1).normal(0, 0.01, 20)
        score = summarise(name, pd.DataFrame({"particle": np.arange(20), "value": values}))
        results.append((Reconstruction(np.arange(1), record=RunRecord(method)), Scores({name: score})))
    return name_runs(results)


def ranks(levels: dict[str, float], name: str = FSC) -> dict[str, str]:
    runs = runs_of(levels, name)
    found = rank_runs(runs).ranks
    return {run.label: found[run.slug].label for run in runs if run.slug in found}


def test_methods_have_ranks_and_controls_have_none():
    assert ranks({"a": 0.2, "b": 0.5, "consensus": 0.4}) == {"b": "1", "a": "2"}
    assert ranks({"a": 0.2, "b": 0.5}, "rotation-error-median") == {"a": "1", "b": "2"}


def test_negative_scores_are_ranked_like_others():
    assert ranks({"a": 0.2, "b": -0.5, "c": -0.1}) == {"a": "1", "c": "2", "b": "3"}
    assert ranks({"a": 0.001, "b": -0.001}) == {"a": "1", "b": "2"}


def test_methods_that_estimate_poses_are_ranked_among_themselves():
    runs = runs_of({"a": 0.2, "b": 0.5, "c": 0.3, "d": 0.6})
    found = [run.reconstruction.record for run in runs]
    results = [
        (
            replace(run.reconstruction, record=record.with_(priors=Priors(poses=poses))),
            run.scores,
        )
        for run, record, poses in zip(runs, found, ("given", "given", "estimated", "estimated"), strict=True)
    ]
    runs = name_runs(results)
    standing = rank_runs(runs)
    assert [standing.ranks[run.slug].label for run in runs] == ["2", "1", "2", "1"]


def test_nothing_is_ranked_by_what_it_cost():
    runs = runs_of({"a": 3.0, "b": 5.0}, "wall-time")
    standing = rank_runs(runs)
    assert standing.kind is None
    assert not standing.ranks
    assert sort_runs(runs[::-1], standing.kind) == runs[::-1]


@pytest.mark.parametrize(
    ("name", "expected"), [(FSC, ["b", "c", "a", "d"]), ("rotation-error-median", ["a", "c", "b", "d"])]
)
def test_the_best_come_first_whichever_way_is_better(name, expected):
    """A run without the score is the last."""
    runs = [*runs_of({"d": 1.0}, "ari"), *runs_of({"a": 0.2, "b": 0.5, "c": 0.3}, name)]
    assert [run.label for run in sort_runs(runs, find_kind(name))] == expected


@pytest.mark.parametrize(
    "levels",
    [{"truth-backprojection": -0.2, "a": 0.1}, {"a": -0.2, "b": -0.1}, {"truth": -1.0}],
)
def test_negative_scores_of_the_truth_or_of_every_method_are_warned_of(levels):
    (warning,) = find_negative_scores(runs_of(levels))
    assert "contrast" in warning
    assert f"{min(levels, key=lambda name: levels[name])} -" in warning


@pytest.mark.parametrize("levels", [{"a": -0.2, "b": 0.1}, {"shuffled-truth": -0.2, "a": 0.1}])
def test_one_method_or_a_floor_below_zero_is_no_such_warning(levels):
    assert not find_negative_scores(runs_of(levels))
    assert not find_negative_scores(runs_of({"a": -0.2}, "decodability-knn"))


def test_what_is_said_of_controls_follows_from_their_scores():
    def said(levels: dict[str, float]) -> str:
        runs = runs_of(levels)
        return " ".join(compare_controls(runs, rank_runs(runs).kind))

    above = said({"consensus": 0.7, "truth-backprojection": 0.6, "a": 0.65})
    assert "consensus (0.70" in above
    assert "scores above truth-backprojection (0.60" in above
    assert "this score hides the heterogeneity here" in above
    assert "Not above consensus: a (0.65" in above
    below = said({"consensus": 0.5, "truth-backprojection": 0.6, "a": 0.65})
    assert "this score is sensitive to the heterogeneity here" in below
    assert "Not above" not in below
    assert not said({"truth-backprojection": 0.6, "a": 0.65})
