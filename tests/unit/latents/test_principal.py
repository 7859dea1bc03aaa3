"""Principal axes against scikit-learn, and walks along them."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from cryobench.latents.principal import principal_axes


@pytest.mark.parametrize("shape", [(200, 4), (3, 5), (50, 1)])
def test_axes_are_those_of_scikit_learn(shape, rng) -> None:
    latents = rng.standard_normal(shape) @ rng.standard_normal((shape[1], shape[1])) + 3
    found, expected = principal_axes(latents), PCA().fit(latents)
    np.testing.assert_allclose(found.mean, expected.mean_)
    np.testing.assert_allclose(found.variances, expected.explained_variance_, atol=1e-12)
    ranked = expected.explained_variance_ > 1e-9  # others have no direction
    signs = np.sign((found.axes * expected.components_).sum(axis=1))[:, None]
    np.testing.assert_allclose(found.axes[ranked], (signs * expected.components_)[ranked], atol=1e-9)
    largest = np.abs(found.axes).argmax(axis=1)
    assert (found.axes[np.arange(len(largest)), largest] > 0).all()
    projected = expected.transform(latents) * signs[:, 0]
    np.testing.assert_allclose(found.project(latents)[:, ranked], projected[:, ranked], atol=1e-9)


def test_a_walk_goes_between_percentiles_and_through_the_mean(rng) -> None:
    latents = rng.standard_normal((500, 3)) * [5, 2, 1] + [1, 2, 3]
    axes = principal_axes(latents)
    rows, along = axes.walk(latents, 1, (5, 95), 7)
    coordinates = axes.project(rows)
    np.testing.assert_allclose(coordinates[:, 1], along)
    np.testing.assert_allclose(coordinates[:, [0, 2]], 0, atol=1e-12)
    own = (latents - latents.mean(axis=0)) @ axes.axes[1]
    np.testing.assert_allclose(along[[0, -1]], np.percentile(own, [5, 95]))
    np.testing.assert_allclose(np.diff(along), np.ptp(along) / 6)
    with pytest.raises(ValueError, match=r"axis 4 does not exist.*1 to 3"):
        axes.walk(latents, 3, (5, 95), 2)
