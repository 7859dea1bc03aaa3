"""What every metric must do, asked of each by being registered: calibrated by controls on the toy."""

import dataclasses
import itertools

import numpy as np
import pytest

from cryobench._errors import UnknownName
from cryobench.data import Composition, Dataset, IndexedVolumes, Reconstruction, Scores
from cryobench.methods import get_method
from cryobench.metrics import METRICS, Metric, get_metric, list_metrics, score
from toy import toy_dataset

ALL = pytest.mark.parametrize("name", list(METRICS))


@pytest.fixture(scope="module")
def toy() -> Dataset:
    """The toy, its three states made of a body and two parts."""
    plain = toy_dataset()
    assert plain.truth is not None
    parts = Composition(("body", "arm", "hand"), np.array([[1.0, 0, 0], [1, 1, 0], [1, 1, 1]]))
    return dataclasses.replace(plain, truth=dataclasses.replace(plain.truth, components=parts))


@pytest.fixture(scope="module")
def results(toy: Dataset) -> dict[str, Reconstruction]:
    """Controls, with poses as good as their labels, and what the run cost."""
    names = ("truth", "truth-backprojection", "shuffled-truth")
    truth = toy.truth
    assert truth is not None
    assert truth.rotations is not None
    assert truth.shifts is not None
    orders = {"shuffled-truth": np.random.default_rng(0).permutation(len(truth))}
    made = {}
    for name in names:
        control = get_method(name)().with_truth(truth)  # type: ignore[attr-defined]
        order = orders.get(name, np.arange(len(truth)))
        made[name] = dataclasses.replace(
            control.reconstruct(toy.particles, queries=toy.queries),
            rotations=truth.rotations[order],
            shifts=truth.shifts[order],
            record={"method": name, "wall_seconds": 1.0, "cpu_seconds": 2.0, "peak_memory_bytes": 1e9},
        )
    return made


def measure_all(metric: Metric, results: dict[str, Reconstruction], toy: Dataset) -> dict[str, Scores]:
    """The scores of every control that has what the metric needs."""
    return {
        name: metric.measure(result, toy)
        for name, result in results.items()
        if metric.explain_missing(result, toy) is None
    }


def needs_truth(metric: Metric) -> bool:
    return any(need.startswith("tru") for need in metric.needs)


@ALL
def test_is_described(name):
    metric = get_metric(name)
    assert name in list_metrics()
    assert metric.name == name
    assert metric.label
    assert "arXiv" in metric.reference or "doi" in metric.reference
    assert metric.needs
    # What its page says: ``cryobench.metrics.pages``.
    assert metric.question.endswith("?")
    for text in (metric.formula, metric.cost):
        assert len(text) > 20
    for sentences in (metric.calibration, metric.invariances, metric.limits):
        assert isinstance(sentences, tuple)
        assert sentences
        assert all(sentence.endswith((".", ")")) for sentence in sentences)
    kinds = [kind.name for kind in metric.scores]
    assert len(kinds) == len(set(kinds)) > 0
    for kind in metric.scores:
        assert kind.low < kind.high
        assert kind.better in ("higher", "lower")
        assert kind.label


@ALL
def test_yields_what_it_declares_within_its_range(name, toy, results):
    metric = get_metric(name)()
    kinds = {kind.name: kind for kind in metric.scores}
    measured_of = measure_all(metric, results, toy)
    assert "truth" in measured_of
    for measured in measured_of.values():
        assert set() < set(measured.scores) <= set(kinds)
        for key, value in measured.scores.items():
            kind = kinds[key]
            items = value.items["value"].to_numpy()
            assert kind.low <= items.min()
            assert items.max() <= kind.high
            assert value.low <= value.value <= value.high
            if metric.needs >= {"volumes", "true volumes"}:
                assert value.n == len(items) == len(toy.queries)
            else:
                assert 1 <= value.n <= len(toy.particles)


@ALL
def test_truth_is_best_and_shuffled_labels_worst(name, toy, results):
    metric = get_metric(name)()
    measured = measure_all(metric, results, toy)
    for kind in metric.scores:
        direction = 1 if kind.better == "higher" else -1
        found = [
            measured[key].scores[kind.name]
            for key in results
            if key in measured and kind.name in measured[key].scores
        ]
        value = [direction * score.value for score in found]
        # What a sum and its parts round to is no order, nor what draws do to a score that does not tell.
        slack = max((score.high - score.low for score in found), default=0.0) if kind.blind else 1e-9
        assert all(better >= worse - slack for better, worse in itertools.pairwise(value)), kind.name
        assert kind.blind or not value or value[0] > value[-1], kind.name


@ALL
def test_intervals_repeat_with_the_seed(name, toy, results):
    metric = get_metric(name)()
    result = results["shuffled-truth"]
    one, same, other = (metric.measure(result, toy, seed=seed) for seed in (1, 1, 2))
    for key in one.scores:
        assert (one[key].low, one[key].high) == (same[key].low, same[key].high)
    uncertain = [key for key in one.scores if one[key].low < one[key].high]
    # Of three items, the ends of any interval are the least and the greatest.
    several = [key for key in uncertain if one[key].n > 3]
    assert not several or any((one[key].low, one[key].high) != (other[key].low, other[key].high) for key in several)
    assert uncertain or all(one[key].n == 1 for key in one.scores)


@ALL
def test_order_of_the_queries_does_not_matter(name, toy, results):
    metric = get_metric(name)()
    result = results["shuffled-truth"]
    assert result.volumes is not None
    stack = np.stack([result.volumes.read(item) for item in range(len(result.queries))])
    order = np.arange(len(result.queries))[::-1]
    turned = dataclasses.replace(result, queries=result.queries[order], volumes=IndexedVolumes(stack, order))
    one, other = metric.measure(result, toy), metric.measure(turned, toy)
    for key in one.scores:
        assert one[key].value == pytest.approx(other[key].value, rel=1e-12)


@ALL
def test_what_is_missing_is_said_and_not_scored(name, toy, results):
    metric = get_metric(name)()
    assert metric.explain_missing(results["truth"], toy) is None
    bare = dataclasses.replace(toy, truth=None)
    nothing = Reconstruction(toy.queries)
    for result, dataset, lacking in ((results["truth"], bare, "truth"), (nothing, toy, "reconstruction")):
        if lacking == "truth" and not needs_truth(metric):
            continue
        assert lacking in (metric.explain_missing(result, dataset) or "")
        with pytest.raises(ValueError, match=lacking):
            score(result, dataset, [name])
        scores = score(result, dataset)
        assert isinstance(scores, Scores)
        assert not {kind.name for kind in metric.scores} & set(scores.scores)
        assert lacking in scores.context["not_measured"][name]


def test_unknown_metric_is_named_with_a_suggestion(toy, results):
    with pytest.raises(UnknownName, match="Did you mean 'per-image-fsc'"):
        score(results["truth"], toy, ["per-imag-fsc"])
