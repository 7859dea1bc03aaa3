"""The report's tables: what is in them, what is missing from them, and how runs are told apart and ranked."""

from dataclasses import replace

import numpy as np
import pytest

from cryobench.data import GroundTruth, Reconstruction, RunRecord, Scores
from cryobench.report.axes import choose_truth_axis
from cryobench.report.card.dataset_tables import (
    ctf_curve_table,
    direction_map,
    flatten_entries,
    pose_table,
    state_table,
)
from cryobench.report.scored_runs import tables
from cryobench.report.scored_runs.assignments import class_by_truth
from cryobench.rotations import euler_from_rotations, rotations_from_quaternions
from fabricated import N_STATES, PIXEL_SIZE, fabricate_dataset, fabricate_results, fabricate_scores


@pytest.fixture(scope="module")
def dataset():
    return fabricate_dataset()


@pytest.fixture(scope="module")
def runs(dataset):
    return tables.name_runs(fabricate_results(dataset))


def _run(method: str, **record) -> tuple[Reconstruction, Scores]:
    return Reconstruction(np.arange(2), record=RunRecord(method, **record)), Scores({})


def test_same_method_twice_is_told_apart_by_seed_or_number():
    labels = [run.label for run in tables.name_runs([_run("a", seed=1), _run("a", seed=2), _run("b")])]
    assert labels == ["a (seed 1)", "a (seed 2)", "b"]
    labels = [run.label for run in tables.name_runs([_run("a", seed=1), _run("a", seed=1)])]
    assert labels == ["a (1)", "a (2)"]


def test_slugs_are_unique_and_safe_in_file_names(runs):
    slugs = [run.slug for run in runs]
    assert len(set(slugs)) == len(slugs)
    assert all(character.isascii() and (character.isalnum() or character == "-") for character in "".join(slugs))


def test_score_table_has_the_numbers_of_the_scores_and_no_row_for_what_was_not_measured(runs):
    table = tables.score_table(runs)
    for run in runs:
        rows = table[table["slug"] == run.slug].set_index("metric")
        assert set(rows.index) == (set() if run.status == "failed" else set(run.scores.scores))
        for name, score in run.scores.scores.items():
            assert rows.loc[name, "value"] == score.value
            assert rows.loc[name, "low"] == score.low
            assert rows.loc[name, "high"] == score.high
            assert rows.loc[name, "n"] == score.n
    assert {"labels-only", "cryodrgn"}.isdisjoint(table["run"])


def test_failed_run_keeps_its_reason_and_has_no_zero(runs):
    table = tables.run_table(runs).set_index("run")
    row = table.loc["cryodrgn"]
    assert (table["reason"].drop("cryodrgn") == "").all()
    assert row["status"] == "failed"
    assert "out of memory" in row["reason"]
    assert np.isnan(row["wall_seconds"])
    assert np.isnan(row["peak_memory_bytes"])


def test_scores_of_a_failed_run_are_not_shown(dataset):
    record = RunRecord("a", status="failed")
    runs = tables.name_runs(
        [(Reconstruction(dataset.queries, record=record), fabricate_scores(dataset.queries, 8.0))]
    )
    assert tables.score_table(runs).empty
    assert tables.fsc_curves(runs).empty


def test_curve_summary_is_the_mean_over_query_particles(runs):
    curves = tables.fsc_curves(runs)
    summary = tables.summarise_curves(curves)
    run = next(run for run in runs if run.label == "3d-class")
    fsc = run.scores.curves["fsc"]
    expected = fsc[(fsc["mask"] == "mask") & (fsc["shell"] == 7)]["fsc"]
    row = summary[(summary["slug"] == run.slug) & (summary["mask"] == "mask") & (summary["shell"] == 7)].iloc[0]
    assert row["mean"] == pytest.approx(expected.mean())
    assert (row["low"], row["high"]) == pytest.approx(tuple(np.percentile(expected, tables.BAND)))
    assert row["n"] == len(expected)


def test_class_shares_sum_to_one_and_true_labels_give_a_diagonal(dataset, runs):
    truth = class_by_truth(runs[0].reconstruction, dataset)
    assert truth.groupby("truth")["fraction"].sum().to_numpy() == pytest.approx(1)
    assert len(truth) == N_STATES**2
    hits = truth[truth["fraction"] > 0.5]
    assert (hits["class"] * 18.0).to_numpy() == pytest.approx(hits["truth"].to_numpy())
    assert (hits["order"] == hits["class"]).all()


def test_classes_are_ordered_along_the_truth_whatever_their_numbers(dataset, runs):
    labels = {run.label: run for run in runs}
    straight = class_by_truth(labels["3d-class"].reconstruction, dataset)
    reversed_ = class_by_truth(labels["labels-only"].reconstruction, dataset)
    order = straight.drop_duplicates("class").set_index("class")["order"]
    backwards = reversed_.drop_duplicates("class").set_index("class")["order"]
    assert order.loc[[0, 1, 2, 3]].tolist() == backwards.loc[[3, 2, 1, 0]].tolist()


def test_angles_become_degrees_with_their_period(dataset):
    axis = choose_truth_axis(dataset.truth)
    assert axis.title == "dihedral / °"
    assert axis.period == pytest.approx(360)
    assert axis.values.max() == pytest.approx(342)


def test_without_truth_nothing_is_set_against_it(runs):
    dataset = fabricate_dataset(with_truth=False)
    assert class_by_truth(runs[0].reconstruction, dataset) is None
    assert state_table(dataset) is None


def test_where_no_state_is_known_none_is_counted(dataset):
    truth = GroundTruth(np.full(len(dataset.particles), -1))
    assert state_table(replace(dataset, truth=truth)) is None


def _area(outline: np.ndarray) -> float:
    (x, y), (next_x, next_y) = outline[:-1].T, outline[1:].T
    return abs(float((x * next_y - next_x * y).sum()) / 2)


def test_direction_map_counts_every_direction_in_the_cell_it_points_to(rng):
    rotations = rotations_from_quaternions(rng.standard_normal((4000, 4)))
    table = direction_map(rotations)
    assert table["count"].sum() == 4000
    areas = np.array([_area(outline) for outline in table["outline"]])
    assert areas == pytest.approx(areas.mean(), rel=0.02)
    assert areas.sum() == pytest.approx(2 * np.pi, rel=0.01)  # the whole ellipse
    # The beam along +x of the reference: longitude 0, on the equator, in the middle of the map.
    along_x = np.array([[0.0, 1, 0], [0, 0, 1], [1, 0, 0]])
    peak = direction_map(np.repeat(along_x[None], 100, axis=0))
    (hit,) = peak[peak["count"] > 0].itertuples()
    assert hit.count == 100
    assert np.linalg.norm(hit.outline, axis=1).min() < 1e-6
    assert abs(hit.longitude) <= 45
    up = direction_map(np.repeat(np.eye(3)[None], 100, axis=0))
    (hit,) = up[up["count"] > 0].itertuples()
    assert hit.outline[:, 1].min() >= 0
    assert hit.outline[:, 1].max() == pytest.approx(1)
    assert hit.latitude > 0


def test_card_tables_follow_the_data_set(dataset):
    assert state_table(dataset)["particles"].sum() == len(dataset.particles)
    curves = ctf_curve_table(dataset)
    ctf = dataset.particles.ctf
    defocus = ctf.defocus_u + ctf.defocus_v
    shown = curves["particle"].unique()
    assert (shown[0], shown[-1]) == (defocus.argmin(), defocus.argmax())
    assert abs((defocus < defocus[shown[1]]).mean() - 0.5) < 0.02
    assert curves["frequency"].max() == pytest.approx(0.5 / PIXEL_SIZE)
    assert curves.groupby("particle")["value"].first().to_numpy() == pytest.approx(-0.1)
    poses = pose_table(dataset)
    psi = np.rad2deg(euler_from_rotations(dataset.particles.rotations)[:, 2])
    np.testing.assert_allclose(np.exp(1j * np.deg2rad(poses["psi"])), np.exp(1j * np.deg2rad(psi)), atol=1e-6)
    assert poses["psi"].between(-180, 180).all()
    assert poses["x"].to_numpy() == pytest.approx(dataset.particles.shifts[:, 0])


def test_nested_entries_are_flattened_in_order():
    entries = dict(flatten_entries({"a": 1, "b": {"c": 0.25, "d": None, "e": [1, 2]}, "f": list(range(50))}))
    assert list(entries) == ["a", "b.c", "b.d", "b.e", "f"]
    assert entries["b.c"] == "0.25"
    assert entries["b.d"] == "not recorded"
    assert "50 in all" in entries["f"]
