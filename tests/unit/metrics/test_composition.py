"""Occupancy errors: closed forms, chance, and what cannot be measured."""

import numpy as np
import pytest

from cryobench.data import Reconstruction, StateComponents
from cryobench.metrics.labels.composition import Composition, occupancy_error
from labelled import classified, embedded, labelled_dataset

COMPONENTS = StateComponents(
    ("core", "head", "foot", "half"), np.array([[1, 0, 0, 0.5], [1, 1, 0, 0.5], [1, 1, 1, 1.0]], dtype=float)
)


def test_truth_is_free_of_error_under_any_numbering() -> None:
    states = np.repeat([0, 1, 2], [30, 20, 10])
    data = labelled_dataset(states, components=COMPONENTS)
    score = Composition().measure(classified((states + 1) % 3), data)["occupancy-error"]
    assert (score.value, score.low, score.high, score.n) == (0, 0, 0, 60)


def test_each_component_pays_for_the_particles_that_lack_it() -> None:
    states = np.repeat([0, 1, 2], [30, 20, 10])
    labels = states.copy()
    labels[:6] = 1  # six of sixty are thought to have a head
    scores = Composition().measure(classified(labels), labelled_dataset(states, components=COMPONENTS))
    items = scores["occupancy-error"].items.set_index("component")
    assert items["value"].to_dict() == pytest.approx({"head": 0.1, "foot": 0.0, "half": 0.0})
    assert items["prevalence"].to_dict() == pytest.approx({"head": 0.5, "foot": 1 / 6, "half": 0.5 + 1 / 12})
    assert scores["occupancy-error"].value == pytest.approx(0.1 / 3)
    assert scores.context["n_constant_components"] == 1


def test_states_alike_cost_less_when_confused() -> None:
    states = np.repeat([0, 1, 2], 20)
    data = labelled_dataset(states, components=COMPONENTS)
    near, far = states.copy(), states.copy()
    near[:5], far[:5] = 1, 2
    found = [Composition().measure(classified(labels), data)["occupancy-error"].value for labels in (near, far)]
    assert found[1] == pytest.approx(2.5 * found[0])  # a head, against a head, a foot and half a half


def test_posteriors_are_expectations() -> None:
    true = np.eye(3)[[0, 2]]
    shares = np.array([[0.5, 0.5, 0.0], [0.0, 0.2, 0.8]])
    expected = [[0, 0.5, 0, 0], [0, 0, 0.2, 0.1]]
    assert occupancy_error(true, shares, COMPONENTS.occupancies) == pytest.approx(np.array(expected))
    with pytest.raises(ValueError, match="shapes"):
        occupancy_error(true, shares, COMPONENTS.occupancies[:2])


def test_shuffled_labels_score_chance(rng: np.random.Generator) -> None:
    states = np.repeat([0, 1, 2], [3000, 2000, 1000])
    scores = Composition().measure(
        classified(rng.permutation(states)), labelled_dataset(states, components=COMPONENTS)
    )
    items = scores["occupancy-error"].items.set_index("component")
    # Two independent draws differ in a component of prevalence p with probability 2 p (1 - p).
    assert items["chance"].to_dict() == pytest.approx({"head": 1 / 2, "foot": 5 / 18, "half": 5 / 36})
    assert items["value"].to_numpy() == pytest.approx(items["chance"].to_numpy(), abs=0.03)
    score = scores["occupancy-error"]
    assert score.low < score.value < score.high
    assert scores.context["chance"] == pytest.approx(score.value, abs=0.02)


def test_why_it_is_not_measured(rng: np.random.Generator) -> None:
    metric, states = Composition(), np.repeat([0, 1], 10)
    answer = classified(states)
    assert "true components" in (metric.explain_missing(answer, labelled_dataset(states)) or "")
    alike = StateComponents(("core",), np.ones((2, 1)))
    assert "in which states differ" in (
        metric.explain_missing(answer, labelled_dataset(states, components=alike)) or ""
    )
    data = labelled_dataset(states, components=StateComponents(("arm",), np.array([[0.0], [1.0]])))
    assert "posteriors or latents" in (metric.explain_missing(Reconstruction(np.arange(1)), data) or "")
    assert metric.measure(embedded(states[:, None] + 0.0), data)["occupancy-error"].value == 0
