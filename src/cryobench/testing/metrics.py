"""Laws of metrics, checked with controls on the toy."""

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cryobench.data import Dataset, IndexedVolumes, Reconstruction, RunCost, RunRecord, Scores, StateComponents
from cryobench.methods import Control
from cryobench.methods.registry import get_method
from cryobench.metrics import Metric
from cryobench.rng import stream
from cryobench.testing.comparisons import assert_refused, read_volumes
from cryobench.testing.toy import permuted, toy_dataset

_CONTROLS = ("truth", "truth-backprojection", "shuffled-truth")
"""Controls from the best to the worst."""


@dataclass
class MetricCase:
    """A metric, the toy, and the scores of the controls."""

    kind: type[Metric]

    @cached_property
    def metric(self) -> Metric:
        """An instance of the metric."""
        return self.kind()

    @cached_property
    def dataset(self) -> Dataset:
        """The toy, whose three states consist of a body and two parts."""
        plain = toy_dataset()
        assert plain.truth is not None
        parts = StateComponents(("body", "arm", "hand"), np.array([[1.0, 0, 0], [1, 1, 0], [1, 1, 1]]))
        return dataclasses.replace(plain, truth=dataclasses.replace(plain.truth, components=parts))

    @cached_property
    def results(self) -> dict[str, Reconstruction]:
        """Controls, with poses as good as their labels, and a cost."""
        truth = self.dataset.truth
        assert truth is not None
        cost = RunCost(wall_seconds=1.0, cpu_seconds=2.0, peak_memory_bytes=1e9)
        made = {}
        for name in _CONTROLS:
            answer = reconstruct_control(name, self.dataset)
            order = np.arange(len(truth))
            if name == "shuffled-truth":
                order = stream(0, "poses of the law").permutation(len(truth))
            poses = {part: getattr(truth, part)[order] for part in ("rotations", "shifts")}
            made[name] = dataclasses.replace(answer, **poses, record=RunRecord(method=name, cost=cost))
        return made

    @cached_property
    def measured(self) -> dict[str, Scores]:
        """Scores of every control that has what the metric needs."""
        return {
            name: self.metric.measure(result, self.dataset)
            for name, result in self.results.items()
            if self.metric.explain_missing(result, self.dataset) is None
        }


def reconstruct_control(name: str, dataset: Dataset) -> Reconstruction:
    """Result of a control."""
    kind = get_method(name)
    assert issubclass(kind, Control)
    assert dataset.truth is not None
    return kind().with_truth(dataset.truth).reconstruct(dataset.particles, dataset.queries)


def check_metric(kind: type[Metric], laws: Sequence[str] | None = None, *, case: MetricCase | None = None) -> None:
    """Check a metric against the laws; parameters and errors as ``check_method``."""
    case = case or MetricCase(kind)
    for name in METRIC_LAWS if laws is None else laws:
        METRIC_LAWS[name](case)


def _is_described(case: MetricCase) -> None:
    kind = case.kind
    assert kind.label, "there is no label"
    assert "arXiv" in kind.reference or "doi" in kind.reference, "the reference names no publication"
    assert kind.needs, "it must say what it needs"
    assert kind.question.endswith("?"), "its question must end in a question mark"
    for name in ("formula", "cost"):
        assert len(getattr(kind, name)) > 20, f"its {name} is not described"
    for name in ("calibration", "invariances", "limits"):
        sentences = getattr(kind, name)
        assert isinstance(sentences, tuple), f"its {name} must be sentences in a tuple"
        assert sentences, f"its {name} are empty"
        assert all(sentence.endswith((".", ")")) for sentence in sentences), f"its {name} must be whole sentences"
    names = [score.name for score in kind.scores]
    assert len(names) == len(set(names)) > 0, f"scores must have distinct names, found {names}"
    for score in kind.scores:
        assert score.low < score.high, f"{score.name} has an empty range"
        assert score.better in ("higher", "lower"), f"{score.name} does not say which is better"
        assert score.label, f"{score.name} has no label"


def _stays_within_its_range(case: MetricCase) -> None:
    kinds = {kind.name: kind for kind in case.metric.scores}
    assert "truth" in case.measured, "it cannot be measured on the truth itself"
    for name, measured in case.measured.items():
        assert set() < set(measured.scores) <= set(kinds), f"{name}: scores it did not declare, or none"
        for key, value in measured.scores.items():
            kind, items = kinds[key], value.items["value"].to_numpy()
            assert kind.low <= items.min(), f"{key} of {name} is below its range"
            assert items.max() <= kind.high, f"{key} of {name} is above its range"
            assert value.low <= value.value <= value.high, f"{key} of {name} lies outside its interval"
            by_query = case.metric.needs >= {"volumes", "true volumes"}
            most = len(case.dataset.queries if by_query else case.dataset.particles)
            assert 1 <= value.n <= most, f"{key} of {name} counts {value.n} items"


def _truth_is_best(case: MetricCase) -> None:
    for kind in case.metric.scores:
        direction = 1 if kind.better == "higher" else -1
        found = [scores.scores[kind.name] for scores in case.measured.values() if kind.name in scores.scores]
        values = [direction * score.value for score in found]
        # Rounding differences are no order, nor are random differences of a score that ignores particle identity.
        slack = max((score.high - score.low for score in found), default=0.0) if kind.ignores_identity else 1e-9
        assert all(better >= worse - slack for better, worse in itertools.pairwise(values)), (
            f"{kind.name}: among {', '.join(case.measured)} a worse one scores better: {values}"
        )
        assert kind.ignores_identity or not values or values[0] > values[-1], (
            f"{kind.name} does not distinguish truth from shuffled"
        )


def _intervals_repeat(case: MetricCase) -> None:
    result = case.results["shuffled-truth"]
    one, same, other = (case.metric.measure(result, case.dataset, seed=seed) for seed in (1, 1, 2))
    for key in one.scores:
        assert (one[key].low, one[key].high) == (same[key].low, same[key].high), f"{key}: interval not repeatable"
    uncertain = [key for key in one.scores if one[key].low < one[key].high]
    # With three items, the ends of any interval are the smallest and the largest.
    several = [key for key in uncertain if one[key].n > 3]
    assert not several or any(
        (one[key].low, one[key].high) != (other[key].low, other[key].high) for key in several
    ), "intervals do not depend on the seed"
    assert uncertain or all(one[key].n == 1 for key in one.scores), "scores of many items have no intervals"


def _order_of_queries_is_ignored(case: MetricCase) -> None:
    result = case.results["shuffled-truth"]
    order = np.arange(len(result.queries))[::-1]
    volumes = IndexedVolumes(read_volumes(result), order)
    turned = dataclasses.replace(result, queries=result.queries[order], volumes=volumes)
    one, other = (case.metric.measure(each, case.dataset) for each in (result, turned))
    for key in one.scores:
        np.testing.assert_allclose(one[key].value, other[key].value, rtol=1e-12, err_msg=f"{key}: order of queries")


def _order_of_particles_is_ignored(case: MetricCase) -> None:
    result, dataset = case.results["truth-backprojection"], case.dataset
    if case.metric.explain_missing(result, dataset) is not None:
        result = case.results["truth"]
    order = stream(11, "order of the law").permutation(len(dataset.particles))
    moved = permuted(dataset, order)
    parts = {
        name: values[order]
        for name in ("latents", "posteriors", "rotations", "shifts")
        if (values := getattr(result, name)) is not None
    }
    other = dataclasses.replace(result, queries=moved.queries, **parts)
    one, two = case.metric.measure(result, dataset), case.metric.measure(other, moved)
    for key, score in one.scores.items():
        if score.low == score.high or key not in two.scores:
            continue
        width = score.high - score.low
        assert abs(score.value - two[key].value) <= 0.5 * width + 1e-9, f"{key} depends on the order of the particles"


def _missing_parts_are_said(case: MetricCase) -> None:
    from cryobench.metrics import score

    metric, dataset = case.metric, case.dataset
    truth = case.results["truth"]
    assert metric.explain_missing(truth, dataset) is None, "it cannot be measured on the truth itself"
    bare = dataclasses.replace(dataset, truth=None)
    for result, data, lacking in (
        (truth, bare, "truth"),
        (Reconstruction(dataset.queries), dataset, "reconstruction"),
    ):
        if lacking == "truth" and not any(need.startswith("tru") for need in metric.needs):
            continue
        reason = metric.explain_missing(result, data) or ""
        assert lacking in reason, f"without {lacking} it says {reason!r}"
        assert_refused(metric.measure, result, data, what=f"measuring without {lacking}")
        scores = score(result, data)
        assert not {kind.name for kind in metric.scores} & set(scores.scores), "what cannot be measured was scored"


METRIC_LAWS: dict[str, Callable[[MetricCase], None]] = {
    "is described": _is_described,
    "stays within its range": _stays_within_its_range,
    "truth is best, shuffled labels worst": _truth_is_best,
    "intervals repeat with the seed": _intervals_repeat,
    "order of queries is ignored": _order_of_queries_is_ignored,
    "order of particles is ignored": _order_of_particles_is_ignored,
    "missing parts are said": _missing_parts_are_said,
}
"""Every law, by name."""
