"""Notes: each where its reason is, and none on a run that is well."""

import numpy as np
import pytest

from cryobench.methods.flex_3d.advice import advise
from cryobench.methods.flex_3d.composition import Composition
from cryobench.methods.flex_3d.motion_findings import Strain
from cryobench.methods.flex_3d.settings import Flex3DSettings

WELL = Strain(moved=8.0, stretch=0.05, growth=0.03)
CONSTANT = Composition(np.array([0.002, -0.001, 0.3]), np.array([0.002, 0.002, 0.2]))
CURVE = np.concatenate([np.ones(20), np.linspace(1, 0, 8), np.zeros(5)])


def notes_of(*, latents=None, strain=WELL, composition=CONSTANT, curve=CURVE, **settings):
    spread = np.linspace(-1, 1, 100)[:, None] if latents is None else latents
    return list(advise(spread, strain, composition, curve, 3.0, Flex3DSettings(**settings)))


def test_a_run_that_is_well_has_none():
    assert notes_of() == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"latents": np.array([[1.5], [-1.5], [0.0]])}, "raise centring"),
        ({"latents": np.array([[0.1], [-0.1], [0.0]])}, "Lower centring"),
        ({"strain": Strain(0.5, 0.01, 0.0)}, "The map does not move: 0.5 Å"),
        ({"strain": Strain(8.0, 0.2, 0.05)}, "Raise rigidity"),
        ({"strain": Strain(8.0, 0.2, 0.3)}, "Deformation conserves density"),
        (
            {"composition": Composition(np.array([0.25, 0.01, 0.04]), np.array([0.03, 0.001, 0.02]))},
            "comes and goes in 1 of 3 parts of the map, by up to 50%",
        ),
        ({"curve": np.full(33, 0.9), "map_iterations": 20}, "map_iterations=40"),
    ],
)
def test_each_reason_has_its_own(changes, words):
    notes = notes_of(**changes)
    assert len(notes) == 1
    assert words in notes[0]
