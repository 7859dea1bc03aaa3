"""How runs agree where no truth is known: values that follow by construction, and a page that ranks nothing."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from cryobench.data import ClassVolumes, Components, IndexedVolumes, Reconstruction, RunCost, RunRecord, Score, Scores
from cryobench.report import write_report
from cryobench.report.scored_runs.agreement import MOST_QUERIES, compare_runs, describe_found
from cryobench.report.scored_runs.queries import choose_queries
from cryobench.report.scored_runs.tables import name_runs
from fabricated import blob_volumes, fabricate_dataset

N = 100


@pytest.fixture(scope="module")
def dataset():
    return fabricate_dataset(with_truth=False, n=N)


@pytest.fixture(scope="module")
def results(dataset):
    generator = np.random.default_rng(3)
    latents = generator.standard_normal((N, 2))
    labels = np.arange(N) % 3
    volumes = blob_volumes()[:3]
    index = labels[dataset.queries]

    def made(name: str, found: np.ndarray, classes: np.ndarray, sign: int):
        posteriors = np.eye(4)[classes]
        findings = (
            ClassVolumes(np.zeros((4, 4, 4, 4), np.float32), posteriors.mean(0), np.array([9, 10, 11, 99.0])),
        )
        reconstruction = Reconstruction(
            dataset.queries, IndexedVolumes(sign * volumes, index), latents=found, posteriors=posteriors,
            findings=findings, record=RunRecord(name, cost=RunCost(wall_seconds=200.0)),
        )  # fmt: skip
        return reconstruction, Scores({"wall-time": Score("wall-time", 200.0, 200.0, 200.0, 1, pd.DataFrame())})

    turned = latents @ np.array([[0.0, -3.0], [3.0, 0.0]])
    return [
        made("first", latents, labels, 1),
        made("alike", turned, (labels + 1) % 3, 1),
        made("inverse", generator.standard_normal((N, 2)), generator.integers(0, 3, N), -1),
        made("consensus", latents, labels, 1),
    ]


def test_latents_maps_and_classes_agree_as_they_were_made(dataset, results):
    found = {each.title: each for each in compare_runs(name_runs(results), dataset)}
    first, alike, inverse, _ = (run.slug for run in name_runs(results))
    assert found["Latents"].values[first, alike] == "100 %"
    assert float(found["Latents"].values[first, inverse].rstrip(" %")) < 30
    assert found["Maps"].values[alike, first] == "1.00"
    assert float(found["Maps"].values[first, inverse]) < -0.5
    assert found["Classes"].values[first, alike] == "1.00"
    assert abs(float(found["Classes"].values[first, inverse])) < 0.1
    assert all(run.label != "consensus" for each in found.values() for run in each.runs)


def test_maps_in_a_frame_of_their_own_are_not_compared(dataset, results):
    generator = np.random.default_rng(1)
    turned = np.linalg.qr(generator.standard_normal((N, 3, 3)))[0]
    turned *= np.sign(np.linalg.det(turned))[:, None, None]
    own = replace(results[1][0], rotations=turned, shifts=np.zeros((N, 2)))
    found = {each.title: each for each in compare_runs(name_runs([results[0], (own, Scores({}))]), dataset)}
    assert "Maps" not in found
    assert "Latents" in found


def test_particles_that_a_run_left_out_are_not_compared(dataset, results):
    left = (np.arange(N) < 30)[:, None]
    alike = results[1][0]
    part = replace(
        alike,
        latents=np.where(left, np.nan, alike.latents),
        posteriors=np.where(left, np.nan, alike.posteriors),
    )
    found = {each.title: each for each in compare_runs(name_runs([results[0], (part, Scores({}))]), dataset)}
    assert set(found["Latents"].values.values()) == {"100 %"}
    assert set(found["Classes"].values.values()) == {"1.00"}


def test_maps_are_compared_in_the_mask(dataset, results):
    mask = (dataset.particles.mask > 0.5).astype(np.float32)
    masked = replace(dataset, particles=replace(dataset.particles, mask=mask))
    first = results[0][0]
    noise = np.random.default_rng(4).standard_normal(mask.shape) * (1 - mask)
    volumes = np.stack([first.volumes.read(item) + noise for item in range(len(first.queries))]).astype(np.float32)
    other = replace(first, volumes=IndexedVolumes(volumes, np.arange(len(volumes))), record=RunRecord("other"))
    pair = name_runs([(first, Scores({})), (other, Scores({}))])
    for data, at_least, at_most in (
        (masked, 1.0, 1.0),
        (replace(masked, particles=replace(masked.particles, mask=None)), 0, 0.9),
    ):
        (maps,) = (each for each in compare_runs(pair, data) if each.title == "Maps")
        (value,) = set(maps.values.values())
        assert at_least <= float(value) <= at_most


def test_runs_with_no_query_particle_in_common_are_not_compared_by_maps(dataset, results):
    one, other = (results[row][0] for row in (0, 1))
    shown = dataset.queries[choose_queries(dataset, MOST_QUERIES)]
    away = replace(other, queries=np.setdiff1d(np.arange(N), shown)[: len(other.queries)])
    pair = name_runs([(one, Scores({})), (away, Scores({}))])
    assert "Maps" not in {each.title for each in compare_runs(pair, dataset)}


def test_a_class_without_particles_has_no_resolution(results):
    (found, *_) = describe_found(name_runs(results))
    assert found.classes == "3 of 4 with particles, 33 to 34 each; half-sets to 9 to 11 Å"
    assert found.latents == "2 dimensions"
    assert found.volumes == "10 at query particles"
    assert found.time == "3.3 min"


def test_the_page_without_truth_ranks_nothing(dataset, results, quick_figures, tmp_path):
    text = write_report(dataset, results, tmp_path / "site").read_text(encoding="utf-8")
    assert "These runs are not ranked: the data set has no truth" in text
    assert "agreement with ground truth" not in text
    assert ">Rank<" not in text
    assert "<td>100 %</td>" in text


def test_what_a_linear_model_found_is_said_with_the_share_of_its_first_component(results):
    components = Components(np.zeros((4, 4, 4), np.float32), np.zeros((2, 4, 4, 4), np.float32), np.array([3.0, 1.0]))
    linear = replace(results[0][0], findings=(components,))
    (found,) = describe_found(name_runs([(linear, Scores({}))]))
    assert found.latents == "2 dimensions, 75% of the variance along the first"
