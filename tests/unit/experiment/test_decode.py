"""Which latents are decoded."""

from dataclasses import replace

import numpy as np

from cryobench.experiment.decode import _state_means
from toy import toy_dataset


def test_latents_of_states_are_the_means_of_their_particles_that_have_one():
    toy = toy_dataset(size=16, n=60)
    assert toy.truth is not None
    states = toy.truth.states.copy()
    states[:4] = -1
    latents = np.stack([states * 10.0, -states], axis=1) + np.array([1.0, 0.0])
    latents[states == 1] += np.tile([[0.5, 0], [-0.5, 0]], (30, 1))[: (states == 1).sum()]
    left_out = np.flatnonzero(states == 2)[:3]
    latents[left_out] = np.nan
    latents[:4] = 1e6
    rows, names = _state_means(replace(toy, truth=replace(toy.truth, states=states)), latents)
    assert names == ["state-000", "state-001", "state-002"]
    np.testing.assert_allclose(rows, [[1, 0], [11, -1], [21, -2]], atol=0.05)
