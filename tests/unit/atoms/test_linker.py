"""A disordered linker: ideal geometry, the dihedrals that were drawn, a rigid Fab, a rest that stays, no clashes."""

from dataclasses import fields

import gemmi
import numpy as np
import pytest
from scipy.spatial.distance import cdist, pdist

from cryobench.atoms import AtomicModel, find_atom
from cryobench.atoms.linker import FabLinker, LinkerSampler, draw_dihedrals
from cryobench.atoms.linker.geometry import place_amide_hydrogens, place_betas
from cryobench.rng import stream
from molecules import read_antibody

# Engh and Huber (1991), typed in anew: N-CA, CA-C, C(-1)-N; N-CA-C, C(-1)-N-CA, CA(-1)-C(-1)-N.
BONDS = {"GLY": (1.451, 1.516, 1.329), "PRO": (1.466, 1.525, 1.341)}
ANGLES = {"GLY": (112.5, 120.6, 116.2), "PRO": (111.8, 122.6, 116.9)}
GENERAL = (1.458, 1.525, 1.329), (111.2, 121.7, 116.2)


@pytest.fixture(scope="module")
def sampler():
    return LinkerSampler(read_antibody())


@pytest.fixture(scope="module")
def drawn(sampler):
    """Conformer and model of two states."""
    conformers = [sampler.draw(state) for state in range(2)]
    return [(conformer, sampler.place(conformer)) for conformer in conformers]


def _backbone(model, chain, labels):
    """(r, N CA C O, xyz) by name, without the code under test."""
    return np.array(
        [
            [model.positions[find_atom(model, chain, int(label), name)] for name in ("N", "CA", "C", "O")]
            for label in labels
        ]
    )


def _angle(first, middle, last):
    return np.degrees(gemmi.calculate_angle(*(gemmi.Position(*point) for point in (first, middle, last))))


def _dihedral(*points):
    return gemmi.calculate_dihedral(*(gemmi.Position(*point) for point in points)) % (2 * np.pi)


def _check_ideal(sampler, model):
    """Every bond and angle of the linker's backbone, and of both bonds that hold it."""
    chain = sampler.linker.heavy
    points = _backbone(model, chain, [sampler.label_before, *sampler.labels, sampler.hinge.rest_start])
    for index, name in enumerate(sampler.names, start=1):
        bonds, angles = BONDS.get(name, GENERAL[0]), ANGLES.get(name, GENERAL[1])
        nitrogen, alpha, carbon, _ = points[index]
        _, alpha_before, carbon_before, oxygen_before = points[index - 1]
        assert np.linalg.norm(nitrogen - carbon_before) == pytest.approx(bonds[2], abs=1e-6)
        assert _angle(carbon_before, nitrogen, alpha) == pytest.approx(angles[1], abs=1e-4)
        assert _angle(alpha_before, carbon_before, nitrogen) == pytest.approx(angles[2], abs=1e-4)
        if index == len(sampler.names):
            break  # the residue behind the linker keeps its own shape
        assert np.linalg.norm(alpha - nitrogen) == pytest.approx(bonds[0], abs=1e-6)
        assert np.linalg.norm(carbon - alpha) == pytest.approx(bonds[1], abs=1e-6)
        assert _angle(nitrogen, alpha, carbon) == pytest.approx(angles[0], abs=1e-4)
        if index > 1:
            assert np.linalg.norm(oxygen_before - carbon_before) == pytest.approx(1.231, abs=1e-6)
            # Planar, and the oxygen trans to nothing but CA and N of its own peptide.
            apart = _dihedral(nitrogen, alpha_before, carbon_before, oxygen_before)
            assert apart == pytest.approx(np.pi, abs=1e-6)


def test_bonds_and_angles_are_ideal(sampler, drawn):
    for _, model in drawn:
        _check_ideal(sampler, model)


def test_dihedrals_are_those_drawn(sampler, drawn):
    labels = [sampler.label_before, *sampler.labels, sampler.hinge.rest_start]
    for conformer, model in drawn:
        points = _backbone(model, "H", labels)
        nitrogen, alpha, carbon = points[:, 0], points[:, 1], points[:, 2]
        inner = range(1, len(points) - 1)
        phi = [_dihedral(carbon[i - 1], nitrogen[i], alpha[i], carbon[i]) for i in inner]
        psi = [_dihedral(nitrogen[i], alpha[i], carbon[i], nitrogen[i + 1]) for i in inner]
        bonds = range(len(points) - 1)
        omega = [_dihedral(alpha[i], carbon[i], nitrogen[i + 1], alpha[i + 1]) for i in bonds]
        for measured, wanted in ((phi, "phi"), (psi, "psi"), (omega, "omega")):
            difference = np.exp(1j * np.array(measured)) - np.exp(1j * getattr(conformer.dihedrals, wanted))
            assert np.abs(difference).max() < 1e-8
        # Of the residues on both sides the linker's ends leave the outer dihedrals as they were.
        before = _backbone(sampler.model, "H", labels)
        assert _dihedral(*points[0, :3], nitrogen[1]) == pytest.approx(_dihedral(*before[0, :3], before[1, 0]))
        assert _dihedral(carbon[-2], *points[-1, :3]) == pytest.approx(_dihedral(before[-2, 2], *before[-1, :3]))


def test_beta_carbons_are_of_the_left_hand(sampler, drawn):
    for _, model in drawn:
        for label, name in zip(sampler.labels, sampler.names[:-1], strict=True):
            atoms = [find_atom(model, "H", int(label), atom) for atom in ("N", "C", "CB", "CA")]
            to_n, to_c, to_cb = model.positions[atoms[:3]] - model.positions[atoms[3]]
            assert np.cross(to_n, to_c) @ to_cb > 2.0
            assert np.linalg.norm(to_cb) == pytest.approx(1.530, abs=1e-9)
            angles = [np.degrees(np.arccos(arm @ to_cb / np.linalg.norm(arm) / 1.530)) for arm in (to_n, to_c)]
            assert angles == pytest.approx([103.0 if name == "PRO" else 110.5, 110.1], abs=1e-6)


def test_side_chains_keep_their_shape(sampler, drawn):
    model = sampler.model
    side = ~np.isin(model.atom_names, ["N", "CA", "C", "O", "CB"])
    inside = np.isin(np.arange(len(model)), sampler.atoms)
    for _, moved in drawn:
        for label in sampler.labels:
            atoms = inside & side & (model.residue_numbers == int(label))
            if atoms.sum() > 1:
                before, after = pdist(model.positions[atoms]), pdist(moved.positions[atoms])
                np.testing.assert_allclose(after, before, atol=1e-9)
        # Chi 1 of a lysine is what it was.
        for points in (model.positions, moved.positions):
            atoms = [find_atom(model, "H", 222, name) for name in ("N", "CA", "CB", "CG")]
            chi = _dihedral(*points[atoms])
            assert chi == pytest.approx(_dihedral(*model.positions[atoms]), abs=1e-9)


def test_fab_is_rigid_and_the_rest_stays(sampler, drawn):
    model = sampler.model
    fab = (model.chains == "L") | ((model.chains == "H") & (model.residue_numbers <= 213))
    linker = (model.chains == "H") & (model.residue_numbers >= 214) & (model.residue_numbers <= 243)
    np.testing.assert_array_equal(sampler.fab, fab)
    np.testing.assert_array_equal(sampler.atoms, np.flatnonzero(linker))
    some = np.flatnonzero(fab)[::7]
    for _, moved in drawn:
        np.testing.assert_allclose(pdist(moved.positions[some]), pdist(model.positions[some]), atol=1e-9)
        volumes = [
            np.linalg.det(points[some[1:4]] - points[some[0]]) for points in (moved.positions, model.positions)
        ]
        assert volumes[0] == pytest.approx(volumes[1], abs=1e-6)
        np.testing.assert_array_equal(moved.positions[~fab & ~linker], model.positions[~fab & ~linker])
        assert np.linalg.norm(moved.positions[fab] - model.positions[fab], axis=1).max() > 5


def _closest(sampler, model):
    """Least distance between heavy atoms of different parts, or of the linker itself, by brute force."""
    linker = np.isin(np.arange(len(model)), sampler.atoms)
    # Rank of each residue in its chain; the linker's neighbours in it are exempt.
    change = (model.residue_numbers[1:] != model.residue_numbers[:-1]) | (model.chains[1:] != model.chains[:-1])
    rank = np.concatenate([[0], np.cumsum(change)])
    parts = np.where(linker, 1, np.where(sampler.fab, 2, 0))
    moving = np.flatnonzero(parts > 0)
    least = np.inf
    for atoms in np.array_split(moving, 12):
        distances = cdist(model.positions[atoms], model.positions)
        exempt = parts[atoms][:, None] == parts[None]
        exempt &= ~(linker[atoms][:, None] & linker[None])
        chained = linker[atoms][:, None] | linker[None]
        exempt |= chained & (np.abs(rank[atoms][:, None] - rank[None]) <= 1)
        least = min(least, distances[~exempt].min())
    return least


def test_nothing_clashes(sampler, drawn):
    for _, model in drawn:
        assert _closest(sampler, model) >= sampler.clash_distance


def test_clashes_do_occur_without_the_search(sampler):
    """What the search rejects is there to be rejected, and the brute force sees it."""
    generator = stream(0, "plain draws")
    model = sampler.place(sampler.build(draw_dihedrals(sampler.names, generator)))
    assert _closest(sampler, model) < sampler.clash_distance


def test_a_state_depends_on_seed_and_number_alone(sampler, drawn):
    again = LinkerSampler(read_antibody())
    np.testing.assert_array_equal(again.draw(1).linker, drawn[1][0].linker)
    assert np.abs(again.draw(1, seed=1).linker - drawn[1][0].linker).max() > 1
    assert np.abs(drawn[0][0].linker - drawn[1][0].linker).max() > 1


def test_the_other_fab_can_hang_on_a_linker():
    sampler = LinkerSampler(read_antibody(), FabLinker("K", "M", 214, 232))
    model = sampler.place(sampler.draw(0))
    _check_ideal(sampler, model)
    assert set(model.chains[sampler.fab]) == {"K", "M"}
    assert _closest(sampler, model) >= sampler.clash_distance


def test_centres_and_dihedral(sampler, drawn):
    for _, model in drawn:
        fab = sampler.fab
        centres = [np.average(model.positions[part], axis=0, weights=model.weights[part]) for part in (fab, ~fab)]
        assert sampler.measure_distance(model) == pytest.approx(np.linalg.norm(centres[0] - centres[1]), abs=1e-9)
        hinge = [model.positions[find_atom(model, "H", number, "CA")] for number in (213, 244)]
        assert sampler.measure_dihedral(model) == pytest.approx(_dihedral(centres[0], *hinge, centres[1]), abs=1e-9)


def test_hydrogens_are_carried_and_never_clash(sampler, rng):
    """An amide hydrogen is rebuilt with its nitrogen; those that sit on other atoms keep nothing from fitting.

    Such are sixty about a residue of the linker, wherever that goes, and one of the Fab on the linker's first atom.
    """
    plain = read_antibody()
    row, far = find_atom(plain, "H", 235, "CA") + 1, find_atom(plain, "H", 100, "CA") + 1
    assert far < row
    index = np.insert(np.arange(len(plain)), [far] + 62 * [row], [far - 1] + 62 * [row - 1])
    arrays = {field.name: getattr(plain, field.name)[index] for field in fields(plain)}
    row += 1
    added = np.r_[far, row : row + 62]
    arrays["atom_names"][added] = ["HA", "H", "HA", *(f"H{number}" for number in range(60))]
    arrays["atomic_numbers"][added] = 1
    arrays["positions"][far] = plain.positions[find_atom(plain, "H", 214, "N")]
    arrays["positions"][row : row + 2] += [[0.6, 0.6, 0.5], [-0.6, 0.6, 0.7]]
    arrays["positions"][row + 2 : row + 62] += rng.uniform(-9, 9, (60, 3))
    hydrogenated = LinkerSampler(AtomicModel(**arrays))
    conformer = hydrogenated.draw(0)
    kept = hydrogenated.model.atomic_numbers[hydrogenated.atoms] > 1
    np.testing.assert_allclose(conformer.linker[kept], sampler.draw(0).linker)
    moved = hydrogenated.place(conformer)
    nitrogen, hydrogen = (moved.positions[find_atom(moved, "H", 235, name)] for name in ("N", "H"))
    before = moved.positions[find_atom(moved, "H", 232, "C")]
    alpha = moved.positions[find_atom(moved, "H", 235, "CA")]
    assert np.linalg.norm(hydrogen - nitrogen) == pytest.approx(1.01)
    assert _angle(hydrogen, nitrogen, before) == pytest.approx(_angle(hydrogen, nitrogen, alpha))
    assert _dihedral(before, alpha, nitrogen, hydrogen) == pytest.approx(np.pi, abs=1e-6)
    other = moved.positions[find_atom(moved, "H", 235, "HA")]
    assert np.linalg.norm(other - alpha) == pytest.approx(np.linalg.norm([-0.6, 0.6, 0.7]), abs=0.05)


def test_amide_hydrogen_lies_opposite_its_bonds():
    nitrogen, before, alpha = np.zeros((1, 3)), np.array([[1.3, 0, 0]]), np.array([[-0.7, 1.2, 0]])
    placed = place_amide_hydrogens(nitrogen, before, alpha)[0]
    assert placed[2] == 0
    assert placed[1] < 0
    assert np.linalg.norm(placed) == pytest.approx(1.01)


def _without(model, residue, names=None):
    """The antibody without a residue of chain H, or without some of its atoms."""
    gone = (model.chains == "H") & (model.residue_numbers == residue)
    if names:
        gone &= np.isin(model.atom_names, names)
    return model.select(~gone)


@pytest.mark.parametrize(
    ("linker", "message"),
    [
        (FabLinker(heavy="X"), "cannot find the linker: no chain 'X'.*its chains are H, K, L, M, A, B.*heavy_chain"),
        (FabLinker(light="X"), "cannot find the linker: no chain 'X'.*light_chain"),
        (FabLinker(first=243, last=214), "ends at 214, before it begins at 243"),
        (FabLinker(first=990, last=999), "has no residue between 990 and 999.*linker_first"),
        (FabLinker(first=1, last=20), "reaches an end of its chain.*farther inside"),
        (FabLinker(first=230, last=999), "reaches an end of its chain.*farther inside"),
    ],
)
def test_wrong_linkers(linker, message):
    with pytest.raises(ValueError, match=message):
        LinkerSampler(read_antibody(), linker)


def test_missing_residues_and_atoms():
    with pytest.raises(ValueError, match=r"interrupted between residues 222 and 226 of chain 'H': C and N are \d"):
        LinkerSampler(_without(read_antibody(), 225))
    with pytest.raises(ValueError, match=r"residue 225 of chain 'H' has no atom 'O'.*need N, CA, C and O"):
        LinkerSampler(_without(read_antibody(), 225, ["O"]))


def test_no_solution_says_how_far_it_came():
    sampler = LinkerSampler(read_antibody(), clash_distance=3.9)
    message = (
        r"state 3: no conformation of the linker H 214 to 243 without a clash in 40 tries.*reached [0-3]\.\d\d Å"
    )
    with pytest.raises(ValueError, match=message):
        sampler.draw(3, max_tries=40)


def test_real_antibody():
    model = read_antibody().centred()
    sampler = LinkerSampler(model)
    # The numbering has gaps that are none in the chain.
    assert sampler.labels[8:17] == ["222", "225", "226", "227", "228", "229", "230", "232", "235"]
    assert len(sampler.labels) == 25
    assert set(model.chains[sampler.fab]) == {"H", "L"}
    moved = sampler.place(sampler.draw(0))
    _check_ideal(sampler, moved)
    assert _closest(sampler, moved) >= sampler.clash_distance
    # Of the other heavy chain 236 to 238 were not located.
    with pytest.raises(ValueError, match="interrupted between residues 235 and 239 of chain 'K'"):
        LinkerSampler(model, FabLinker("K", "M"))


def test_beta_carbons_of_a_real_structure():
    model = read_antibody()
    rows = [
        [find_atom(model, "L", number, name) for name in ("N", "CA", "C", "CB")]
        for number in range(2, 214)
        if "CB" in model.atom_names[(model.chains == "L") & (model.residue_numbers == number)]
    ]
    points = model.positions[rows]
    placed = place_betas(points[:, :3], ["PRO" if model.residue_names[row[0]] == "PRO" else "ALA" for row in rows])
    assert np.sqrt(((placed - points[:, 3]) ** 2).sum(axis=1).mean()) < 0.1
