"""What does not fit is refused with the numbers, what is missing is not measured: never a silent zero."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cryobench.data import Dataset, IndexedVolumes, Reconstruction
from cryobench.metrics import list_metrics, score
from toy import toy_dataset

LATENT_METRICS = {"labels", "populations", "neighbourhood-similarity", "information-imbalance", "decodability"}
VOLUME_METRICS = {"per-image-fsc", "heterogeneity-fsc"}


@pytest.fixture(scope="module")
def toy() -> Dataset:
    return toy_dataset(size=16, n=60, n_queries=5)


def result(toy: Dataset, **parts: Any) -> Reconstruction:
    """The true embedding and volumes, but for the parts given."""
    assert toy.truth is not None
    assert isinstance(toy.truth.volumes, IndexedVolumes)
    volumes = IndexedVolumes(toy.truth.volumes.volumes, toy.truth.states[toy.queries])
    return Reconstruction(toy.queries, **{"volumes": volumes, "latents": toy.truth.embedding, **parts})


def measured(scores: Any, toy: Dataset) -> set[str]:
    return set(list_metrics()) - set(scores.context["not_measured"])


@pytest.mark.parametrize("part", ["latents", "posteriors"])
def test_another_number_of_particles_is_refused_with_both(toy: Dataset, part: str) -> None:
    wrong = result(toy, **{"latents": None, part: np.eye(3)[np.arange(59) % 3]})
    with pytest.raises(ValueError, match=rf"{part} of 59 particles, but toy has 60: was it made from another"):
        score(wrong, toy)
    with pytest.raises(ValueError, match="59"):
        score(wrong, toy, ["labels"])


def test_poses_of_another_number_of_particles_are_refused(toy: Dataset) -> None:
    wrong = result(toy, latents=None, rotations=np.tile(np.eye(3), (7, 1, 1)), shifts=np.zeros((7, 2)))
    with pytest.raises(ValueError, match="rotations of 7 particles"):
        score(wrong, toy)


def test_a_query_particle_that_does_not_exist_is_named(toy: Dataset) -> None:
    volumes = IndexedVolumes(np.ones((1, 16, 16, 16), np.float32), np.zeros(2, int))
    with pytest.raises(ValueError, match=r"query particle 60 of .* is not among the 60"):
        score(Reconstruction(np.array([3, 60]), volumes), toy)


def test_rows_of_nan_count_as_knowing_nothing(toy: Dataset) -> None:
    latents = np.array(toy.truth.embedding)
    latents[[2, 7, 11]] = np.nan
    scores = score(result(toy, latents=latents), toy)
    assert measured(scores, toy) >= LATENT_METRICS
    assert scores["label-accuracy"].value == scores["coverage"].value / 100 == 57 / 60
    assert scores.context["labels"]["n_left_out"] == 3
    assert scores.context["neighbourhood-similarity"]["n_without_latent"] == 3
    assert scores["neighbourhood-similarity-5"].n == 60
    assert all(np.isfinite(each.value) for each in scores.scores.values())


def test_nothing_but_nan_is_said(toy: Dataset) -> None:
    nothing = result(toy, latents=np.full((60, 2), np.nan))
    reasons = score(nothing, toy, ["per-image-fsc"]).context["not_measured"]
    assert reasons == {}
    scores = score(nothing, toy)
    for name in LATENT_METRICS | {"per-conformation-fsc", "distributions"}:
        assert name in scores.context["not_measured"], name
    assert "60 of 60 rows hold NaN" in scores.context["not_measured"]["labels"]
    assert "no latent" in scores.context["not_measured"]["per-conformation-fsc"]


def test_constant_latents_score_like_knowing_nothing(toy: Dataset) -> None:
    scores = score(result(toy, latents=np.full((60, 3), 1.5)), toy)
    assert measured(scores, toy) >= LATENT_METRICS
    assert scores["ari"].value == 0
    assert scores["decodability-knn"].value <= 0.05
    assert scores["decodability-linear"].value <= 0.05
    assert scores["imbalance-latent-to-truth"].value > 0.9
    assert scores["neighbourhood-similarity-20"].value < 40
    assert scores.context["information-imbalance"]["n_distinct_latents"] == 1


def test_all_points_in_one_place_in_truth_and_latent_are_not_measured(toy: Dataset) -> None:
    truth = replace(toy.truth, embedding=np.ones((60, 2)), variables={}, states=np.zeros(60, int))
    scores = score(result(toy, latents=np.ones((60, 2))), replace(toy, truth=truth))
    for name in LATENT_METRICS:
        assert "needs" in scores.context["not_measured"][name]


def test_one_state_only(toy: Dataset) -> None:
    truth = replace(toy.truth, states=np.zeros(60, int))
    one = replace(toy, truth=truth)
    scores = score(result(one), one)
    reasons = scores.context["not_measured"]
    assert "two true states" in reasons["labels"]
    assert "two true states" in reasons["populations"]
    assert "1 state" in reasons["heterogeneity-fsc"]
    assert scores["fsc-auc-normalised"].value == 1
    assert scores["conformation-fsc-auc-normalised"].n == 1


def test_missing_volumes_are_not_measured(toy: Dataset) -> None:
    scores = score(result(toy, volumes=None), toy)
    for name in VOLUME_METRICS | {"per-conformation-fsc"}:
        assert "the reconstruction does not have" in scores.context["not_measured"][name]
    assert not {name for name in scores.scores if "fsc" in name or "resolution" in name}
    assert "alignment" not in scores.context


def test_volumes_of_nan_are_named(toy: Dataset) -> None:
    volumes = np.ones((1, 16, 16, 16), np.float32)
    volumes[0, 3, 3, 3] = np.nan
    for align in ("none", "reconstruction"):
        with pytest.raises(ValueError, match=r"of query particle \d+ holds NaN"):
            score(result(toy, volumes=IndexedVolumes(volumes, np.zeros(5, int))), toy, align=align)


def test_another_box_or_pixel_size_is_refused_with_the_sizes(toy: Dataset) -> None:
    larger = result(toy, volumes=IndexedVolumes(np.ones((1, 20, 20, 20), np.float32), np.zeros(5, int)))
    with pytest.raises(ValueError, match=r"20 voxels of 4 Å .* 16 of 4 Å\. .*--resample"):
        score(larger, toy)
    with pytest.raises(ValueError, match=r"16 voxels of 3\.9 Å .* 16 of 4 Å"):
        score(result(toy, pixel_size=3.9), toy)
    assert score(result(toy, pixel_size=4.0001), toy, ["per-image-fsc"])["fsc-auc-normalised"].value == 1
    assert score(larger, toy, ["labels"])["ari"].value == 1  # which looks at no volume


def test_a_mask_of_another_shape_or_range_is_refused(toy: Dataset) -> None:
    with pytest.raises(ValueError, match=r"mask has shape \(17, 17, 17\), expected \(16, 16, 16\)"):
        score(result(toy), toy, mask=np.ones((17, 17, 17), np.float32))
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        score(result(toy), toy, mask=np.full((16, 16, 16), 2, np.float32))


def test_no_truth_at_all(toy: Dataset) -> None:
    scores = score(result(toy), replace(toy, truth=None))
    assert not scores.scores
    assert set(scores.context["not_measured"]) == set(list_metrics())
    assert all("truth" in reason or "record" in reason for reason in scores.context["not_measured"].values())
