"""Scores over seeds: closed forms, and which runs differ in nothing but their seed."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from cryobench.data import DatasetIdentity, Priors, Reconstruction, RunRecord, Scores
from cryobench.metrics.uncertainty import summarise
from cryobench.report.scored_runs.seeds import group_seeds
from cryobench.report.scored_runs.tables import name_runs

FIRST = RunRecord("cryodrgn", {"z_dim": 8}, seed=0, dataset=DatasetIdentity("toy", "here", "abc"))


def groups_of(*records: RunRecord, levels: tuple[float, ...] = (0.2, 0.3, 0.7)) -> list:
    results = []
    for record, level in zip(records, levels, strict=False):
        score = summarise("ari", pd.DataFrame({"particle": np.arange(4), "value": np.full(4, level)}))
        results.append((Reconstruction(np.arange(1), record=record), Scores({"ari": score})))
    return group_seeds(name_runs(results))


def test_mean_and_standard_deviation_of_three_seeds():
    (group,) = groups_of(FIRST.with_(seed=5), FIRST, FIRST.with_(seed=1))
    assert group.seeds == (0, 1, 5)
    (spread,) = group.spreads
    assert spread.values == (0.3, 0.7, 0.2)
    assert spread.text == "0.400 ± 0.265"
    assert group.method == "cryodrgn"


def test_a_data_set_that_was_moved_is_the_same():
    moved = replace(FIRST.dataset, path="there")
    assert len(groups_of(FIRST, FIRST.with_(seed=1, dataset=moved))) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 0},
        {"seed": None},
        {"settings": {"z_dim": 4}},
        {"method": "recovar"},
        {"priors": Priors(mask="tight.mrc")},
        {"dataset": DatasetIdentity("toy", "here", "other")},
        {"version": "9"},
        {"status": "failed"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_runs_that_differ_in_more_than_the_seed_are_not_joined(change):
    assert not groups_of(FIRST, FIRST.with_(**{"seed": 1} | change))
