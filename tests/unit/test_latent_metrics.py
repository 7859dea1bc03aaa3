"""Latent metrics on data sets: which particles and which spaces are compared, and what cannot be."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from cryobench.data import CollectiveVariable, Dataset, GroundTruth, Reconstruction
from cryobench.metrics import decodability, get_metric, information_imbalance, neighbourhood_similarity
from cryobench.metrics.latents.latent_spaces import find_ctf, find_heterogeneity, find_latent, pair_spaces
from toy import toy_dataset

NAMES = ("neighbourhood-similarity", "information-imbalance", "decodability")
ALL = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(scope="module")
def toy() -> Dataset:
    return toy_dataset(size=12, n=200, n_states=4)


def reconstruct(**parts: np.ndarray) -> Reconstruction:
    return Reconstruction(np.arange(3), **parts)


def with_truth(toy: Dataset, **changes: object) -> Dataset:
    assert toy.truth is not None
    return dataclasses.replace(toy, truth=dataclasses.replace(toy.truth, **changes))


def values(name: str, reconstruction: Reconstruction, dataset: Dataset) -> dict[str, float]:
    metric = get_metric(name)()
    assert metric.explain_missing(reconstruction, dataset) is None
    return {key: score.value for key, score in metric.measure(reconstruction, dataset).scores.items()}


@ALL
def test_particles_of_unknown_state_or_place_are_left_out_and_those_without_a_latent_count(toy, rng, name):
    truth = toy.truth
    assert truth is not None
    latent, states, embedding = truth.embedding.copy(), truth.states.copy(), truth.embedding.copy()
    angle = truth.variables["angle"].values.copy()
    latent[:7], states[5:10], embedding[20:24] = np.nan, -1, np.nan
    angle[5:10], angle[20:24] = np.nan, np.nan
    variables = {"angle": CollectiveVariable(angle, "rad", 2 * np.pi)}
    partial = with_truth(toy, states=states, embedding=embedding, variables=variables)
    measured = get_metric(name)().measure(reconstruct(latents=latent), partial)
    unplaced = {"neighbourhood-similarity": 0, "information-imbalance": 1}
    for key, score in measured.scores.items():
        of_placed = key in ("imbalance-latent-to-pose", "imbalance-latent-to-ctf")
        assert score.n == 200 - (14 if of_placed else 9)
        assert not set(score.items["particle"]) & {*range(5, 10), *range(20, 24)}
        if not of_placed and name in unplaced:
            assert (score.items.set_index("particle").loc[range(5), "value"] == unplaced[name]).all()
    context = measured.context
    if name == "decodability":
        assert (context["n_without_variable"], context["n_without_latent"]) == (9, 5)
    else:
        left_out = [context[f"n_without_{what}"] for what in ("state", "true_place", "latent")]
        assert left_out == [5, 4, 5]
        assert context["n_distinct_latents"] == 4
    assert context["n_measured"] == (191 if name == "decodability" else 186)
    assert context["coverage"] == 186 / 191


@ALL
def test_posteriors_stand_in_for_latents(toy, name):
    assert toy.truth is not None
    posteriors = np.eye(4)[toy.truth.states]
    assert values(name, reconstruct(posteriors=posteriors), toy) == values(name, reconstruct(latents=posteriors), toy)
    both = reconstruct(posteriors=posteriors, latents=np.zeros((200, 2)))
    space = find_latent(both)
    assert space is not None
    assert space.source == "latents"


@ALL
def test_what_is_missing_is_said(toy, rng, name):
    metric, latents = get_metric(name)(), rng.standard_normal((200, 3))
    nothing = reconstruct()
    assert "latents or posteriors" in (metric.explain_missing(nothing, toy) or "")
    with pytest.raises(ValueError, match="latents or posteriors"):
        metric.measure(nothing, toy)
    few = np.full((200, 3), np.nan)
    few[:19] = 1
    assert "at least 20" in (metric.explain_missing(reconstruct(latents=few), toy) or "")
    bare = with_truth(toy, states=np.zeros(200, int), embedding=None, variables={})
    assert "differ between particles" in (metric.explain_missing(reconstruct(latents=latents), bare) or "")
    with pytest.raises(ValueError, match=r"199 particles.*has 200"):
        metric.measure(reconstruct(latents=latents[:199]), toy)


@ALL
def test_constant_latents_are_measured_and_are_chance(toy, name):
    found = values(name, reconstruct(latents=np.ones((200, 3))), toy)
    if name == "neighbourhood-similarity":
        metric = get_metric(name)()
        curve = metric.measure(reconstruct(latents=np.ones((200, 3))), toy).curves[name]
        np.testing.assert_allclose(curve["attained"], curve["attained_chance"], rtol=1e-9)
    elif name == "information-imbalance":
        assert list(found.values()) == pytest.approx([1, 1, 1, 1])
    else:
        assert max(found.values()) < 0.01


def test_states_alone_make_same_state_neighbourhoods(toy, rng):
    truth = toy.truth
    assert truth is not None
    mass = {"mass": CollectiveVariable(10.0 * truth.states, "kDa")}
    labelled = with_truth(toy, embedding=None, variables=mass)
    assert labelled.truth is not None
    space = find_heterogeneity(labelled.truth)
    assert space is not None
    assert space.source == "states"
    pair = pair_spaces(reconstruct(latents=rng.standard_normal((200, 2))), labelled)
    np.testing.assert_array_equal(pair.truth, truth.states)
    perfect = reconstruct(posteriors=np.eye(4)[truth.states])
    assert list(values("neighbourhood-similarity", perfect, labelled).values()) == pytest.approx([100] * 5)
    # A neighbour is one of 49 of the same state, at a mean rank of 25, both ways.
    found = values("information-imbalance", perfect, labelled)
    assert found["imbalance-truth-to-latent"] == pytest.approx(2 / 200 * 25)
    assert found["imbalance-latent-to-truth"] == pytest.approx(2 / 200 * 25)


def test_variables_stand_in_for_an_embedding(toy):
    assert toy.truth is not None
    length = CollectiveVariable(50 + 3.0 * np.arange(200), "Å")
    variables = {
        **toy.truth.variables,
        "length": length,
        "frame": length,
        "fixed": CollectiveVariable(np.ones(200), ""),
    }
    space = find_heterogeneity(dataclasses.replace(toy.truth, embedding=None, variables=variables))
    assert space is not None
    assert space.source == "variables"
    assert space.coordinates.shape == (200, 3)
    np.testing.assert_allclose(space.coordinates[:, :2], toy.truth.embedding, atol=1e-12)
    assert space.coordinates[:, 2].std() == pytest.approx(1)


def test_states_that_no_particles_share_say_nothing(toy):
    assert toy.truth is not None
    truth = GroundTruth(np.arange(200))
    assert find_heterogeneity(truth) is None


def test_an_embedding_without_any_state_is_used(toy, rng):
    assert toy.truth is not None
    unlabelled = dataclasses.replace(toy, truth=GroundTruth(np.full(200, -1), embedding=toy.truth.embedding))
    found = values("neighbourhood-similarity", reconstruct(latents=toy.truth.embedding), unlabelled)
    assert list(found.values()) == pytest.approx([100] * 5)


def test_leaked_poses_and_ctf_are_told(toy):
    assert toy.truth is not None
    ctf = find_ctf(toy)
    assert ctf is not None
    assert ctf.coordinates.shape == (200, 2)  # the toy varies defocus only
    leaks = {"pose": toy.truth.rotations.reshape(200, 9), "ctf": ctf.coordinates}
    for leaked, other in (("pose", "ctf"), ("ctf", "pose")):
        found = values("information-imbalance", reconstruct(latents=leaks[leaked]), toy)
        assert found[f"imbalance-latent-to-{leaked}"] < 0.1
        assert found[f"imbalance-latent-to-{other}"] == pytest.approx(1, abs=0.1)
        assert found["imbalance-latent-to-truth"] == pytest.approx(1, abs=0.1)


def test_what_leaks_is_measured_only_if_it_is_known(toy, rng):
    poseless = with_truth(toy, rotations=None, shifts=None)
    found = values("information-imbalance", reconstruct(latents=rng.standard_normal((200, 2))), poseless)
    assert set(found) == {"imbalance-truth-to-latent", "imbalance-latent-to-truth", "imbalance-latent-to-ctf"}


def test_curves_hold_what_the_scores_are_made_of(toy, rng):
    latents = toy.truth.embedding + 0.5 * rng.standard_normal((200, 2))
    measured = get_metric("neighbourhood-similarity")().measure(reconstruct(latents=latents), toy)
    curve = measured.curves["neighbourhood-similarity"].set_index("radius")
    for radius in (1, 5, 10, 20):
        assert measured[f"neighbourhood-similarity-{radius}"].value == pytest.approx(curve.loc[radius, "attained"])
    assert (curve["tie_averaged"] <= curve["ceiling"]).all()
    measured = get_metric("information-imbalance")().measure(reconstruct(latents=latents), toy)
    curve = measured.curves["information-imbalance"]
    small = curve[(curve["k"] <= 30) & (curve["points"] == "subsets")].groupby("direction")["value"].mean()
    assert measured["imbalance-truth-to-latent"].value == pytest.approx(small["truth to latent"])
    assert measured["imbalance-latent-to-pose"].value == pytest.approx(small["latent to pose"])
    measured = get_metric("decodability")().measure(reconstruct(latents=latents), toy)
    (row,) = measured.curves["decodability"].to_dict("records")
    assert row["variable"] == "angle"
    assert row["circular"]
    assert row["knn_low"] < row["knn"] == pytest.approx(measured["decodability-knn"].value)


def test_many_particles_are_drawn_by_the_seed(toy, rng, monkeypatch):
    monkeypatch.setattr("cryobench.metrics.latents.scores.MOST_NEIGHBOURHOODS", 100)
    monkeypatch.setattr("cryobench.metrics.variables.decoding.MOST", 100)
    monkeypatch.setattr("cryobench.metrics.latents.scores.MOST_IN_SUBSETS", 150)
    monkeypatch.setattr("cryobench.metrics.latents.scores.SUBSET_SIZE", 60)
    monkeypatch.setattr("cryobench.metrics.latents.scores.MOST_TOGETHER", 80)
    latents = reconstruct(latents=rng.standard_normal((200, 2)))
    for name, n in zip(NAMES, (100, 120, 100), strict=True):
        one, same, other = (get_metric(name)().measure(latents, toy, seed=seed) for seed in (1, 1, 2))
        for key, score in one.scores.items():
            assert score.n == n == one.context["n_measured"]
            pd.testing.assert_frame_equal(score.items, same[key].items)
            assert set(score.items["particle"]) != set(other[key].items["particle"])
    curve = get_metric("information-imbalance")().measure(latents, toy).curves["information-imbalance"]
    assert set(zip(curve["points"], curve["n_points"], curve["n_subsets"], strict=True)) == {
        ("subsets", 60, 2),
        ("together", 80, 1),
    }


@ALL
def test_few_particles_with_a_latent_among_very_many_are_measured(toy, rng, monkeypatch, name):
    for limit in ("latents.scores.MOST_NEIGHBOURHOODS", "latents.scores.MOST_IN_SUBSETS", "variables.decoding.MOST"):
        monkeypatch.setattr(f"cryobench.metrics.{limit}", 50)
    latents = np.full((200, 2), np.nan)
    placed = rng.permutation(200)[:22]
    latents[placed] = toy.truth.embedding[placed]
    metric, few = get_metric(name)(), reconstruct(latents=latents)
    assert metric.explain_missing(few, toy) is None
    for seed in range(3):
        score = next(iter(metric.measure(few, toy, seed=seed).scores.values()))
        assert 50 <= score.n <= 70
        assert np.isin(score.items["particle"], placed).sum() >= 20


def test_plain_functions_count_rows_with_nan(rng):
    truth, latent = rng.standard_normal((100, 2)), rng.standard_normal((100, 3))
    latent[3, 1], truth[10:12], latent[50] = np.nan, np.inf, np.nan
    kept = np.setdiff1d(np.arange(100), [3, 10, 11, 50])
    found = neighbourhood_similarity(truth, latent)
    assert found.n_left_out == 4
    assert sorted(found.points) == kept.tolist()
    clean = neighbourhood_similarity(truth[kept], latent[kept])
    np.testing.assert_array_equal(found.similarity, clean.similarity)
    assert information_imbalance(truth, latent, 5).n_left_out == 4
    assert decodability(latent, truth[:, 0]).points.tolist() == np.setdiff1d(np.arange(100), [10, 11]).tolist()


def test_a_particle_without_a_latent_is_predicted_by_the_mean(rng):
    variable = rng.standard_normal(200)
    latent = variable[:, None].copy()
    latent[::2] = np.nan
    found = decodability(latent, variable)
    residual = (variable - variable.mean()) ** 2
    np.testing.assert_allclose(found.linear_by_point[::2], 1 - residual[::2] / residual.mean())
    np.testing.assert_allclose(found.linear_by_point[1::2], 1)
    assert 0.4 < found.linear < 0.6


@pytest.mark.parametrize("radii", [[], [0, 5], [5, 3], [50, 101], [np.nan]])
def test_radii_are_ascending_percentages(rng, radii):
    with pytest.raises(ValueError, match="ascending percentages"):
        neighbourhood_similarity(rng.standard_normal((50, 2)), rng.standard_normal((50, 2)), np.array(radii))


def test_spaces_must_match_and_be_told_from_labels(rng):
    points = rng.standard_normal((50, 2))
    with pytest.raises(ValueError, match="50 and 49 rows"):
        neighbourhood_similarity(points, points[:49])
    with pytest.raises(ValueError, match=r"values\[:, None\]"):
        information_imbalance(points[:, 0], points, 3)
    with pytest.raises(ValueError, match="offsets"):
        neighbourhood_similarity(points, points, offsets=0)
    with pytest.raises(ValueError, match="at least 3"):
        neighbourhood_similarity(points[:12], points[:12])
    with pytest.raises(ValueError, match="50 rows but the variable 49"):
        decodability(points, points[:49, 0])


def test_k_must_fit_the_distinct_points(rng):
    points = rng.standard_normal((40, 2))
    with pytest.raises(ValueError, match="between 1 and 39, got \\[40\\]"):
        information_imbalance(points, points, 40)
    with pytest.raises(ValueError, match="between 1 and 39, got \\[0"):
        information_imbalance(points, points, [0, 3])
    with pytest.raises(ValueError, match=r'2 of them distinct.*ties="average"'):
        information_imbalance(points, np.arange(40)[:, None] % 2, 3, ties="remove")
    assert information_imbalance(points, np.arange(40)[:, None] % 2, 3).n_duplicates == 0


def test_the_defaults_take_labels_and_few_points(rng):
    labels = np.arange(40) % 4
    found = information_imbalance(np.eye(4)[labels], labels)
    assert found.neighbours.tolist() == [1, 3, 10, 30]
    assert found.forward[0] < 0.3
    assert information_imbalance(rng.standard_normal((40, 2)), labels).forward[0] > 0.8


def test_decodability_of_known_relations(rng):
    latent = rng.standard_normal((900, 2))
    axis, square = latent[:, 0] * 3 + 5, latent[:, 0] ** 2
    assert decodability(latent, axis).linear == pytest.approx(1, abs=1e-12)
    assert decodability(latent, square).linear < 0.02
    assert decodability(latent, square).knn > 0.8
    independent = decodability(latent, rng.standard_normal(900))
    assert independent.linear == pytest.approx(0, abs=0.02)
    assert independent.knn == pytest.approx(-1 / 10, abs=0.04)  # the mean of ten has a tenth of the variance


def test_decodability_does_not_see_where_a_circle_is_cut(rng):
    angle = rng.uniform(0, 2 * np.pi, 500)
    latent = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    whole = decodability(latent, angle, 2 * np.pi)
    assert whole.linear == pytest.approx(1, abs=1e-12)
    for start in (1.0, 3.0):
        again = decodability(latent, (angle - start) % (2 * np.pi), 2 * np.pi)
        assert again.knn == pytest.approx(whole.knn, abs=1e-12)
    assert decodability(latent, angle * 180 / np.pi, 360).knn == pytest.approx(whole.knn, abs=1e-12)
    assert decodability(latent, angle).linear < 0.8  # as if it were a line


def test_decodability_refuses_what_cannot_be_decoded(rng):
    latent = rng.standard_normal((50, 2))
    with pytest.raises(ValueError, match="constant"):
        decodability(latent, np.ones(50))
    with pytest.raises(ValueError, match="too few for 10 neighbours"):
        decodability(latent[:12], latent[:12, 0])
