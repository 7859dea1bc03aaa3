"""Precisions of latents: triangles and back; the common metric is that of Mahalanobis."""

import numpy as np

from cryobench.reconstruction.decoders.kernel_regression.precisions import (
    common_precision,
    pack_symmetric,
    unpack_symmetric,
)


def test_symmetric_matrices_are_packed_and_unpacked(rng):
    matrices = rng.standard_normal((5, 4, 4))
    matrices = matrices + matrices.swapaxes(1, 2)
    assert pack_symmetric(matrices).shape == (5, 10)
    np.testing.assert_array_equal(unpack_symmetric(pack_symmetric(matrices)), matrices)


def test_the_common_precision_makes_distances_those_of_mahalanobis(rng):
    """In a basis in which the latents are independent and of one width, these are the plain distances."""
    plain = rng.standard_normal((400, 3))
    plain = np.linalg.qr(plain - plain.mean(axis=0))[0] * np.sqrt(399)
    latents = plain @ (rng.standard_normal((3, 3)) * [3.0, 1.0, 0.2]) + 7
    precisions = common_precision(latents)
    assert precisions.shape == (400, 3, 3)
    away = latents - latents[0]
    squared = np.einsum("ni,nij,nj->n", away, precisions, away)
    np.testing.assert_allclose(squared, ((plain - plain[0]) ** 2).sum(axis=1), rtol=1e-6, atol=1e-9)


def test_an_axis_without_spread_does_not_count(rng):
    latents = np.column_stack([rng.standard_normal(50), np.ones(50)])
    precision = common_precision(latents)[0]
    np.testing.assert_allclose(precision[1], 0, atol=1e-12)
    assert precision[0, 0] > 0
    assert common_precision(latents[:, :1]).shape == (50, 1, 1)
