"""3d-class on a real antibody finds, from its own start, what it finds when started from the truth.

Slow (minutes): IgG-1D lite from 1HZH, 10,000 images of 64 px at SNR 0.1, K = 10.
"""

import numpy as np
import pytest
from sklearn.metrics import mutual_info_score

from cryobench.methods.classification_3d import Classification3DSettings, classify
from cryobench.recipes.simulate import simulate

K = 10


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_own_start_is_as_good_as_the_true_one(structures, tmp_path, seed):
    dataset = simulate(
        "igg-1d", tmp_path / "data", preset="lite", structures=[structures / "1hzh.pdb.gz"], seed=10 + seed
    )
    states = dataset.truth.states
    settings = Classification3DSettings(n_classes=K)
    merged = classify(dataset.particles, settings, seed=seed, initial_labels=states * K // 20)
    own = classify(dataset.particles, settings, seed=seed)
    best, found = merged.log[-1]["objective"], own.log[-1]["objective"]
    print(f"objective {found:.0f}, from the truth {best:.0f}: {100 * (found / best - 1):+.4f} %")
    assert found >= best - 0.001 * abs(best)
    reference = mutual_info_score(states, merged.posteriors.argmax(axis=1))
    carried = mutual_info_score(states, own.posteriors.argmax(axis=1))
    print(f"mutual information {carried:.3f} nat, from the truth {reference:.3f}")
    assert carried >= 0.85 * reference
    assert np.bincount(own.posteriors.argmax(axis=1), minlength=K).min() > 0
