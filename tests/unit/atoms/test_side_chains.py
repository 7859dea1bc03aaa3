"""Side chains from ideal bonds: torsions run the right way, and each residue has its rotamers."""

import gemmi
import numpy as np
import pytest

from cryobench.atoms.procedural.side_chains import list_rotamers, place_atom


def test_torsions_are_right_handed():
    points = np.random.default_rng(1).normal(size=(3, 4, 3))
    placed = place_atom(*points, 1.5, 110.0, -65.0)
    for case in range(4):
        corners = [gemmi.Position(*point[case]) for point in (*points, placed)]
        assert np.rad2deg(gemmi.calculate_dihedral(*corners)) == pytest.approx(-65.0)
        assert np.rad2deg(gemmi.calculate_angle(*corners[1:])) == pytest.approx(110.0)


def test_rotamers_are_as_many_as_the_torsions_allow():
    assert len(list_rotamers("LEU")) == 9
    assert len(list_rotamers("SER")) == 3
    assert list_rotamers("PRO") == [(0.0, 0.0)]
