"""Label scores: scikit-learn, closed forms, chance, and what is left out."""

import numpy as np
import pytest
from sklearn import metrics as witness

from cryobench.metrics.labels.agreement import KINDS, Labels, compare_labels
from cryobench.metrics.labels.classes import cluster_latents, match_by_majority, match_classes, match_one_to_one
from labelled import classified, embedded, labelled_dataset

BEST = {"variation-of-information": 0.0}


def scores_of(states: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    return {name: score.value for name, score in compare_labels(states, labels).scores.items()}


@pytest.mark.parametrize(("n", "n_states", "n_classes"), [(200, 3, 5), (301, 7, 4), (150, 5, 5), (90, 2, 1)])
def test_agrees_with_scikit_learn(n: int, n_states: int, n_classes: int, rng: np.random.Generator) -> None:
    states = rng.integers(n_states, size=n)
    labels = np.where(rng.random(n) < 0.4, states % n_classes, rng.integers(n_classes, size=n))
    found = scores_of(states, labels)
    assert found["ari"] == pytest.approx(witness.adjusted_rand_score(states, labels), abs=1e-12)
    assert found["ami"] == pytest.approx(witness.adjusted_mutual_info_score(states, labels), abs=1e-12)
    assert found["nmi"] == pytest.approx(witness.normalized_mutual_info_score(states, labels), abs=1e-12)
    assert found["fmi"] == pytest.approx(witness.fowlkes_mallows_score(states, labels), abs=1e-12)
    confusion = witness.confusion_matrix(states, labels, labels=range(max(n_states, n_classes)))
    told = {
        "": match_one_to_one(confusion[:n_states, :n_classes])[labels],
        "-majority": match_by_majority(confusion[:n_states, :n_classes])[labels],
    }
    for suffix, predicted in told.items():
        assert found[f"label-accuracy{suffix}"] == pytest.approx(witness.accuracy_score(states, predicted))
        macro = witness.f1_score(states, predicted, labels=np.unique(states), average="macro", zero_division=0)
        assert found[f"macro-f1{suffix}"] == pytest.approx(macro)
    table = (
        compare_labels(states, labels).curves["confusion"].pivot(index="state", columns="class", values="particles")
    )
    assert np.array_equal(table.fillna(0).to_numpy(), confusion[:n_states, :n_classes])


def test_variation_of_information_in_closed_form() -> None:
    # Four equal states in two classes of two states: the class leaves 1 bit open, the state leaves none.
    states = np.repeat(np.arange(4), 10)
    assert scores_of(states, states // 2)["variation-of-information"] == pytest.approx(1.0)
    # Two states, classes independent of them with shares 1/4 and 3/4: H(1/2) + H(1/4) = 1 + 0.811278 bits.
    states, labels = np.repeat([0, 1], 40), np.tile([0, 1, 1, 1], 20)
    entropy = 1 - (0.25 * np.log2(0.25) + 0.75 * np.log2(0.75))
    assert scores_of(states, labels)["variation-of-information"] == pytest.approx(entropy)
    items = compare_labels(states, labels)["variation-of-information"].items
    assert np.average(items["value"], weights=items["particles"]) == pytest.approx(entropy)


def test_true_labels_are_perfect_under_any_numbering(rng: np.random.Generator) -> None:
    states = rng.integers(5, size=200)
    scores = compare_labels(states, rng.permutation(50)[:5][states])
    for name, score in scores.scores.items():
        assert score.value == pytest.approx(BEST.get(name, 1.0), abs=1e-12)
        assert (score.low, score.high) == pytest.approx((score.value, score.value), abs=1e-9)
        assert score.n == 200


def test_shuffled_labels_score_what_chance_does(rng: np.random.Generator) -> None:
    shares = np.array([0.5, 0.3, 0.2])
    states = np.repeat(np.arange(3), (shares * 20_000).astype(int))
    scores = compare_labels(states, rng.permutation(states)).scores
    entropy = -(shares * np.log2(shares)).sum()
    assert scores["ari"].value == pytest.approx(0, abs=2e-3)
    assert scores["ami"].value == pytest.approx(0, abs=2e-3)
    assert scores["fmi"].value == pytest.approx((shares**2).sum(), abs=5e-3)
    assert scores["variation-of-information"].value == pytest.approx(2 * entropy, abs=2e-3)
    assert scores["label-accuracy"].value == pytest.approx((shares**2).sum(), abs=0.01)
    assert scores["label-accuracy-majority"].value == pytest.approx(shares.max(), abs=1e-12)
    for name in ("ari", "ami"):
        assert scores[name].low < 0.002
        assert scores[name].high > -0.002


def test_one_class_knows_nothing() -> None:
    states = np.repeat(np.arange(4), 25)
    found = scores_of(states, np.zeros(100, int))
    assert [found[name] for name in ("ari", "ami", "nmi")] == pytest.approx([0, 0, 0], abs=1e-12)
    assert found["variation-of-information"] == pytest.approx(2.0)
    assert found["label-accuracy"] == pytest.approx(0.25)
    assert found["macro-f1"] == pytest.approx(0.4 / 4)  # precision 1/4 and recall 1 of one state, 0 of three


def test_majority_forgives_cut_states_and_one_to_one_does_not() -> None:
    states = np.repeat(np.arange(2), 60)
    labels = np.arange(120) // 20  # three classes in each state
    found = scores_of(states, labels)
    assert found["label-accuracy-majority"] == 1.0
    assert found["label-accuracy"] == pytest.approx(1 / 3)


def test_interval_covers_the_value_of_the_population(rng: np.random.Generator) -> None:
    """Coverage of the centred interval: particles drawn from a known table, ARI and AMI of which are known."""
    table = np.array([[0.3, 0.1], [0.05, 0.25], [0.1, 0.2]])
    cells = np.indices(table.shape).reshape(2, -1)
    large = np.round(table.ravel() * 1_000_000).astype(int)
    truth = scores_of(*(np.repeat(axis, large) for axis in cells))
    hits = dict.fromkeys(("ari", "ami", "variation-of-information", "label-accuracy"), 0)
    trials = 80
    for trial in range(trials):
        drawn = rng.choice(6, p=table.ravel(), size=300)
        scores = compare_labels(cells[0][drawn], cells[1][drawn], seed=trial).scores
        for name in hits:
            hits[name] += scores[name].low <= truth[name] <= scores[name].high
    # 95 % nominal; the binomial error of 80 trials is 2.4 %.
    for name, count in hits.items():
        assert 0.85 <= count / trials <= 1.0, name


def test_particles_left_out_are_a_class_of_their_own_that_stands_for_no_state() -> None:
    states = np.array([0] * 10 + [1] * 10 + [-1] * 4)
    labels = np.array([0] * 10 + [1] * 7 + [-1] * 3 + [1] * 4)
    scores = compare_labels(states, labels)
    apart = witness.adjusted_rand_score(states[:20], np.where(labels < 0, 2, labels)[:20])
    assert scores["ari"].value == pytest.approx(apart)
    assert scores["ari"].n == 20
    assert scores["label-accuracy"].value == scores["label-accuracy-majority"].value == 17 / 20
    assert scores["macro-f1"].value == pytest.approx((1 + 14 / 17) / 2)
    assert scores.context["n_unknown_state"] == 4
    assert scores.context["n_left_out"] == 3
    assert scores.context["coverage"] == 17 / 20
    confusion = scores.curves["confusion"]
    assert confusion[confusion["class"] == -1].to_dict("list") == {
        "state": [1],
        "class": [-1],
        "particles": [3],
        "matched": [-1],
        "majority": [-1],
    }
    measured = Labels().measure(classified(labels), labelled_dataset(states))
    assert measured["ari"].value == pytest.approx(apart)
    counted = [measured.context[name] for name in ("n_particles", "n_unknown_state", "n_left_out")]
    assert counted == [17, 4, 3]


def test_latents_are_clustered(rng: np.random.Generator) -> None:
    states = rng.integers(4, size=300)
    centres = 20 * rng.normal(size=(4, 3))
    latents = centres[states] + rng.normal(size=(300, 3))
    latents[:5] = np.nan
    scores = Labels().measure(embedded(latents), labelled_dataset(states))
    assert scores["label-accuracy"].value == pytest.approx(295 / 300)
    assert scores.context["classes_from"] == "latents"
    assert scores.context["n_left_out"] == 5
    noise = Labels().measure(embedded(rng.normal(size=(300, 3))), labelled_dataset(states))
    assert noise["ari"].value == pytest.approx(0, abs=0.03)


def test_centres_found_on_a_part_serve_all(monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> None:
    monkeypatch.setattr("cryobench.metrics.labels.classes.MOST_FITTED", 60)
    states = rng.integers(4, size=300)
    latents = 20 * rng.normal(size=(4, 3))[states] + rng.normal(size=(300, 3))
    assert scores_of(states, cluster_latents(latents, 4)[0])["ari"] == pytest.approx(1.0)
    # Sixty evenly drawn of mostly equal latents: too few distinct ones, so all are used.
    latents = np.zeros((300, 1))
    latents[1:6, 0] = np.arange(5) + 10
    labels, n_clusters = cluster_latents(latents, 5)
    assert n_clusters == len(np.unique(labels)) == 5


def test_few_distinct_latents_are_classes(rng: np.random.Generator) -> None:
    states = rng.integers(4, size=100)
    labels, n_clusters = cluster_latents(np.array([[0.0, 0], [1, 0], [1, 0], [5, 5]])[states], 4)
    assert n_clusters == 3
    assert scores_of(np.minimum(states, 3), labels)["label-accuracy-majority"] < 1
    assert scores_of(np.array([0, 1, 1, 3])[states], labels)["ari"] == 1.0
    constant, one = cluster_latents(np.ones((100, 2)), 4)
    assert one == 1
    assert np.array_equal(constant, np.zeros(100))


def test_clusters_repeat_with_the_seed(rng: np.random.Generator) -> None:
    latents = rng.normal(size=(200, 2))
    assert np.array_equal(cluster_latents(latents, 6, seed=2)[0], cluster_latents(latents, 6, seed=2)[0])
    assert not np.array_equal(cluster_latents(latents, 6, seed=2)[0], cluster_latents(latents, 6, seed=3)[0])


def test_classes_left_over_go_by_majority() -> None:
    counts = np.array([[9, 8, 0, 0], [0, 1, 5, 0]])
    assert match_one_to_one(counts).tolist() == [0, -1, 1, -1]
    assert match_classes(counts).tolist() == [0, 0, 1, -1]


@pytest.mark.parametrize(
    ("states", "labels", "message"),
    [
        (np.zeros(5, int), np.arange(5), "at least two true states, got 1"),
        (np.arange(5), np.arange(4), "5 true states but 4 labels"),
        (np.arange(4), np.full(4, -1), "got 0 among the 0"),
        (np.arange(4), np.linspace(0, 1, 4), "must be integers"),
    ],
)
def test_bad_input_is_refused(states: np.ndarray, labels: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        compare_labels(states, labels)


def test_why_it_is_not_measured() -> None:
    metric, two = Labels(), np.repeat([0, 1], 10)
    reason = metric.explain_missing(embedded(np.zeros((20, 1))), labelled_dataset(np.zeros(20, int)))
    assert "all particles have the same one" in (reason or "")
    reason = metric.explain_missing(embedded(np.zeros((20, 1))), labelled_dataset(np.arange(20)))
    assert "20 particles have 20 states" in (reason or "")
    assert "true states" in (metric.explain_missing(classified(two), labelled_dataset(np.full(20, -1))) or "")
    with pytest.raises(ValueError, match="20 particles, but labelled has 19"):
        metric.measure(classified(two), labelled_dataset(two[:19]))
    with pytest.raises(ValueError, match="hold NaN"):
        metric.measure(embedded(np.full((20, 2), np.nan)), labelled_dataset(two))
    assert {kind.name for kind in KINDS} == set(metric.measure(classified(two), labelled_dataset(two)).scores)
