"""The boards of scores: what stands in a cell, why a cell is empty, how methods are ranked."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from cryobench._progress import Silent
from cryobench.data import Priors, Reconstruction, RunRecord, Score, Scores
from cryobench.report.pages.contents import Contents
from cryobench.report.pages.leaderboard import lay_out_leaderboard, lay_out_metrics
from cryobench.report.pages.report import split_runs
from fabricated import HOSTILE_NAME, fabricate_dataset, fabricate_results


@pytest.fixture(scope="module")
def dataset():
    return fabricate_dataset()


@pytest.fixture(scope="module")
def contents(dataset):
    with Silent().task("test") as task:
        return Contents(dataset, fabricate_results(dataset), task)


@pytest.fixture
def collect(dataset, contents, monkeypatch):
    """Contents of a report on other results, with the card made once."""
    monkeypatch.setattr("cryobench.report.pages.contents.Card", lambda *_: contents.card)

    def make(results):
        with Silent().task("test") as task:
            return Contents(dataset, results, task)

    return make


def _cell(board, run: str, title: str):
    row = next(row for row in (*board.methods, *board.controls) if row.label == run)
    return row.cells[[column.title for column in board.columns].index(title)]


def test_leaderboard_has_one_column_for_each_metric_that_was_measured(contents):
    board = lay_out_leaderboard(contents)
    assert [column.title for column in board.columns] == [
        "FSC-AUC", "Deviation FSC-AUC", "FSC-AUC by state", "Labels, ARI", "Population error", "Distribution error",
        "Common neighbours", "Imbalance to truth", "Decodability (R²)", "Rotation error",
    ]  # fmt: skip
    heads = {column.title: column for column in board.columns}
    assert heads["Imbalance to truth"].first_order == "ascending"
    assert heads["FSC-AUC"].first_order == "descending"
    assert heads["Rotation error"].subtitle == "°, lower is better"
    assert "Ignores particle identity" in heads["Population error"].words


def test_priors_that_the_group_does_not_state_are_next_to_the_name(dataset, collect):
    first, scores = next(each for each in fabricate_results(dataset) if each[0].name == "3d-class")
    for priors, words in (
        (Priors("given", "data set"), ""),
        (Priors("given", "file tight.mrc (0a1b)"), "mask: file tight.mrc (0a1b)"),
        (Priors("unknown", "unknown", "unknown"), "whether poses were given is unknown"),
        (Priors("estimated", "none", "6vxx.pdb"), "atomic model: 6vxx.pdb"),
    ):
        run = replace(first, record=first.record.with_(priors=priors))
        board = lay_out_leaderboard(collect([(run, scores)]))
        assert [row.priors for row in (*board.methods, *board.ab_initio)] == [words]


def test_cells_have_value_and_interval_or_the_reason(contents):
    board = lay_out_leaderboard(contents)
    score = next(run for run in contents.runs if run.label == "3d-class").scores.scores["fsc-auc-normalised-masked"]
    cell = _cell(board, "3d-class", "FSC-AUC")
    assert cell.text == f"{score.value:.3f}"
    assert cell.note == f"[{score.low:.3f},\u00a0{score.high:.3f}]"
    assert cell.sort == score.value
    assert _cell(board, "3d-class", "Labels, ARI").note == ""  # one item has no interval
    missing = _cell(board, "truth-backprojection", "Labels, ARI")
    assert (missing.text, missing.missing, missing.sort) == ("not measured", True, None)


def test_an_empty_cell_knows_why_it_is_empty(dataset, collect):
    items = pd.DataFrame({"value": [0.5]})
    measured = Scores({"ari": Score("ari", 0.5, 0.4, 0.6, 100, items)})
    lacking = Scores({}, {}, {"not_measured": {"labels": "needs posteriors or latents"}})
    results = [
        (Reconstruction(dataset.queries, record=RunRecord(name)), scores)
        for name, scores in (("a", measured), ("b", lacking))
    ]
    board = lay_out_leaderboard(collect(results))
    assert _cell(board, "b", "Labels, ARI").reason == "needs posteriors or latents"
    assert _cell(board, "a", "Labels, ARI").note == "[0.400,\u00a00.600]"


def test_reasons_are_given_once_with_the_runs_they_hold_for(dataset, collect):
    reasons = {"not_measured": {"poses": "needs poses, which the reconstruction does not have"}}
    results = [
        (Reconstruction(dataset.queries, record=RunRecord(name)), Scores({}, {}, reasons)) for name in ("a", "b")
    ]
    board = lay_out_leaderboard(collect(results))
    ((words, who),) = board.missing
    assert words.endswith("needs poses, which the reconstruction does not have")
    assert who == "all runs"
    assert not board.columns


def test_every_score_of_a_metric_is_on_its_board(contents):
    boards = {board.name: board for board in lay_out_metrics(contents)}
    assert "cost" not in boards  # nobody scored it
    assert boards["per-image-fsc"].n_scores == 8
    assert boards["poses"].n_scores == 2
    assert boards["labels"].metric.question.endswith("?")
    assert boards["populations"].ignoring_identity == ("Error of state populations",)
    count = sum(board.n_scores for board in boards.values())
    assert count == len(contents.score_names)
    row = next(row for row in boards["labels"].methods if row.label == "3d-class")
    assert row.cells[-1].text == "1"
    failed = next(row for row in boards["labels"].methods if row.label == "cryodrgn")
    assert "out of memory" in failed.failed


def test_scores_that_no_metric_has_are_on_a_board_of_their_own(dataset, collect):
    items = pd.DataFrame({"value": [1.0]})
    scores = Scores({"made-up": Score("made-up", 1.0, 1.0, 1.0, 1, items)})
    contents = collect([(Reconstruction(dataset.queries, record=RunRecord("a")), scores)])
    (board,) = lay_out_metrics(contents)
    assert (board.name, board.title, board.columns[0].title) == ("other", "Other scores", "made up")


def test_methods_are_ranked_by_paired_differences_and_controls_are_not(contents):
    board = lay_out_leaderboard(contents)
    assert [row.label for row in board.methods] == [HOSTILE_NAME, "3d-class", "labels-only", "cryodrgn"]
    assert [row.rank.text for row in board.methods] == ["1", "2", "–", "–"]
    assert {row.rank.text for row in board.controls} == {"–"}


def test_runs_that_nothing_tells_apart_share_their_ranks(dataset, collect):
    results = {reconstruction.name: pair for pair in fabricate_results(dataset) for reconstruction in pair[:1]}
    reconstruction, scores = results["3d-class"]
    twin = replace(reconstruction, record=reconstruction.record.with_(method="twin"))
    board = lay_out_leaderboard(collect([(reconstruction, scores), (twin, scores)]))
    assert [(row.rank.text, row.rank.note) for row in board.methods] == [("1–2", "tie")] * 2


def test_few_pictures_of_single_runs_are_shown_at_once_and_controls_are_folded(contents):
    having = {run.slug: None for run in contents.runs}
    shown, rest = split_runs(contents.runs, having)
    assert [run.label for run in shown] == ["3d-class", HOSTILE_NAME, "labels-only", "cryodrgn"]
    assert rest == [run for run in contents.runs if run.control is not None]
    assert len(rest) == 4
    many = [replace(run, slug=f"{run.slug}-{number}") for number in range(3) for run in contents.runs]
    shown, rest = split_runs(many, {run.slug: None for run in many})
    assert (len(shown), len(rest)) == (4, 20)
    assert all(run.control is None for run in (*shown, *rest[:8]))
    one = {run.slug: None for run in contents.runs if run.control or run.label == "3d-class"}
    assert [run.label for run in split_runs(contents.runs, one)[0]] == ["3d-class"]
    controls = {run.slug: None for run in contents.runs if run.control}
    assert len(split_runs(contents.runs, controls)[0]) == len(controls)


def test_resolution_that_most_curves_never_reach_is_said_to_be_so(contents):
    boards = {board.name: board for board in lay_out_metrics(contents)}
    cell = _cell(boards["per-image-fsc"], "truth", "Resolution at FSC 0.5, in the mask")
    assert (cell.text, cell.sort) == ("never crossed", 0.0)
    assert np.isfinite(_cell(boards["per-image-fsc"], "consensus", "Resolution at FSC 0.5, in the mask").sort)
