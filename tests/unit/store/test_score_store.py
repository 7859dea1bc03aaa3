"""Scores on disk: round trips, and files that are missing, damaged or too new."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cryobench._errors import FormatError
from cryobench.data import (
    Score,
    Scores,
)
from cryobench.io.store import (
    load_scores,
    save_scores,
)
from stored import edit_json


def make_scores(value: float = 0.4) -> Scores:
    items = pd.DataFrame({"particle": [5, 0], "value": [0.3, float("nan")], "crossed": [True, False]})
    curve = pd.DataFrame({"particle": [5, 5], "mask": ["none", "mask"], "shell": [0, 1], "fsc": [1.0, 0.5]})
    return Scores(
        {
            "fsc-auc": Score("fsc-auc", value, 0.3, 0.5, 2, items),
            "resolution-0.5": Score("r", 1.0, 1.0, 1.0, 1, items),
        },
        {"fsc": curve},
        {"mask": "abc"},
    )


def test_scores_come_back(tmp_path: Path) -> None:
    made = make_scores()
    save_scores(made, tmp_path)
    found = load_scores(tmp_path)
    assert list(found.scores) == list(made.scores)
    for name, score in made.scores.items():
        assert (found[name].metric, found[name].value, found[name].low, found[name].high, found[name].n) == (
            score.metric, score.value, score.low, score.high, score.n,
        )  # fmt: skip
        pd.testing.assert_frame_equal(found[name].items, score.items)
    pd.testing.assert_frame_equal(found.curves["fsc"], made.curves["fsc"])
    assert found.context == {"mask": "abc"}


def test_a_score_that_is_nan_stays_nan(tmp_path: Path) -> None:
    save_scores(make_scores(float("nan")), tmp_path)
    json.loads((tmp_path / "scores" / "scores.json").read_text(), parse_constant=pytest.fail)
    assert np.isnan(load_scores(tmp_path)["fsc-auc"].value)


def test_scores_are_replaced_whole(tmp_path: Path) -> None:
    save_scores(make_scores(), tmp_path)
    bad = dict(make_scores().scores) | {"broken": Score("b", 0.0, 0.0, 0.0, 1, pd.DataFrame({"x": [object()]}))}
    with pytest.raises(Exception, match="object"):
        save_scores(Scores(bad), tmp_path)
    assert list(load_scores(tmp_path).scores) == ["fsc-auc", "resolution-0.5"]
    save_scores(Scores({}), tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["scores", "scores.json"]


def test_missing_damaged_and_newer_scores(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"has no scores\. Make them: cryobench score"):
        load_scores(tmp_path)
    save_scores(make_scores(), tmp_path)
    (tmp_path / "scores" / "fsc-auc.parquet").write_bytes(b"x")
    with pytest.raises(FormatError, match=r"fsc-auc\.parquet cannot be read"):
        load_scores(tmp_path)
    (tmp_path / "scores" / "fsc-auc.parquet").unlink()
    with pytest.raises(FormatError, match=r"fsc-auc\.parquet does not exist"):
        load_scores(tmp_path)
    edit_json(tmp_path / "scores" / "scores.json", schema=3)
    with pytest.raises(FormatError, match="newer cryobench"):
        load_scores(tmp_path)
    (tmp_path / "scores" / "scores.json").write_text("{}")
    with pytest.raises(FormatError, match=r"is not a file of scores: .*Make them again"):
        load_scores(tmp_path)
