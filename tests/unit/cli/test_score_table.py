"""The printed table: a row per score, best run first, ranks with ties, main scores unless all are asked for."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from cryobench.cli.score_table import print_scores
from cryobench.data import Reconstruction, RunRecord, Score, Scores
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


@pytest.fixture(autouse=True)
def wide(monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")


def test_best_first_with_ranks_and_main_scores(capsys) -> None:
    runs = [scored("a", 0.4), scored("b", 0.6), scored("c", 0.6), scored("consensus", 0.9)]
    print_scores(runs[:3])
    printed = lines(capsys)
    assert printed[0] == "b c a"
    assert printed[1] == "rank by FSC-AUC 1–2 1–2 3"
    assert printed[2].startswith("FSC-AUC ↑ 0.59")
    assert "[" in printed[2]
    assert "FSC-AUC, normalised, in the mask: over 30 items" in printed
    assert printed[3].startswith("Labels, ARI ↑ 0.600 [0.500, 0.700]")
    assert printed[4] == ""
    print_scores(runs)
    printed = lines(capsys)
    assert printed[0] == "consensus b c a"
    assert printed[1] == "rank by FSC-AUC 1–2 1–2 3"  # a control has none
    assert "[" not in printed[2]


def test_everything_when_asked(capsys) -> None:
    print_scores([scored("a", 0.4)], everything=True)
    printed = lines(capsys)
    assert sum("normalised" in line and "↑" in line for line in printed) == 2
    assert any(line.startswith("Resolution at FSC 0.5 (Å) ↓ never crossed") for line in printed)
    assert not any("--all" in line for line in printed)


def test_what_was_not_measured_and_how_it_was_aligned_are_said(capsys) -> None:
    alignment = {"mode": "reconstruction", "why": "its rotations are not those given", "score": 0.87654}
    one = scored("a", 0.4, not_measured={"poses": "needs poses"}, alignment=alignment)
    print_scores([one, (Reconstruction(np.arange(1), record=RunRecord("[b]")), Scores({}))])
    printed = lines(capsys)
    assert printed[0] == "a [b]"
    assert printed[1].endswith("–")
    text = " ".join(printed)
    assert "not measured (a): poses needs poses" in text
    assert "rotations are not those given; agreement with the truth 0.877" in text


def test_no_line_is_wider_than_the_terminal_and_every_run_is_shown(capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    names = [f"a-method-of-a-long-name-{number}" for number in range(9)]
    print_scores([scored(name, 0.5) for name in names])
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert sum(line.count("0.500") for line in out.splitlines() if line.startswith("Labels, ARI")) == 9


def test_negative_scores_of_the_truth_are_said_with_their_cause(capsys) -> None:
    print_scores([scored("a", -0.4), scored("b", -0.2), scored("truth-backprojection", -0.3)])
    text = " ".join(lines(capsys))
    assert "negative scores: FSC-AUC, normalised, in the mask is negative" in text
    assert "--contrast" in text
    print_scores([scored("a", -0.4), scored("b", 0.2), scored("consensus", 0.3)])
    printed = lines(capsys)
    assert printed[:2] == ["consensus b a", "rank by FSC-AUC 1 2"]
    assert "negative scores" not in " ".join(printed)


def test_runs_that_differ_in_their_seed_are_joined(capsys) -> None:
    results = [scored("a", 0.4), scored("a", 0.6), scored("b", 0.5)]
    for seed, (reconstruction, scores) in enumerate(results[:2]):
        results[seed] = (replace(reconstruction, record=reconstruction.record.with_(seed=seed)), scores)
    print_scores(results)
    printed = lines(capsys)
    start = printed.index("seeds seeds 0, 1")
    assert printed[start - 1].endswith("over a")
    assert "Labels, ARI ↑ 0.500 ± 0.141" in printed[start:]
