"""What the five controls score where labels, populations, distributions and composition are compared."""

import dataclasses

import numpy as np
import pytest

from cryobench.data import Dataset, Scores, StateComponents
from cryobench.methods import get_method
from cryobench.metrics import get_metric
from toy import toy_dataset

CONTROLS = ("truth", "truth-backprojection", "consensus", "shuffled-truth", "random-latent")
METRICS = ("labels", "populations", "distributions", "composition")


@pytest.fixture(scope="module")
def data() -> Dataset:
    plain = toy_dataset()
    assert plain.truth is not None
    parts = StateComponents(("arm", "hand"), np.array([[0.0, 0], [1, 0], [1, 1]]))
    return dataclasses.replace(plain, truth=dataclasses.replace(plain.truth, components=parts))


@pytest.fixture(scope="module")
def measured(data: Dataset) -> dict[str, dict[str, Scores]]:
    """Control -> metric -> scores, of what can be measured."""
    found: dict[str, dict[str, Scores]] = {}
    for name in CONTROLS:
        control = get_method(name)().with_truth(data.truth)  # type: ignore[attr-defined]
        answer = control.reconstruct(data.particles, queries=data.queries)
        metrics = [get_metric(metric)() for metric in METRICS]
        found[name] = {
            metric.name: metric.measure(answer, data)
            for metric in metrics
            if metric.explain_missing(answer, data) is None
        }
    return found


def value(measured: dict[str, dict[str, Scores]], control: str, score: str) -> float:
    return next(scores[score].value for scores in measured[control].values() if score in scores.scores)


def test_every_control_is_measured(measured: dict[str, dict[str, Scores]]) -> None:
    assert all(set(scores) == set(METRICS) for scores in measured.values())


def test_one_class_for_all_scores_what_its_state_does(measured: dict[str, dict[str, Scores]]) -> None:
    """Consensus is one class, matched to the first of three equal states."""
    closed_forms = {
        "ari": 0.0,
        "ami": 0.0,
        "nmi": 0.0,
        "fmi": np.sqrt((120 * 119 / 2) * 3 / (360 * 359 / 2)),
        "variation-of-information": np.log2(3),
        "label-accuracy": 1 / 3,
        "macro-f1": 0.5 / 3,
        "population-error": 2 / 3,
        "distribution-error": 1.0,
        "occupancy-error": (2 / 3 + 1 / 3) / 2,
    }
    for score, expected in closed_forms.items():
        assert value(measured, "consensus", score) == pytest.approx(expected, abs=1e-6), score


@pytest.mark.parametrize("control", ["truth", "truth-backprojection"])
def test_true_labels_are_perfect(measured: dict[str, dict[str, Scores]], control: str) -> None:
    for metric in METRICS:
        for kind in get_metric(metric).scores:
            best = kind.low if kind.better == "lower" else kind.high
            assert measured[control][metric][kind.name].value == pytest.approx(best, abs=1e-6), kind.name


@pytest.mark.parametrize("control", ["shuffled-truth", "random-latent"])
def test_what_knows_nothing_scores_as_chance_does(measured: dict[str, dict[str, Scores]], control: str) -> None:
    # 360 particles in 3 equal states: the standard deviation of both under chance is about 0.004.
    assert value(measured, control, "ari") == pytest.approx(0, abs=0.02)
    assert value(measured, control, "ami") == pytest.approx(0, abs=0.02)
    assert value(measured, control, "label-accuracy") == pytest.approx(1 / 3, abs=0.08)
    assert value(measured, control, "variation-of-information") == pytest.approx(2 * np.log2(3), abs=0.1)
    # Three directions a third of a turn apart cancel; classes of 120, or 19 neighbours, leave 1/√n of them.
    assert value(measured, control, "distribution-error") == pytest.approx(1, abs=0.25)
    # Two parts of prevalence 2/3 and 1/3: 2 · 2/9 each.
    assert value(measured, control, "occupancy-error") == pytest.approx(4 / 9, abs=0.06)


def test_shuffled_labels_have_true_populations(measured: dict[str, dict[str, Scores]]) -> None:
    assert value(measured, "shuffled-truth", "population-error") == pytest.approx(0, abs=1e-6)
    assert all(kind.ignores_identity for kind in get_metric("populations").scores)
