"""The recipe IgG-RL: its truth measured anew, states in any order, and what it refuses."""

import pickle

import gemmi
import numpy as np
import pytest

from cryobench.atoms import find_atom, write_structure
from cryobench.recipes import get_recipe
from cryobench.recipes.simulate import build_settings


def _ensemble(structures=(), **changes):
    recipe = get_recipe("igg-rl")
    settings = build_settings(recipe, "tiny", {"n_states": 3, **changes})
    return recipe.ensemble(settings, recipe.choose_structures(structures))


@pytest.fixture(scope="module")
def ensemble():
    return _ensemble()


def _parts(model):
    fab = (model.chains == "L") | ((model.chains == "H") & (model.residue_numbers <= 213))
    return fab, [np.average(model.positions[part], axis=0, weights=model.weights[part]) for part in (fab, ~fab)]


def test_dihedral_and_distance(ensemble):
    for state in range(3):
        model = ensemble.model(state)
        _, centres = _parts(model)
        hinge = [model.positions[find_atom(model, "H", number, "CA")] for number in (213, 244)]
        points = (gemmi.Position(*point) for point in (centres[0], *hinge, centres[1]))
        dihedral = ensemble.variables["dihedral"]
        assert dihedral.values[state] == pytest.approx(gemmi.calculate_dihedral(*points) % (2 * np.pi), abs=1e-6)
        assert (dihedral.unit, dihedral.period) == ("rad", 2 * np.pi)
        distance = ensemble.variables["distance"]
        assert distance.values[state] == pytest.approx(np.sqrt(((centres[0] - centres[1]) ** 2).sum()), abs=1e-6)
        assert (distance.unit, distance.period) == ("Å", None)


def test_every_dihedral_of_the_linker_is_a_variable(ensemble, tmp_path):
    """Measured by gemmi in the file written."""
    residues = np.unique(ensemble.sampler.model.residue_numbers[ensemble.sampler.model.chains == "H"])
    linker = residues[(residues >= 214) & (residues <= 243)]
    wanted = {f"{name}-{number}" for name in ("phi", "psi", "omega") for number in linker} | {"omega-213"}
    assert set(ensemble.variables) == wanted | {"dihedral", "distance"}
    write_structure(ensemble.model(1), tmp_path / "state.cif")
    chain = gemmi.read_structure(str(tmp_path / "state.cif"))[0]["H"]
    by_number = {residue.seqid.num: residue for residue in chain}
    order = residues.tolist()
    for number in linker.tolist():
        place = order.index(number)
        before, after = by_number[order[place - 1]], by_number[order[place + 1]]
        phi, psi = gemmi.calculate_phi_psi(before, by_number[number], after)
        omega = gemmi.calculate_omega(by_number[number], after)
        for name, value in (("phi", phi), ("psi", psi), ("omega", omega)):
            variable = ensemble.variables[f"{name}-{number}"]
            assert variable.period == 2 * np.pi
            assert np.exp(1j * variable.values[1]) == pytest.approx(np.exp(1j * value), abs=0.01), (name, number)


def test_distance_in_the_embedding_is_that_of_the_fabs(ensemble):
    models = [ensemble.model(state) for state in range(3)]
    fab, _ = _parts(models[0])
    for one, other in ((0, 1), (0, 2), (1, 2)):
        apart = models[one].positions[fab] - models[other].positions[fab]
        embedded = np.linalg.norm(ensemble.embedding[one] - ensemble.embedding[other])
        assert embedded == pytest.approx(np.sqrt((apart**2).sum(axis=1).mean()), rel=1e-7)


def test_states_do_not_depend_on_order_number_or_copy(ensemble):
    fewer = _ensemble(n_states=2, images_per_state=7)
    fewer.variables  # noqa: B018 - all states are made before the first is asked for
    copy = pickle.loads(pickle.dumps(fewer))
    for state in (1, 0):
        np.testing.assert_array_equal(copy.model(state).positions, ensemble.model(state).positions)
    np.testing.assert_array_equal(copy.counts, [7, 7])
    other = _ensemble(n_states=1, ensemble_seed=1)
    assert np.abs(other.model(0).positions - ensemble.model(0).positions).max() > 5


def test_it_refuses_what_it_cannot_do(tmp_path):
    with pytest.raises(ValueError, match="give one structure, got 2"):
        _ensemble([tmp_path / "a.pdb", tmp_path / "b.pdb"])
    with pytest.raises(ValueError, match=r"atoms lie outside the box.*use at least"):
        _ensemble(box_size=8).model(0)
    with pytest.raises(ValueError, match=r"state 0: no conformation of the linker H 214 to 243.*raise max_tries"):
        _ensemble(max_tries=1).model(0)
    with pytest.raises(ValueError, match="no chain 'Q'"):
        _ensemble(heavy_chain="Q").model(0)
