"""No score of latents or labels rises by leaving particles out, and the share that is placed stands beside each."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from cryobench.data import CollectiveVariable, Dataset, Reconstruction, StateComponents
from cryobench.metrics import get_metric, neighbourhood_similarity
from cryobench.metrics.ranking import compare_scores, rank_scores
from labelled import classified, embedded, labelled_dataset

N, N_STATES = 400, 8
OF_POSE = ("imbalance-latent-to-pose", "imbalance-latent-to-ctf")
BETTER = {"higher": 1, "lower": -1}
OF_LATENTS = ["neighbourhood-similarity", "information-imbalance", "decodability", "distributions"]
OF_CLASSES = ["labels", "populations", "composition"]


@pytest.fixture(scope="module")
def circle() -> Dataset:
    """Particles of eight states on a circle, each state of two components."""
    generator = np.random.default_rng(0)
    states = generator.permutation(np.arange(N) % N_STATES)
    angle = 2 * np.pi * (states + generator.uniform(-0.4, 0.4, N)) / N_STATES
    occupancies = np.stack([np.arange(N_STATES) < 4, np.arange(N_STATES) % 2 == 0], axis=1).astype(float)
    return labelled_dataset(
        states,
        embedding=np.stack([np.cos(angle), np.sin(angle)], axis=1),
        variables={"turn": CollectiveVariable(angle, "rad", 2 * np.pi)},
        components=StateComponents(("a", "b"), occupancies),
    )


def make_latents(dataset: Dataset) -> np.ndarray:
    assert dataset.truth is not None
    return dataset.truth.embedding + 0.5 * np.random.default_rng(1).standard_normal((N, 2))


def leave_out_worst(latents: np.ndarray, dataset: Dataset) -> np.ndarray:
    """Without the half of the particles whose nearest latents are farthest in truth."""
    assert dataset.truth is not None
    distances = cdist(latents, latents)
    np.fill_diagonal(distances, np.inf)
    near = dataset.truth.embedding[np.argsort(distances, axis=1)[:, :5]]
    wrong = np.linalg.norm(near - dataset.truth.embedding[:, None], axis=2).mean(axis=1)
    return np.where((wrong > np.median(wrong))[:, None], np.nan, latents)


@pytest.mark.parametrize("name", [*OF_LATENTS, *OF_CLASSES])
def test_leaving_out_the_worst_half_lifts_no_score(circle: Dataset, name: str) -> None:
    metric = get_metric(name)()
    latents = make_latents(circle)
    whole = metric.measure(embedded(latents), circle)
    half = metric.measure(embedded(leave_out_worst(latents, circle)), circle)
    assert (whole.context["coverage"], half.context["coverage"]) == (1, 0.5)
    for kind in metric.scores:
        if kind.name in whole.scores and kind.name not in OF_POSE:
            before, after = whole[kind.name], half[kind.name]
            gain = BETTER[kind.better] * (after.value - before.value)
            assert gain < (before.high - before.low) / 4, (kind.name, before.value, after.value)


def test_published_curves_are_of_the_particles_placed_beside_their_coverage(circle: Dataset) -> None:
    half = embedded(leave_out_worst(make_latents(circle), circle))
    for name in ("neighbourhood-similarity", "information-imbalance"):
        curve = get_metric(name)().measure(half, circle).curves[name]
        assert (curve["coverage"] == 0.5).all()
    assert circle.truth is not None
    placed = np.flatnonzero(np.isfinite(half.latents).all(axis=1))
    alone = neighbourhood_similarity(circle.truth.embedding[placed], half.latents[placed].astype(float))
    curve = get_metric("neighbourhood-similarity")().measure(half, circle).curves["neighbourhood-similarity"]
    np.testing.assert_array_equal(curve["published"], alone.published)


def test_the_truth_of_half_of_the_particles(circle: Dataset) -> None:
    """As the pages of the metrics say."""
    assert circle.truth is not None
    latents, labels = circle.truth.embedding.copy(), circle.truth.states.copy()
    out = np.random.default_rng(2).permutation(N)[: N // 2]
    latents[out], labels[out] = np.nan, -1

    def value(metric: str, name: str, result: Reconstruction) -> float:
        return get_metric(metric)().measure(result, circle)[name].value

    half = embedded(latents)
    assert value("neighbourhood-similarity", "neighbourhood-similarity-20", half) == pytest.approx(25, abs=1)
    assert value("information-imbalance", "imbalance-latent-to-truth", half) == pytest.approx(0.5, abs=0.1)
    assert value("information-imbalance", "imbalance-truth-to-latent", half) == pytest.approx(0.9, abs=0.05)
    assert value("decodability", "decodability-knn", half) == pytest.approx(0.5, abs=0.05)
    assert value("distributions", "distribution-error", classified(labels)) == pytest.approx(0.5, abs=0.1)
    assert value("labels", "label-accuracy", classified(labels)) == 0.5
    assert value("populations", "population-error", classified(labels)) == pytest.approx(0.5)
    assert value("coverage", "coverage", half) == 50


def test_coverage_is_of_the_particles_of_known_state() -> None:
    states = np.repeat([0, 1, -1], [30, 30, 40])
    latents = np.zeros((100, 2))
    latents[[0, 1, 2, 70]] = np.nan
    found = get_metric("coverage")().measure(embedded(latents), labelled_dataset(states))
    assert found["coverage"].value == pytest.approx(95)
    assert dict(found.context) == {"n_particles": 60, "n_placed": 57}
    unlabelled = get_metric("coverage")().measure(embedded(latents), labelled_dataset(np.full(100, -1)))
    assert unlabelled["coverage"].value == pytest.approx(96)
    posteriors = np.full((100, 2), 0.5)
    posteriors[[2, 3, 80]] = np.nan
    both = Reconstruction(np.arange(1), latents=latents, posteriors=posteriors)
    assert get_metric("coverage")().measure(both, labelled_dataset(states)).context["n_placed"] == 56


def test_runs_are_compared_on_the_particles_they_have_in_common(circle: Dataset) -> None:
    """Half of the particles, the easier ones, do not rank above all of them."""
    metric = get_metric("neighbourhood-similarity")()
    latents = make_latents(circle)
    runs = [embedded(latents), embedded(leave_out_worst(latents, circle))]
    whole, half = (metric.measure(run, circle)["neighbourhood-similarity-5"] for run in runs)
    difference = compare_scores(whole, half)
    assert difference.n == N
    assert difference.low > 0
    assert [rank.label for rank in rank_scores([half, whole], better="higher") if rank] == ["2", "1"]
