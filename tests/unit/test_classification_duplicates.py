"""3D classification of IgG-1D leaves no two classes of the same states and none of any states, be there too many."""

import numpy as np
import pytest

from classified import classify
from composition import count_effective_states, find_composition, largest_overlap
from cryobench.methods.classification_3d import Classification3DSettings
from cryobench.recipes.simulate import simulate


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return simulate("igg-1d", tmp_path_factory.mktemp("tiny") / "data", preset="tiny")


@pytest.mark.parametrize("n_classes", [5, pytest.param(20, marks=pytest.mark.slow)])
def test_classes_are_apart_and_of_few_states(tiny, n_classes):
    """20 classes of 50 particles are more than there is evidence for: some stay empty, the rest are as good."""
    states = tiny.truth.states
    state, _ = classify(tiny.particles, Classification3DSettings(n_classes=n_classes))
    classes = state.members.posteriors.argmax(axis=1)
    shares = find_composition(states, classes, n_classes)
    assert len(shares) >= 4
    assert largest_overlap(shares) < 0.4
    assert count_effective_states(shares).max() < 8
    populated = np.bincount(classes, minlength=n_classes)
    assert populated[populated > 0].min() >= 0.02 * len(states)


def test_the_measure_sees_duplicates_and_noise(rng):
    states = np.repeat(np.arange(20), 50)
    duplicates = np.where(states < 10, rng.integers(0, 2, 1000), 2)
    assert largest_overlap(find_composition(states, duplicates, 3)) > 0.8
    noise = np.where(rng.random(1000) < 0.1, 2, states // 10)
    assert count_effective_states(find_composition(states, noise, 3))[2] > 15
