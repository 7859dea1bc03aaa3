"""What every metric must do, asked of each by being registered: calibrated by controls on the toy."""

import dataclasses

import numpy as np
import pytest

from cryobench._errors import UnknownName
from cryobench.data import Dataset, Reconstruction, Scores
from cryobench.methods import get_method
from cryobench.metrics import METRICS, get_metric, list_metrics, score
from toy import toy_dataset

ALL = pytest.mark.parametrize("name", list(METRICS))


@pytest.fixture(scope="module")
def toy() -> Dataset:
    return toy_dataset()


@pytest.fixture(scope="module")
def results(toy: Dataset) -> dict[str, Reconstruction]:
    names = ("truth", "truth-backprojection", "shuffled-truth")
    assert toy.truth is not None
    return {
        name: get_method(name)().with_truth(toy.truth).reconstruct(toy.particles, queries=toy.queries)  # type: ignore[attr-defined]
        for name in names
    }


@ALL
def test_is_described(name):
    metric = get_metric(name)
    assert name in list_metrics()
    assert metric.name == name
    assert metric.label
    assert "arXiv" in metric.reference or "doi" in metric.reference
    assert metric.needs
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
    for result in results.values():
        measured = metric.measure(result, toy)
        assert set(measured.scores) == set(kinds)
        for key, value in measured.scores.items():
            kind = kinds[key]
            items = value.items["value"].to_numpy()
            assert kind.low <= items.min()
            assert items.max() <= kind.high
            assert value.low <= value.value <= value.high
            assert value.n == len(items) == len(toy.queries)


@ALL
def test_truth_is_best_and_shuffled_labels_worst(name, toy, results):
    metric = get_metric(name)()
    measured = {key: metric.measure(result, toy) for key, result in results.items()}
    for kind in metric.scores:
        direction = 1 if kind.better == "higher" else -1
        value = {key: direction * scores[kind.name].value for key, scores in measured.items()}
        assert value["truth"] >= value["truth-backprojection"] >= value["shuffled-truth"], kind.name
        assert value["truth"] > value["shuffled-truth"], kind.name


@ALL
def test_intervals_repeat_with_the_seed(name, toy, results):
    metric = get_metric(name)()
    result = results["truth-backprojection"]
    one, same, other = (metric.measure(result, toy, seed=seed) for seed in (1, 1, 2))
    for key in one.scores:
        assert (one[key].low, one[key].high) == (same[key].low, same[key].high)
    assert any((one[key].low, one[key].high) != (other[key].low, other[key].high) for key in one.scores)


@ALL
def test_order_of_the_queries_does_not_matter(name, toy, results):
    metric = get_metric(name)()
    result = results["truth-backprojection"]
    assert result.volumes is not None
    stack = np.stack([result.volumes.read(item) for item in range(len(result.queries))])
    order = np.arange(len(result.queries))[::-1]
    from cryobench.data import IndexedVolumes

    turned = Reconstruction(result.queries[order], IndexedVolumes(stack, order))
    one, other = metric.measure(result, toy), metric.measure(turned, toy)
    for key in one.scores:
        assert one[key].value == pytest.approx(other[key].value, rel=1e-12)


@ALL
def test_what_is_missing_is_said_and_not_scored(name, toy, results):
    metric = get_metric(name)()
    bare = dataclasses.replace(toy, truth=None)
    assert "truth" in (metric.explain_missing(results["truth"], bare) or "")
    with pytest.raises(ValueError, match="truth"):
        score(results["truth"], bare, [name])
    scores = score(results["truth"], bare)
    assert isinstance(scores, Scores)
    assert scores.scores == {}
    assert "truth" in scores.context["not_measured"][name]
    assert metric.explain_missing(results["truth"], toy) is None


def test_unknown_metric_is_named_with_a_suggestion(toy, results):
    with pytest.raises(UnknownName, match="Did you mean 'per-image-fsc'"):
        score(results["truth"], toy, ["per-imag-fsc"])
