"""No two complexes of the mixture are alike: below 0.9 after the best alignment, at 22 Å, where they are most alike.

The bound holds for rotations about the centres of mass. Shifts on top of that raise the greatest correlations of
the hundred by up to 0.013, and the grid of angles misses up to 0.004 of a peak, so that 0.88 is asked of the grid.
"""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from aligned_correlation import bound_by_norms, bound_by_power, correlate, expand, find_alike
from cryobench.atoms.procedural import procedural_complex
from cryobench.recipes.states.complexes import procedural_complexes
from cryobench.volumes.render import render

RESOLUTION = 22.0


def _expand(model, box_size=60, pixel_size=9.0):
    return expand(render(model, box_size, pixel_size, RESOLUTION).numpy(), pixel_size)


@pytest.fixture(scope="module")
def turned():
    """A complex, the same one turned, and another of its mass."""
    model = procedural_complex(200, "C1", seed=1)
    rotation = Rotation.from_rotvec([0.9, -1.4, 0.6]).as_matrix()
    models = model, model.transformed(rotation), procedural_complex(200, "D2", seed=1)
    return [_expand(item, 36, 8.0) for item in models]


def test_the_measure_finds_what_is_alike(turned):
    one, same, other = turned
    assert correlate(one, same) > 0.96
    assert bound_by_norms(one, same) > 0.98
    assert correlate(one, other) < 0.9
    assert find_alike([one, other, same], 0.9).keys() >= {(0, 2)}


def test_bounds_hold(turned):
    one, same, other = turned
    for pair in ((one, same), (one, other)):
        found = correlate(*pair)
        norms = bound_by_norms(*pair)
        power = bound_by_power(pair[0], [pair[1]])[0]
        assert found <= norms + 1e-6
        assert norms <= power + 1e-6
    assert bound_by_norms(one, other) < bound_by_power(one, [other])[0] - 0.005


def test_overlap_is_that_of_the_voxels():
    """At the rotation of no angle, the one grid point both ways share: the cosine of the voxels."""
    volumes = [
        render(procedural_complex(200, symmetry, seed=2), 36, 8.0, RESOLUTION).numpy().astype(np.float64)
        for symmetry in ("C1", "D2")
    ]
    one, other = (expand(volume, 8.0) for volume in volumes)
    inner = (one.values.conj() * other.values).sum().real
    cosine = (volumes[0] * volumes[1]).sum() / np.linalg.norm(volumes[0]) / np.linalg.norm(volumes[1])
    assert inner == pytest.approx(cosine, abs=0.01)
    assert correlate(one, other) >= inner - 1e-6


def test_rings_are_told_apart():
    """The light rings of five to seven: of one kind and close in mass, they are the most alike."""
    rings = [item for item in procedural_complexes(100) if item.symmetry in ("C5", "C6", "C7")]
    expansions = [_expand(item.build(), 40, 9.0) for item in rings if item.mass_kda < 400]
    assert len(expansions) > 5
    alike = find_alike(expansions, 0.8)
    assert len(alike) > 5
    assert max(found for _, found in alike.values()) < 0.88


@pytest.mark.slow
def test_all_hundred_are_told_apart():
    expansions = [_expand(item.build()) for item in procedural_complexes(100)]
    alike = find_alike(expansions, 0.85)
    greatest = max(found + expansions[i].left_out * expansions[j].left_out for (i, j), (_, found) in alike.items())
    assert 0.8 < greatest < 0.88
