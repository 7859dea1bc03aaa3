"""The laws about changes that must not matter name the one that does."""

from itertools import count

import numpy as np
import pytest

from cryobench.data import IndexedVolumes, Reconstruction
from cryobench.methods import Method, MethodSettings
from cryobench.testing import check_method
from cryobench.testing.methods import MethodCase

_LAWS = ("same input, same bits", "contrast is undone", "is blind to poses", "streams to the same bits")


class Mean(Method[MethodSettings]):
    """Toy: the mean image, along z, and the mean of each image."""

    name, poses = "mean", "estimated"

    def estimate(self, particles, queries, context):
        images = particles.read(np.arange(len(particles)))
        return self.answer(images, queries)

    def answer(self, images, queries):
        size = images.shape[-1]
        volumes = np.repeat(images.mean(axis=0)[None, None], size, axis=1)
        found = IndexedVolumes(volumes, np.zeros(len(queries), int))
        n = len(images)
        return Reconstruction(
            queries,
            found,
            latents=images.mean(axis=(1, 2))[:, None],
            rotations=np.repeat(np.eye(3)[None], n, axis=0),
            shifts=np.zeros((n, 2)),
        )


class Drifting(Mean):
    calls = count()

    def estimate(self, particles, queries, context):
        return self.answer(particles.read(np.arange(len(particles))) + np.float32(next(self.calls)), queries)


class Signed(Mean):
    def estimate(self, particles, queries, context):
        return self.answer(particles.images.read(np.arange(len(particles))), queries)


class Peeking(Mean):
    def estimate(self, particles, queries, context):
        images = particles.read(np.arange(len(particles)))
        return self.answer(images + np.float32(particles.rotations is None), queries)


class Frugal(Mean):
    def estimate(self, particles, queries, context):
        images = particles.read(np.arange(len(particles)))
        return self.answer(images + np.float32(context.compute.memory), queries)


def test_a_method_without_faults_needs_one_run_for_all():
    case = MethodCase(Mean)
    check_method(Mean, _LAWS, case=case)
    assert case.is_unaffected


@pytest.mark.parametrize(
    ("kind", "law", "message"),
    [
        (Signed, "contrast is undone", "contrast written inverted"),
        (Peeking, "is blind to poses", "looked at the poses"),
        (Frugal, "streams to the same bits", "with the least memory that suffices"),
    ],
)
def test_only_the_law_of_the_change_that_matters_is_broken(kind, law, message):
    case = MethodCase(kind)
    for each in _LAWS:
        if each != law:
            check_method(kind, [each], case=case)
    with pytest.raises(AssertionError, match=message):
        check_method(kind, [law], case=case)


def test_a_method_that_differs_from_run_to_run_breaks_the_first_law():
    with pytest.raises(AssertionError, match="the same particles and seed twice"):
        check_method(Drifting, ["same input, same bits"])
