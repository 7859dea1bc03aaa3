"""3d-class on a real antibody finds, from its own start, what it finds when started from the truth.

Slow (minutes): IgG-1D lite from 1HZH, 20 states of 500 images of 64 px at SNR 0.1. With 10 and 20 classes the true
states are merged; with 50 they are cut at random, which leaves more classes than there is to find.
"""

from functools import cache

import numpy as np
import pytest
from sklearn.metrics import mutual_info_score

from classified import classify
from composition import count_effective_states, find_composition, largest_overlap
from cryobench.data import Dataset
from cryobench.methods.classification_3d import Classification3DSettings
from cryobench.recipes.simulate import simulate
from cryobench.reconstruction.engine import RunContext

N_STATES = 20


@pytest.fixture(scope="module")
def make_lite(tmp_path_factory):
    """Data sets by seed, each made once."""

    @cache
    def make(seed: int) -> Dataset:
        folder = tmp_path_factory.mktemp("lite") / "data"
        return simulate("igg-1d", folder, preset="lite", seed=seed)

    return make


@pytest.mark.slow
@pytest.mark.parametrize(("n_classes", "seed"), [(10, 0), (10, 1), (20, 0), (50, 0)])
def test_own_start_is_as_good_as_the_true_one(make_lite, n_classes, seed):
    dataset = make_lite(10 + seed)
    states = dataset.truth.states
    settings = Classification3DSettings(n_classes=n_classes)
    within = np.random.default_rng(0).random(len(states)) if n_classes > N_STATES else 0
    labels = np.floor((states + within) * n_classes / N_STATES).astype(int)
    context = RunContext(seed=seed)
    merged, merged_steps = classify(dataset.particles, settings, context, initial_labels=labels)
    own, own_steps = classify(dataset.particles, settings, context)
    best, found = merged_steps.log[-1]["objective"], own_steps.log[-1]["objective"]
    print(f"objective {found:.0f}, from the truth {best:.0f}: {100 * (found / best - 1):+.4f} %")
    assert found >= best - 0.001 * abs(best)
    classes = own.members.posteriors.argmax(axis=1)
    reference = mutual_info_score(states, merged.members.posteriors.argmax(axis=1))
    carried = mutual_info_score(states, classes)
    print(f"mutual information {carried:.3f} nat, from the truth {reference:.3f}")
    assert carried >= 0.85 * reference
    counts = np.bincount(classes, minlength=n_classes)
    if n_classes <= N_STATES:
        assert counts.min() > 0.5 * len(states) / n_classes
    # No two classes of the same states, and none of any states.
    shares = find_composition(states, classes, n_classes)
    assert largest_overlap(shares) < 0.5
    assert count_effective_states(shares).max() < 2 * max(N_STATES / n_classes, 1) + 1
