"""Ribosembly: the assembly graph, counts, the embedding, and states from files."""

from pathlib import Path

import gemmi
import numpy as np
import pytest
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree
from scipy.spatial.transform import Rotation

from cryobench.atoms import write_structure
from cryobench.recipes.published import RIBOSEMBLY_COUNTS
from cryobench.recipes.ribosembly import RECIPE, RibosemblySettings
from cryobench.recipes.states.composition import apportion, embed_composition, find_growth

CHOSEN = (0, 2, 5, 15)
"""States that the tests write as files."""


@pytest.fixture(scope="module")
def growing():
    return RECIPE.ensemble(RibosemblySettings(), [])


def square_distances(embedding):
    return ((embedding[:, None] - embedding[None]) ** 2).sum(axis=2)


# ------------------------------------------------------------------------------------ the procedural subunit


def test_published_counts_are_met_exactly(growing):
    assert growing.counts.tolist() == list(RIBOSEMBLY_COUNTS)
    assert growing.counts.sum() == 335_240
    assert len(set(growing.counts.tolist())) == 16


def test_every_edge_adds_components_and_mass(growing):
    components, masses = growing.components, growing.variables["mass"].values
    assert len(components.edges) == 21
    for before, after in components.edges:
        gained = components.occupancies[after] - components.occupancies[before]
        assert (gained >= 0).all()
        assert gained.any()
        assert masses[after] > masses[before] + 50
    assert (np.diff(masses) > 0).all()
    assert 280 < masses[0] < 320
    assert 1200 < masses[-1] < 1400


def test_graph_leads_from_the_first_state_through_all_to_the_last(growing):
    edges = growing.components.edges
    reached, reaching = {0}, {15}
    for before, after in edges[np.lexsort((edges[:, 0], edges[:, 1]))].tolist():
        if before in reached:
            reached.add(after)
    for before, after in sorted(edges.tolist(), reverse=True):
        if after in reaching:
            reaching.add(before)
    assert reached == reaching == set(range(16))
    # The graph is that of inclusion: no edge leaps over a state, none is left out but between unlike paths.
    drawn = {tuple(edge) for edge in edges.tolist()}
    inclusion = find_growth(growing.components.occupancies, growing.variables["mass"].values, 0.0)
    assert drawn == {tuple(edge) for edge in inclusion.tolist()}


def test_occupancies_are_what_the_atoms_show(growing):
    def residues(model):
        return set(zip(model.chains.tolist(), model.residue_numbers.tolist(), strict=True))

    parts = [
        residues(growing.whole.select(growing.owners == number)) for number in range(len(growing.components.names))
    ]
    assert sum(map(len, parts)) == len(set().union(*parts))
    for state in range(16):
        model = growing.model(state)
        shown = residues(model)
        found = [len(part & shown) / len(part) for part in parts]
        np.testing.assert_array_equal(found, growing.components.occupancies[state])
        assert len(shown) == sum(len(part & shown) for part in parts)
        mass = growing.variables["mass"].values[state]
        assert model.mass_with_hydrogens / 1000 == pytest.approx(mass, abs=1e-6)  # as it is rounded
        assert growing.variables["components"].values[state] == sum(value > 0 for value in found)


def test_states_have_unique_names_and_compositions(growing):
    assert len(set(growing.state_names)) == 16
    assert len(np.unique(growing.components.occupancies, axis=0)) == 16
    assert growing.components.occupancies[-1].all()


def test_every_state_hangs_together(growing):
    count = len(growing.components.names)
    trees = [KDTree(growing.whole.positions[growing.owners == number]) for number in range(count)]
    touching = np.array([[one.count_neighbors(other, 6.0) > 0 for other in trees] for one in trees])
    for present in growing.components.occupancies > 0:
        assert connected_components(touching[np.ix_(present, present)])[0] == 1


def test_squared_distance_is_the_mass_that_differs(growing):
    masses = [growing.whole.select(growing.owners == number).mass_with_hydrogens / 1000 for number in range(42)]
    presence = growing.components.occupancies
    differing = np.abs(presence[:, None] - presence[None]) @ np.array(masses)
    np.testing.assert_allclose(square_distances(growing.embedding), differing, atol=1e-4)  # rounded coordinates
    spread = growing.embedding.std(axis=0)
    assert (np.diff(spread) <= 1e-9).all()
    assert (growing.embedding[-1][:3] > 0).all()


def test_molecule_turned_any_way_fits_the_paper_box(growing):
    reach = np.linalg.norm(growing.whole.positions, axis=1).max()
    assert reach < 384 / 2 - 30


def test_states_are_built_alike_every_time(growing):
    again = RECIPE.ensemble(RibosemblySettings(), [])
    np.testing.assert_array_equal(again.model(6).positions, growing.model(6).positions)
    np.testing.assert_array_equal(again.embedding, growing.embedding)


def test_a_protein_never_comes_before_the_rna_it_binds(growing):
    from cryobench.atoms.procedural.ribosome_parts import PROTEINS

    names = list(growing.components.names)
    for part in PROTEINS:
        protein, bound = (growing.components.occupancies[:, names.index(name)] for name in (part.name, part.binds))
        assert (protein <= bound).all(), part.name


# --------------------------------------------------------------------------------------------- how many images


@pytest.mark.parametrize("total", [16, 17, 100, 1000, 16_000, 335_239])
def test_images_are_shared_in_proportion(total):
    counts = apportion(total, RIBOSEMBLY_COUNTS)
    exact = total * np.array(RIBOSEMBLY_COUNTS) / sum(RIBOSEMBLY_COUNTS)
    assert counts.sum() == total
    assert counts.min() >= 1
    if exact.min() >= 1:
        assert np.abs(counts - exact).max() < 1


def test_remainders_go_to_the_largest_fractions():
    assert apportion(10, (1.4, 3.3, 5.3)).tolist() == [2, 3, 5]
    assert apportion(5, (1, 1, 1000)).tolist() == [1, 1, 3]


def test_weights_and_totals_that_cannot_be_are_refused(growing):
    with pytest.raises(ValueError, match="positive"):
        apportion(10, (1, 0))
    with pytest.raises(ValueError, match="at least 16"):
        RECIPE.ensemble(RibosemblySettings(n_images=15), [])
    with pytest.raises(ValueError, match="weights has 3 numbers for 16 states"):
        RECIPE.ensemble(RibosemblySettings(weights=(1, 2, 3)), [])
    weighted = RECIPE.ensemble(RibosemblySettings(n_images=1600, weights=tuple([1.0] * 16)), [])
    assert weighted.counts.tolist() == [100] * 16


# ------------------------------------------------------------------------------------------------- composition


def test_embedding_of_two_alike_states_coincides():
    embedding = embed_composition(np.array([[1, 0, 0], [1, 0, 0], [1, 1, 1]], dtype=bool), np.array([9.0, 4.0, 5.0]))
    np.testing.assert_allclose(square_distances(embedding)[0], [0, 0, 9], atol=1e-12)
    assert embedding.shape == (3, 1)


def test_growth_is_drawn_without_short_cuts():
    occupancies = np.array([[1, 0, 0], [1, 0.5, 0], [0.98, 0.5, 1], [1, 0, 1], [0, 1, 0]])
    masses = np.array([10.0, 12.0, 15.0, 13.0, 4.0])
    edges = {tuple(edge) for edge in find_growth(occupancies, masses, 0.03).tolist()}
    assert edges == {(0, 1), (0, 3), (1, 2), (3, 2)}
    assert (1, 2) not in {tuple(edge) for edge in find_growth(occupancies, masses, 0.01).tolist()}


# ---------------------------------------------------------------------------------------------- states from files


def outline(model, chains=None):
    """Few atoms of every residue: what fixes its place, and that it is one; of some chains only."""
    kept = np.isin(model.atom_names, ("P", "C4'", "N", "CA", "C"))
    return model.select(kept if chains is None else kept & np.isin(model.chains, chains))


@pytest.fixture(scope="module")
def outlines(growing):
    # Few enough chains and residues to be quick, and most of the rRNA.
    models = [outline(growing.model(state), list("ABCFGJLUXYZ")) for state in CHOSEN]
    return [model.select(model.residue_numbers % 4 == 0) for model in models]


@pytest.fixture(scope="module")
def files(outlines, tmp_path_factory):
    folder = tmp_path_factory.mktemp("states")
    paths = [folder / f"state-{number}.cif" for number in CHOSEN]
    for index, (model, path) in enumerate(zip(outlines, paths, strict=True)):
        turn = Rotation.from_rotvec([0.3, -1.0, 0.2]).as_matrix()
        write_structure(model.transformed(turn, np.array([80.0, 5.0, -9.0])) if index == 1 else model, path)
    return paths


def describe(path: Path, out: Path, names: dict[str, str], title: str = "", entry: str = "model") -> Path:
    """Give an mmCIF file a title and names of its chains' molecules."""
    document = gemmi.cif.read(str(path))
    structure = gemmi.make_structure_from_block(document[0])
    structure.setup_entities()
    structure.name = entry
    structure.info["_entry.id"] = entry
    structure.info["_struct.title"] = title
    fresh = structure.make_mmcif_document()
    table = fresh[0].find("_entity.", ["id", "type"])
    owner = {}
    for chain in structure[0]:
        entity = structure.get_entity_of(chain.get_polymer())
        assert entity is not None
        owner[entity.name] = names.get(chain.name, "")
    rows = [(row[0], row[1], gemmi.cif.quote(owner.get(row[0]) or "?")) for row in table]
    table.erase()
    loop = fresh[0].init_loop("_entity.", ["id", "type", "pdbx_description"])
    for row in rows:
        loop.add_row(list(row))
    fresh.write_file(str(out))
    return out


def read(paths, **settings):
    return RECIPE.ensemble(RibosemblySettings(**{"n_images": 400, **settings}), paths)


def test_states_from_files_are_those_that_were_written(files, outlines):
    states = read(files)
    assert list(states.state_names) == [f"state-{number}" for number in CHOSEN]
    centre = outlines[-1].centre_of_mass
    for index, model in enumerate(outlines):
        # The second file lies elsewhere: it was brought back.
        np.testing.assert_allclose(states.model(index).positions, model.positions - centre, atol=3e-3)
        assert states.variables["mass"].values[index] == pytest.approx(model.mass_with_hydrogens / 1000)
    np.testing.assert_allclose(states.model(3).centre_of_mass, 0, atol=1e-6)
    assert states.counts.tolist() == [100] * 4


def test_occupancy_of_rna_from_files_is_its_modelled_fraction(files, outlines):
    states = read(files)
    numbers = [len(np.unique(model.residue_numbers[model.chains == "A"])) for model in outlines]
    large = states.components.names.index("chain A")
    np.testing.assert_allclose(states.components.occupancies[:, large], np.array(numbers) / numbers[-1])
    for chain in "BCFGJLUXYZ":
        column = states.components.occupancies[:, states.components.names.index(f"chain {chain}")]
        assert column.tolist() == [float(chain in model.chains) for model in outlines], chain
    assert {tuple(edge) for edge in states.components.edges.tolist()} == {(0, 1), (1, 2), (2, 3)}


def test_squared_distance_from_files_is_the_mass_of_residues_that_differ(files, outlines):
    squares = square_distances(read(files).embedding)
    weights = [model.mass_with_hydrogens / 1000 for model in outlines]
    # All residues of a state are also in the next one, with the same atoms.
    for one in range(4):
        for other in range(one):
            assert squares[one, other] == pytest.approx(weights[one] - weights[other], abs=1e-4)


def test_chains_are_matched_by_the_names_of_their_molecules(files, outlines, tmp_path):
    names = {chain: f"50S ribosomal protein {chain}" for chain in "CFGJLUXYZ"} | {"A": "23S rRNA", "B": "5S rRNA"}
    first = describe(files[2], tmp_path / "8C92.cif", names, "A ribosome", "8C92")
    # Other chain names, other kinds of residues: only the molecules' names are left to go by.
    model = outlines[3]
    swapped = {"A": "A", "C": "F", "F": "C"}
    renamed = model.__class__(
        **{
            **{name: getattr(model, name) for name in model.__dataclass_fields__},
            "chains": np.array([swapped.get(chain, chain) for chain in model.chains.tolist()]),
            "residue_names": np.where(np.isin(model.chains, ["C", "F"]), "ALA", model.residue_names),
        }
    )
    write_structure(renamed, tmp_path / "plain.cif")
    second = describe(
        tmp_path / "plain.cif", tmp_path / "8C9C.cif", {swapped.get(key, key): name for key, name in names.items()}
    )
    states = read([first, second])
    assert list(states.state_names) == ["8C92", "8C9C"]
    assert set(states.components.names) == set(names.values())
    for chain in "CF":
        column = states.components.names.index(names[chain])
        present = [chain in outlines[2].chains, True]
        assert states.components.occupancies[:, column].tolist() == [float(each) for each in present]


def test_chains_of_other_names_are_matched_by_their_residues(files, outlines, tmp_path):
    model = outlines[3]
    other = dict(zip("ABCFGJLUXYZ", "KMNOPQRSTVW", strict=True))
    renamed = model.__class__(
        **{
            **{name: getattr(model, name) for name in model.__dataclass_fields__},
            "chains": np.array([other[chain] for chain in model.chains.tolist()]),
        }
    )
    write_structure(renamed, tmp_path / "renamed.cif")
    states = read([files[2], tmp_path / "renamed.cif"])
    assert len(states.components.names) == 11
    assert states.components.occupancies[0].sum() < 11
    np.testing.assert_array_equal(states.components.occupancies[1], np.ones(11))


def test_pdb_files_name_their_molecules_too(outlines, tmp_path):
    paths = []
    for index in (2, 3):
        path = tmp_path / f"{index}.pdb"
        write_structure(outlines[index], path)
        compound = "COMPND    MOL_ID: 1;\nCOMPND   2 MOLECULE: 23S RRNA;\nCOMPND   3 CHAIN: A;\n"
        path.write_text(compound + path.read_text())
        paths.append(path)
    assert "23S RRNA" in read(paths).components.names


def test_files_of_the_same_name_are_told_apart_by_their_folders(files, tmp_path):
    paths = []
    for folder, source in zip(("early", "late"), files[:2], strict=True):
        (tmp_path / folder).mkdir()
        paths.append(tmp_path / folder / "model.cif")
        paths[-1].write_bytes(source.read_bytes())
    assert list(read(paths).state_names) == ["early/model", "late/model"]


def test_weights_of_states_from_files_can_be_given(files):
    assert read(files, weights=(1, 2, 3, 4)).counts.tolist() == [40, 80, 120, 160]
    with pytest.raises(ValueError, match="weights has 2 numbers for 4 states"):
        read(files, weights=(1, 2))


def test_sixteen_files_have_the_published_counts_in_their_order(growing, tmp_path):
    paths = [tmp_path / f"{state:02d}.cif" for state in range(16)]
    for state, path in enumerate(paths):
        model = outline(growing.model(state))
        write_structure(model.select(model.residue_numbers % 10 == 0), path)
    # The order is the user's: the last state comes first here.
    states = RECIPE.ensemble(RibosemblySettings(), paths[::-1])
    assert states.counts.tolist() == list(RIBOSEMBLY_COUNTS)
    assert states.state_names[0] == "15"
    assert (states.components.occupancies[0] == 1).all()


def test_structures_that_are_no_states_are_refused(files, outlines, tmp_path):
    with pytest.raises(ValueError, match="at least two states, got 1"):
        read(files[:1])
    copy = tmp_path / "copy.cif"
    copy.write_bytes(files[0].read_bytes())
    with pytest.raises(ValueError, match=r"state-0.cif and .*copy.cif hold the same atoms"):
        read([*files, copy])
    write_structure(outlines[0].select(np.isin(outlines[0].chains, ["F", "G"])), tmp_path / "protein.cif")
    with pytest.raises(ValueError, match=r"protein.cif holds no RNA.*F \(protein\)"):
        read([*files, tmp_path / "protein.cif"])
    other = describe(files[0], tmp_path / "1ABC.cif", {}, "Some ribosome", "1XYZ")
    with pytest.raises(ValueError, match=r"1ABC.cif states that it is entry 1XYZ"):
        read([*files, other])
    virus = describe(files[0], tmp_path / "virus.cif", {"A": "genome", "F": "capsid"}, "A virus")
    with pytest.raises(ValueError, match="not a ribosomal subunit according to its title 'A virus'"):
        read([*files, virus])


def test_structures_that_do_not_superpose_are_refused(files, outlines, tmp_path, rng):
    model = outlines[0]
    shuffled = model.with_positions(model.positions[rng.permutation(len(model))])
    write_structure(shuffled, tmp_path / "shuffled.cif")
    with pytest.raises(ValueError, match=r"shuffled.cif and the most complete state.*differ by"):
        read([*files, tmp_path / "shuffled.cif"])
    moved = model.__class__(
        **{
            **{name: getattr(model, name) for name in model.__dataclass_fields__},
            "residue_numbers": model.residue_numbers + 5000,
        }
    )
    write_structure(moved.transformed(np.eye(3), np.ones(3)), tmp_path / "renumbered.cif")
    with pytest.raises(ValueError, match=r"renumbered.cif has 0 P and C4' atoms"):
        read([*files, tmp_path / "renumbered.cif"])
