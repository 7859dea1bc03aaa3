"""The printed table: grouped by metric, best run first, ranks with ties, main scores unless all are asked for."""

import numpy as np
import pandas as pd
import pytest

from cryobench.cli.score_table import MAIN, print_scores
from cryobench.data import Reconstruction, RunRecord, Score, Scores
from cryobench.metrics import get_metric
from cryobench.metrics.uncertainty import summarise


def scored(method: str, level: float, **context) -> tuple[Reconstruction, Scores]:
    values = level + np.random.default_rng(1).normal(0, 0.05, 30)
    items = pd.DataFrame({"particle": np.arange(30), "value": values})
    crossed = items.assign(value=12.0, crossed=False)
    names = ("fsc-auc-normalised-masked", "fsc-auc-normalised", "fsc-auc")
    scores = {name: summarise(name, items) for name in names}
    scores["resolution-0.5"] = summarise("resolution-0.5", crossed, statistic="median")
    scores["ari"] = Score("ari", level, level - 0.1, level + 0.1, 500, pd.DataFrame({"value": [level]}))
    return Reconstruction(np.arange(1), record=RunRecord(method)), Scores(scores, context=context)


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]


def test_best_first_with_ranks_and_main_scores(capsys) -> None:
    runs = [scored("a", 0.4), scored("b", 0.6), scored("c", 0.6), scored("consensus", 0.9)]
    print_scores(runs[:3])
    printed = lines(capsys)
    assert printed[0] == "b c a"
    assert printed[1] == "rank by FSC-AUC 1–2 1–2 3"
    assert printed[2] == "Per-image FSC"
    assert printed[3].startswith("FSC-AUC, normalised, in the mask ↑ 0.59")
    assert "[" in printed[3]
    assert sum("normalised" in line for line in printed) == 1
    assert any(line.startswith("Resolution at FSC 0.5 (Å) ↓ never crossed") for line in printed)
    assert any(line.startswith("Adjusted Rand index of labels ↑ 0.600 [0.500, 0.700]") for line in printed)
    print_scores(runs)
    printed = lines(capsys)
    assert printed[0] == "consensus b c a"
    assert printed[1] == "rank by FSC-AUC 1–2 1–2 3"  # a control has none
    assert "[" not in printed[3]


def test_everything_when_asked(capsys) -> None:
    print_scores([scored("a", 0.4)], everything=True)
    printed = lines(capsys)
    assert sum("normalised" in line for line in printed) == 2
    assert not any("--all" in line for line in printed)


def test_what_was_not_measured_and_how_it_was_aligned_are_said(capsys) -> None:
    alignment = {"mode": "reconstruction", "why": "its rotations are not those given", "score": 0.87654}
    one = scored("a", 0.4, not_measured={"poses": "needs poses"}, alignment=alignment)
    print_scores([one, (Reconstruction(np.arange(1), record=RunRecord("[b]")), Scores({}))])
    printed = lines(capsys)
    assert printed[0] == "a [b]"
    assert any(line.endswith("not measured") for line in printed)
    assert "not measured (a): poses needs poses" in printed
    assert any("rotations are not those given; agreement with the truth 0.877" in line for line in printed)


def test_main_scores_exist() -> None:
    for name, groups in MAIN.items():
        kinds = {kind.name for kind in get_metric(name).scores}
        assert {each for group in groups for each in group} <= kinds
