"""The atomic model: checked once, read-only, selected by names, moved rigidly."""

import gemmi
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from cryobench.atoms import AtomicModel, find_atom, list_chains, select_residues


def _make_model(rng: np.random.Generator, count: int = 12) -> AtomicModel:
    half = count // 2
    return AtomicModel(
        positions=rng.normal(size=(count, 3)),
        atomic_numbers=rng.choice([6, 7, 8, 16], count),
        b_factors=np.zeros(count),
        occupancies=np.ones(count),
        chains=np.repeat(["H", "L"], [half, count - half]),
        residue_numbers=np.arange(count) // 2 + 1,
        insertion_codes=np.full(count, ""),
        residue_names=np.full(count, "GLY"),
        atom_names=np.resize(["N", "CA"], count),
    )


def test_arrays_are_copied_and_read_only(rng):
    positions = rng.normal(size=(3, 3))
    model = AtomicModel.from_positions(positions, np.array([6, 7, 8]))
    positions[:] = 0
    assert model.positions.any()
    with pytest.raises(ValueError, match="read-only"):
        model.positions[0] = 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"positions": np.zeros((0, 3))}, "at least one atom"),
        ({"positions": np.zeros((3, 3))}, "12 entries|atomic_numbers has 12 entries for 3"),
        ({"atomic_numbers": np.zeros(12, dtype=int)}, r"between 1 and 118, got \[0\]"),
        ({"chains": np.array(["H"])}, "chains has 1 entries for 12"),
    ],
)
def test_bad_models_are_refused(rng, change, message):
    model = _make_model(rng)
    with pytest.raises(ValueError, match=message):
        AtomicModel(**({name: getattr(model, name) for name in model.__dataclass_fields__} | change))


def test_positions_that_are_not_finite_are_refused(rng):
    model = _make_model(rng)
    positions = model.positions.copy()
    positions[4, 1] = np.nan
    with pytest.raises(ValueError, match="1 atoms are not finite, the first at index 4"):
        model.with_positions(positions)


def test_mass_is_the_sum_of_gemmi_weights(rng):
    model = _make_model(rng)
    expected = sum(gemmi.Element(int(number)).weight for number in model.atomic_numbers)
    assert model.mass == pytest.approx(expected)


def test_hydrogens_are_added_to_heavy_atom_models_only():
    # Glycine within a chain is C2 H3 N O: three hydrogens.
    heavy = AtomicModel(
        positions=np.arange(12.0).reshape(4, 3),
        atomic_numbers=np.array([7, 6, 6, 8]),
        b_factors=np.zeros(4),
        occupancies=np.ones(4),
        chains=np.full(4, "A"),
        residue_numbers=np.full(4, 7),
        insertion_codes=np.full(4, ""),
        residue_names=np.full(4, "GLY"),
        atom_names=np.array(["N", "CA", "C", "O"]),
    )
    assert heavy.mass_with_hydrogens == pytest.approx(57.05, abs=0.01)
    with_hydrogen = AtomicModel(
        **{name: getattr(heavy, name) for name in heavy.__dataclass_fields__}
        | {"atomic_numbers": np.array([7, 6, 6, 1])}
    )
    assert with_hydrogen.mass_with_hydrogens == with_hydrogen.mass


def test_centring_puts_the_centre_of_mass_at_the_origin(rng):
    model = _make_model(rng).transformed(np.eye(3), np.array([5.0, -7.0, 9.0]))
    witness = gemmi.Model(1)
    chain = gemmi.Chain("A")
    residue = gemmi.Residue()
    for position, number in zip(model.positions, model.atomic_numbers, strict=True):
        atom = gemmi.Atom()
        atom.pos = gemmi.Position(*position)
        atom.element = gemmi.Element(int(number))
        atom.occ = 1.0
        residue.add_atom(atom)
    chain.add_residue(residue)
    witness.add_chain(chain)
    np.testing.assert_allclose(model.centre_of_mass, witness.calculate_center_of_mass().tolist(), atol=1e-9)
    np.testing.assert_allclose(model.centred().centre_of_mass, 0, atol=1e-12)


def test_transform_acts_on_x_y_z_columns_and_only_inside_the_mask(rng):
    model = _make_model(rng)
    rotation = Rotation.random(rng=rng)
    translation = np.array([1.0, 2.0, 3.0])
    mask = model.chains == "L"
    moved = model.transformed(rotation.as_matrix(), translation, mask)
    np.testing.assert_allclose(moved.positions[mask], rotation.apply(model.positions[mask]) + translation)
    np.testing.assert_array_equal(moved.positions[~mask], model.positions[~mask])


def test_a_mirror_is_no_rotation(rng):
    with pytest.raises(ValueError, match="proper orthogonal"):
        _make_model(rng).transformed(np.diag([1.0, 1.0, -1.0]))


def test_selection_by_chain_and_residues(rng):
    model = _make_model(rng)
    assert list_chains(model) == ["H", "L"]
    assert select_residues(model, "H", 2, 3).sum() == 4
    assert select_residues(model, "L").sum() == 6
    assert model.select(select_residues(model, "L")).chains.tolist() == ["L"] * 6
    assert find_atom(model, "H", 2, "CA") == 3


def test_missing_parts_are_named(rng):
    model = _make_model(rng)
    with pytest.raises(ValueError, match="no chain 'Z' in the structure; its chains are H, L"):
        select_residues(model, "Z")
    with pytest.raises(ValueError, match="residues run from 1 to 3"):
        select_residues(model, "H", 10, 20)
    with pytest.raises(ValueError, match="no atom 'CB'"):
        find_atom(model, "H", 2, "CB")
    with pytest.raises(ValueError, match="none of the model's 12 atoms"):
        model.select(np.zeros(12, dtype=bool))
