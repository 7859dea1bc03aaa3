"""Populations of states: closed forms, classes that do not match states, and the blindness that is documented."""

import numpy as np
import pytest

from cryobench.data import Reconstruction
from cryobench.metrics.labels.populations import (
    Populations,
    population_divergence,
    population_error,
    smooth_populations,
)
from labelled import classified, embedded, labelled_dataset


def test_distances_in_closed_form() -> None:
    true, found = np.array([0.5, 0.5, 0.0]), np.array([0.25, 0.5, 0.25])
    assert population_error(true, found) == pytest.approx(0.25)
    assert population_error(np.array([1.0, 0]), np.array([0, 1.0])) == 1.0
    # Four particles and half a one in each of three states: (2.5, 2.5, 0.5) / 5.5 and (1.5, 2.5, 1.5) / 5.5.
    expected = (2.5 * np.log(2.5 / 1.5) + 0.5 * np.log(0.5 / 1.5)) / 5.5
    assert population_divergence(true, found, 4) == pytest.approx(expected)
    assert population_divergence(true, true, 4) == 0
    with pytest.raises(ValueError, match="3 true populations but 2"):
        population_error(true, found[:2])
    with pytest.raises(ValueError, match="sum to 1"):
        population_divergence(true, found * 2, 4)
    assert smooth_populations(true, 4).sum() == pytest.approx(1)


def test_moving_particles_from_one_state_to_another_is_counted() -> None:
    states = np.repeat([0, 1, 2], [60, 30, 10])
    labels = states.copy()
    labels[:20] = 1
    scores = Populations().measure(classified(labels), labelled_dataset(states))
    error = scores["population-error"]
    assert error.value == pytest.approx(0.2)
    assert error.items["value"].tolist() == pytest.approx([0.2, 0.2, 0.0])
    assert 0.05 < error.low < 0.2 < error.high < 0.35
    assert error.n == 100
    table = scores.curves["populations"]
    assert table["true"].tolist() == pytest.approx([0.6, 0.3, 0.1])
    assert table["recovered"].tolist() == pytest.approx([0.4, 0.5, 0.1])
    # 1.96 standard deviations of a binomial share of 100.
    spread = 1.96 * np.sqrt(table["recovered"] * (1 - table["recovered"]) / 100)
    assert table["low"].to_numpy() == pytest.approx(table["recovered"] - spread, abs=0.02)
    assert table["high"].to_numpy() == pytest.approx(table["recovered"] + spread, abs=0.02)


def test_soft_posteriors_are_averaged() -> None:
    states = np.repeat([0, 1], [50, 50])
    posteriors = np.where(states[:, None] == [0, 1], 0.8, 0.2)
    posteriors[:50] = [0.9, 0.1]
    scores = Populations().measure(Reconstruction(np.arange(1), posteriors=posteriors), labelled_dataset(states))
    assert scores.curves["populations"]["recovered"].tolist() == pytest.approx([0.55, 0.45])


def test_truth_and_cut_states_are_right_and_a_missed_state_costs_its_share() -> None:
    states = np.repeat([0, 1, 2], [60, 30, 12])
    data = labelled_dataset(states)
    for labels in (states, (states + 1) % 3, np.arange(102) // 6):
        assert Populations().measure(classified(labels), data)["population-error"].value == pytest.approx(0, abs=1e-6)
    missed = Populations().measure(classified(np.minimum(states, 1)), data)
    assert missed["population-error"].value == pytest.approx(12 / 102)
    one = Populations().measure(embedded(np.zeros((102, 2))), data)
    assert one["population-error"].value == pytest.approx(42 / 102)


def test_class_that_is_nobodys_first_choice_keeps_its_mass() -> None:
    states = np.repeat([0, 1], 20)
    posteriors = np.zeros((40, 3))
    posteriors[:20] = [1.0, 0.0, 0.0]
    posteriors[20:] = [0.0, 0.6, 0.4]
    scores = Populations().measure(Reconstruction(np.arange(1), posteriors=posteriors), labelled_dataset(states))
    assert scores["population-error"].value == pytest.approx(0, abs=1e-6)


def test_shuffled_labels_have_right_populations(rng: np.random.Generator) -> None:
    states = np.repeat([0, 1, 2], [600, 300, 100])
    scores = Populations().measure(classified(rng.permutation(states)), labelled_dataset(states))
    assert scores["population-error"].value == pytest.approx(0, abs=1e-6)


def test_junk_does_not_count_and_particles_left_out_are_in_no_state(rng: np.random.Generator) -> None:
    states = np.repeat([0, 1, -1], [30, 30, 40])
    labels = states.copy()
    labels[60:] = 0
    labels[:6] = -1
    scores = Populations().measure(classified(labels), labelled_dataset(states))
    assert scores["population-error"].value == pytest.approx(0.1, abs=1e-6)
    table = scores.curves["populations"]
    assert table["recovered"].tolist() == pytest.approx([0.4, 0.5])
    assert (scores["population-error"].n, scores.context["n_unknown_state"], scores.context["n_left_out"]) == (
        60,
        40,
        6,
    )
