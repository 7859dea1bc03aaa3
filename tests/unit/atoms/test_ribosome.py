"""The made-up ribosomal subunit: A-form RNA, globular proteins, and how they lie beside one another."""

import numpy as np
import pytest
from scipy.spatial import KDTree

from cryobench import rng as streams
from cryobench.atoms.procedural import procedural_ribosome
from cryobench.atoms.procedural.globule import build_globule
from cryobench.atoms.procedural.ribosome_parts import PROTEINS, RNA_PIECES
from cryobench.atoms.procedural.rigid_bodies import push_apart
from cryobench.atoms.procedural.rna_helix import COMPLEMENTS, TEMPLATES, build_nucleotides


@pytest.fixture(scope="module")
def subunit():
    return procedural_ribosome()


def build_duplex(sequence):
    """Positions by (residue, atom name): the first strand is residues 0 to n - 1, residue r pairs with 2n - 1 - r."""
    count = len(sequence)
    letters = sequence + "".join(COMPLEMENTS[letter] for letter in reversed(sequence))
    places = np.concatenate([np.arange(count), np.arange(count)[::-1]]) - (count - 1) / 2
    frames, middle = np.tile(np.eye(3), (2 * count, 1, 1)), np.zeros((2 * count, 3))
    positions, sizes = build_nucleotides(letters, places, np.repeat([0, 1], count), frames, middle)
    names = [(residue, name) for residue, letter in enumerate(letters) for name in TEMPLATES[letter][0]]
    assert sizes.sum() == len(names)
    return letters, dict(zip(names, positions, strict=True))


def distance(atoms, first, second):
    return float(np.linalg.norm(atoms[first] - atoms[second]))


def test_strands_are_bonded_and_bases_paired():
    letters, atoms = build_duplex("GACUUAGC")
    count = len(letters) // 2
    for residue in [*range(count - 1), *range(count, 2 * count - 1)]:
        assert distance(atoms, (residue, "O3'"), (residue + 1, "P")) == pytest.approx(1.607, abs=0.02)
        assert distance(atoms, (residue, "P"), (residue + 1, "P")) == pytest.approx(5.9, abs=0.1)
    bonds = {"G": (("N1", "N3"), ("O6", "N4"), ("N2", "O2")), "A": (("N1", "N3"), ("N6", "O4"))}
    for residue, letter in enumerate(letters):
        for donor, acceptor in bonds.get(letter, ()):
            assert distance(atoms, (residue, donor), (2 * count - 1 - residue, acceptor)) == pytest.approx(
                2.95, abs=0.15
            )


def test_sugar_is_d_ribose_bonded_to_its_base():
    letters, atoms = build_duplex("GACU")
    bonds = "P O5', O5' C5', C5' C4', C4' C3', C3' C2', C2' C1', C1' O4', O4' C4', C3' O3', C2' O2', P OP1, P OP2"
    for residue, letter in enumerate(letters):
        for pair in bonds.split(", "):
            first, second = pair.split()
            assert 1.38 < distance(atoms, (residue, first), (residue, second)) < 1.63, pair
        base = "N9" if letter in "AG" else "N1"
        assert distance(atoms, (residue, "C1'"), (residue, base)) == pytest.approx(1.47, abs=0.03)
        # Base and C5' point to one side of the ring, both hydroxyls to the other. Of D-ribose the first is the side
        # from which C1', C2', C3', C4' follow one another clockwise (Haworth: oxygen behind, C1' right, base up).
        carbons = [atoms[residue, name] for name in ("C1'", "C2'", "C3'", "C4'")]
        downward = np.cross(carbons[1] - carbons[0], carbons[3] - carbons[0])
        outward = (base, "O2'", "O3'", "C5'")
        heights = [(atoms[residue, name] - carbon) @ downward for name, carbon in zip(outward, carbons, strict=True)]
        assert np.sign(heights).tolist() == [-1, 1, 1, -1]


@pytest.mark.parametrize("residues", [38, 117, 273])
def test_globule_has_the_length_asked_for_and_no_overlap(residues):
    globule = build_globule(residues, streams.stream(5, "globule"))
    assert len(globule.kinds) == len(globule.numbers) == residues
    assert len(globule.atom_names) == len(globule.positions)
    assert (np.diff(globule.numbers) > 0).all()
    pairs = KDTree(globule.positions).query_pairs(2.3, output_type="ndarray")
    owners = globule.residues[pairs]
    # Side chains keep 2.5 Å; a loop's main chain may come a little nearer.
    assert (np.abs(owners[:, 0] - owners[:, 1]) > 1).sum() < 0.02 * residues
    radius = np.sqrt((globule.positions**2).sum(axis=1).mean())
    assert radius < 1.5 * 2.2 * residues**0.38  # of folded proteins: 2.2 n^0.38 Å (Skolnick and Kolinski)


def test_bodies_are_pushed_apart_as_rigid_bodies():
    cube = np.stack(np.meshgrid(*[np.arange(4) * 2.0] * 3), axis=-1).reshape(-1, 3)
    start = np.concatenate([cube, cube + np.array([5.0, 0.3, 0.2]), cube + np.array([40.0, 0.0, 0.0])])
    bodies = np.repeat([0, 1, 2], len(cube))
    moved = push_apart(start, bodies, 3.0, 20)
    assert KDTree(moved[bodies == 0]).query(moved[bodies == 1])[0].min() > 2.9
    for body in range(3):
        before, after = start[bodies == body], moved[bodies == body]
        lengths = [np.linalg.norm(part[:, None] - part[None], axis=2) for part in (before, after)]
        np.testing.assert_allclose(lengths[0], lengths[1], atol=1e-9)
    np.testing.assert_allclose(moved[bodies == 2], start[bodies == 2], atol=1e-12)


def test_size_and_mass_are_those_of_a_large_subunit(subunit):
    assert 1200 < subunit.model.mass_with_hydrogens / 1000 < 1400
    width = np.ptp(subunit.model.positions, axis=0)
    assert ((width > 190) & (width < 265)).all()
    np.testing.assert_allclose(subunit.model.centre_of_mass, 0, atol=1e-3)
    # The radius of gyration of the real subunit is 75 Å or so; a loose heap of helices would have more.
    squares = (subunit.model.positions**2).sum(axis=1)
    assert 70 < np.sqrt(subunit.model.weights @ squares / subunit.model.mass) < 84


def test_every_component_is_whole(subunit):
    model = subunit.model
    assert subunit.names == tuple(piece.name for piece in RNA_PIECES) + tuple(part.name for part in PROTEINS)
    sizes = [piece.nucleotides for piece in RNA_PIECES] + [part.residues for part in PROTEINS]
    keys = np.char.add(np.char.add(model.chains, " "), model.residue_numbers.astype(str))
    for index, size in enumerate(sizes):
        assert len(np.unique(keys[subunit.components == index])) == size
    assert len(np.unique(keys)) == sum(sizes)
    is_rna = subunit.components < len(RNA_PIECES)
    assert set(model.residue_names[is_rna]) == set("ACGU")
    for letter, count in (("P", 3020), ("N", None), ("C", None), ("O", None)):
        chosen = np.char.startswith(model.atom_names[is_rna], letter)
        numbers = set(model.atomic_numbers[is_rna][chosen].tolist())
        assert numbers == {{"P": 15, "N": 7, "C": 6, "O": 8}[letter]}
        assert count is None or chosen.sum() == count


def test_components_do_not_overlap(subunit):
    pairs = KDTree(subunit.model.positions).query_pairs(2.9, output_type="ndarray")
    owners = subunit.components[pairs]
    assert (owners[:, 0] == owners[:, 1]).all()


def test_proteins_touch_the_rna_they_bind(subunit):
    for number, part in enumerate(PROTEINS, start=len(RNA_PIECES)):
        bound = subunit.names.index(part.binds)
        own, other = (subunit.model.positions[subunit.components == index] for index in (number, bound))
        assert KDTree(other).query(own)[0].min() < 7.0, part.name


def test_it_is_the_same_every_time(subunit):
    again = procedural_ribosome.__wrapped__()
    np.testing.assert_array_equal(again.model.positions, subunit.model.positions)
    np.testing.assert_array_equal(again.model.residue_names, subunit.model.residue_names)
