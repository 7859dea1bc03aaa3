"""Published numbers: complete, each with its source, and shown beside ours only where they belong."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from cryobench.data import Score, Scores
from cryobench.metrics.display import find_metric
from cryobench.recipes.published import PUBLISHED
from cryobench.report.scored_runs import tables
from cryobench.report.scored_runs.published_results import (
    lay_out_published,
    published_results,
    published_sources,
    recipe_of,
    write_number,
)
from fabricated import fabricate_dataset, fabricate_results


@pytest.fixture(scope="module")
def results():
    return published_results()


def _value(results, table, dataset, method, quantity="FSC-AUC"):
    rows = results[
        (results["table"] == table)
        & (results["dataset"] == dataset)
        & (results["method"] == method)
        & (results["quantity"] == quantity)
    ]
    assert len(rows) == 1
    return rows.to_dict("records")[0]


@pytest.mark.parametrize(
    ("table", "dataset", "method", "value"),
    [
        ("per-conformation-fsc", "IgG-1D", "RECOVAR", 0.391),
        ("per-conformation-fsc", "Ribosembly", "3D Class", 0.289),
        ("cryospire-ablation", "IgG-RL", "CryoSPIRE, positional encoding", 0.361),
        ("per-image-fsc", "Spike-MD", "RECOVAR", 0.362),
        ("per-image-fsc", "Tomotwin-100", "CryoKRAQEN", 0.335),
        ("tomotwin-fixed-poses", "Tomotwin-100", "back-projection by class (ceiling)", 0.364),
        ("cryohype-ablation", "Tomotwin-100", "CryoHype, MLP", 0.234),
        ("sim2struct", "Sim2Struct, 1000 structures", "CryoHype", 0.232),
    ],
)
def test_numbers_are_those_published(results, table, dataset, method, value):
    assert _value(results, table, dataset, method)["value"] == value


def test_every_table_is_there_in_full(results):
    counts = results.groupby("table").size().to_dict()
    assert counts == {
        "per-conformation-fsc": 20, "cryospire-ablation": 9, "per-image-fsc": 20, "tomotwin-fixed-poses": 18,
        "cryohype-ablation": 3, "sim2struct": 6, "ab-initio-tomotwin": 33, "run-times": 7, "imbalance": 20,
        "imbalance-leakage": 10,
    }  # fmt: skip


def test_every_number_has_a_source_a_set_and_a_value_or_a_range(results):
    assert set(results["table"]) == set(published_sources())
    assert all(
        source.title and source.what.endswith(".") and source.source for source in published_sources().values()
    )
    assert set(results["recipe"]) <= {*PUBLISHED, ""}
    single, ranged = np.isfinite(results["value"]), np.isfinite(results["low"]) & np.isfinite(results["high"])
    assert (single ^ ranged).all()
    assert (results.loc[ranged, "low"] < results.loc[ranged, "high"]).all()
    auc = results[results["quantity"] == "FSC-AUC"]["value"]
    assert auc.between(0, 0.5).all()
    assert not results.duplicated(["table", "dataset", "method", "quantity"]).any()


def test_scores_they_are_likened_to_exist(results):
    for name in set(results["score"]) - {""}:
        assert find_metric(name), name


def test_numbers_are_written_with_their_spread_or_as_a_range(results):
    assert (
        write_number(_value(results, "per-conformation-fsc", "IgG-1D", "3D Class")) == "0.297 ± 0.019, median 0.291"
    )
    assert write_number(_value(results, "per-image-fsc", "IgG-1D", "CryoDRGN")) == "0.351"
    latent = _value(results, "imbalance", "IgG-1D", "Opus-DSD", "information imbalance, truth to latent")
    assert write_number(latent) == "0.1 to 0.15"


def test_only_the_five_sets_have_published_results():
    dataset = fabricate_dataset()
    assert recipe_of(dataset) == "igg-1d"
    other = replace(dataset, card={"name": "mine", "plan": {"recipe": "custom"}})
    assert recipe_of(other) is None
    assert lay_out_published(other, []) is None
    assert recipe_of(replace(dataset, card={"plan": {"recipe": "spike-md"}})) == "spike-md"


def test_our_scores_stand_below_those_they_are_like():
    dataset = fabricate_dataset()
    runs = tables.name_runs(fabricate_results(dataset))
    page = lay_out_published(dataset, runs)
    assert page.title == "IgG-1D"
    by_title = {table.source.title: table for table in page.tables}
    per_image = by_title["Per-image FSC-AUC, masked"]
    assert per_image.quantities == ["FSC-AUC / cycles/px"]
    ours = dict(per_image.ours)
    value = next(run for run in runs if run.label == "consensus").scores.scores["fsc-auc-masked"].value
    assert ours["consensus"] == [f"{value:.3f}"]
    assert "cryodrgn" not in ours
    assert not by_title["Per-conformation FSC-AUC, CryoSPIRE ablations"].ours
    imbalance = by_title["Information imbalance with the true conformation"]
    assert dict(imbalance.ours)["consensus"] == ["", "1.000"]
    assert dict(imbalance.rows)["RECOVAR"] == ["0.045", "0.042"]
    assert any("hidden under other markers" in note for note in imbalance.notes)
    assert not any("Sim2Struct" in title for title in by_title)


def test_a_quantity_that_is_no_score_here_is_not_called_unmeasured():
    dataset = fabricate_dataset()
    score = Score("imbalance-latent-to-pose", 1.0, 0.9, 1.1, 10, pd.DataFrame({"value": [1.0]}))
    scores = Scores({"imbalance-latent-to-pose": score})
    reconstruction = fabricate_results(dataset)[0][0]
    page = lay_out_published(dataset, tables.name_runs([(reconstruction, scores)]))
    leakage = next(table for table in page.tables if table.source.title == "Information imbalance with pose and CTF")
    cells = dict(zip(leakage.quantities, leakage.ours[0][1], strict=True))
    assert cells["information imbalance, pose to latent"] == "no such score"
    assert cells["information imbalance, latent to pose"] == "1.000"
    assert cells["information imbalance, latent to CTF"] == ""
