"""Comparisons of two reconstructions of the same particles: to the bit, to rounding, or by results; refusals."""

from collections.abc import Callable

import numpy as np
from sklearn.linear_model import LinearRegression
from sklearn.metrics import adjusted_rand_score

from cryobench.data import Reconstruction

PARTS = ("latents", "posteriors", "rotations", "shifts")


def read_volumes(result: Reconstruction) -> np.ndarray:
    """(q, z, y, x) of the query particles, in order. AssertionError if there are none."""
    assert result.volumes is not None, f"{result.name} gives no volumes of the query particles"
    return np.stack([result.volumes.read(index) for index in range(len(result.volumes))])


def assert_same_bits(first: Reconstruction, second: Reconstruction, because: str) -> None:
    """Both have the same parts, volumes included, to the bit."""
    for name in PARTS:
        one, other = getattr(first, name), getattr(second, name)
        assert (one is None) == (other is None), f"{because}: only one of two runs has {name}"
        if one is not None:
            np.testing.assert_array_equal(one, other, err_msg=f"{because}: {name} differ")
    np.testing.assert_array_equal(read_volumes(first), read_volumes(second), err_msg=f"{because}: volumes differ")


def assert_alike(
    first: Reconstruction,
    second: Reconstruction,
    because: str,
    *,
    least: float = 0.95,
    of_latents: float | None = None,
) -> None:
    """Both agree, up to the numbering of classes and a linear map of latents; volumes correlate.

    ``least`` is the lower bound for correlations, for the adjusted Rand index of the classes, and for the fraction of
    variance of latents explained by the other's; ``of_latents`` replaces it for the latter.
    """
    one, other = read_volumes(first), read_volumes(second)
    for item, (volume, same) in enumerate(zip(one, other, strict=True)):
        found = float(np.corrcoef(volume.ravel(), same.ravel())[0, 1])
        assert found >= least, f"{because}: volumes of query {item} correlate by only {found:.3f}"
    if first.posteriors is not None and second.posteriors is not None:
        labels, same = first.posteriors.argmax(axis=1), second.posteriors.argmax(axis=1)
        found = adjusted_rand_score(labels, same)
        assert found >= least, f"{because}: classes agree by an adjusted Rand index of only {found:.3f}"
    if first.latents is not None and second.latents is not None:
        explained = LinearRegression().fit(second.latents, first.latents).score(second.latents, first.latents)
        needed = least if of_latents is None else of_latents
        assert explained >= needed, f"{because}: latents explain only {explained:.3f} of each other's variance"


def assert_refused(
    make: Callable[..., object], *given: object, what: str, words: str = "", refusal: type[ValueError] = ValueError
) -> None:
    """A call with what it must refuse raises ``refusal``, with these words."""
    try:
        make(*given)
    except refusal as error:
        if words in str(error):
            return
        raise AssertionError(f"{what}: refused for another reason: {error}") from error
    raise AssertionError(f"{what}: accepted")
