"""Structures of the user's own: how many images of each, where they lie, and what their variables are called."""

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.transform import Rotation

from cryobench._errors import FormatError
from cryobench.atoms import AtomicModel, write_structure
from cryobench.io.formats.xtc import write_frames
from cryobench.io.store import load_dataset
from cryobench.recipes import FrameEnsemble
from cryobench.recipes.custom import RECIPE, CustomSettings
from cryobench.recipes.simulate import simulate
from cryobench.recipes.spike_md import RECIPE as SPIKE_MD
from cryobench.recipes.spike_md import SpikeMdSettings
from cryobench.recipes.states.variables_file import read_variables
from pdb_text import HELIX_ATOMS, helix_lines, helix_positions, write_pdb


@pytest.fixture
def models(rng):
    """Three structures of different size, off the origin, that share residues 1 to 20."""
    found = []
    course = np.cumsum(rng.normal(size=(30, 3)) * 3, axis=0) + np.array([40.0, -20.0, 100.0])
    for count in (20, 25, 30):
        bare = AtomicModel.from_positions(course[:count], np.full(count, 6))
        names = np.full(count, "CA")
        fields = {name: getattr(bare, name) for name in bare.__dataclass_fields__}
        found.append(AtomicModel(**{**fields, "atom_names": names, "residue_names": np.full(count, "ALA")}))
    return found


@pytest.fixture
def files(models, tmp_path):
    paths = [tmp_path / "small.pdb", tmp_path / "middle.cif", tmp_path / "more" / "small.cif.gz"]
    paths[2].parent.mkdir()
    for model, path in zip(models, paths, strict=True):
        write_structure(model, path)
    return paths


def build(files, **settings):
    return RECIPE.ensemble(CustomSettings(**settings), files)


def test_images_are_shared_by_weight(files):
    ensemble = build(files, n_images=1000, weights=[7, 2, 1])
    assert ensemble.counts.tolist() == [700, 200, 100]
    assert ensemble.state_names == ("small", "middle", "small (2)")
    assert build(files, n_images=9).counts.tolist() == [3, 3, 3]
    assert build(files[:1], n_images=5).counts.tolist() == [5]


def test_weights_that_do_not_fit_are_told(files):
    for bad in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=r"state middle has weight .*Leave out"):
            build(files, weights=[0.5, bad, 0.5])
    with pytest.raises(ValueError, match=r"2 numbers for 3 states \(small, middle, small \(2\)\)"):
        build(files, weights=[0.5, 0.5])


def test_structures_keep_their_place_to_each_other(files, models):
    ensemble = build(files)
    np.testing.assert_allclose(ensemble.model(0).centre_of_mass, 0, atol=1e-6)
    for state, model in enumerate(models):
        np.testing.assert_allclose(
            ensemble.model(state).positions, model.positions - models[0].centre_of_mass, atol=2e-3
        )


def test_each_may_be_centred(files):
    ensemble = build(files, centre="each")
    for state in range(3):
        np.testing.assert_allclose(ensemble.model(state).centre_of_mass, 0, atol=1e-6)


def test_superposition_is_on_what_is_shared(files, models, rng, tmp_path):
    turned = models[2].transformed(Rotation.random(rng=rng).as_matrix(), np.array([5.0, 60.0, -9.0]))
    write_structure(turned, tmp_path / "turned.cif")
    ensemble = build([files[0], tmp_path / "turned.cif"], superpose=True)
    expected = models[2].positions - models[0].centre_of_mass
    np.testing.assert_allclose(ensemble.model(1).positions, expected, atol=5e-3)
    other = AtomicModel.from_positions(turned.positions, turned.atomic_numbers)
    write_structure(other, tmp_path / "other.cif")
    with pytest.raises(ValueError, match="structure other and the first have 0 CA or P atoms"):
        build([files[0], tmp_path / "other.cif"], superpose=True)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_variables_have_names_units_and_periods(files, tmp_path, kind):
    table = pd.DataFrame(
        {
            "turn [rad; period 6.283]": [0.1, 2.0, 6.0],
            "gap width [Å]": [1.5, 2.5, 3.5],
            "score": [1, 2, 3],
            "ratio []": [0.5, 0.25, 1.0],
        }
    )
    path = tmp_path / f"variables.{kind}"
    table.to_csv(path, index=False) if kind == "csv" else table.to_parquet(path)
    variables = build(files, variables_file=path).variables
    assert list(variables) == ["turn", "gap width", "score", "ratio"]
    assert [variable.unit for variable in variables.values()] == ["rad", "Å", "", ""]
    assert [variable.period for variable in variables.values()] == [6.283, None, None, None]
    np.testing.assert_array_equal(variables["gap width"].values, [1.5, 2.5, 3.5])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\n1\n2\n", "2 rows for 3 states"),
        ("a,b\n1,2\n1,x\n1,2\n", "'b' of state 1 is x"),
        ("a\n1\n\n2\ninf\n", "'a' of state 2 is inf"),
        ("a [Å\n1\n2\n3\n", "column 'a .Å' is not named"),
        ("a [rad; period x]\n1\n2\n3\n", "period of column .* is not a positive number"),
        ("a [rad; period 0]\n1\n2\n3\n", "period of column .* is not a positive number"),
        ("a,a [Å]\n1,1\n2,2\n3,3\n", "two columns named 'a'"),
        ("", "is empty"),
    ],
)
def test_a_bad_table_is_told(files, tmp_path, text, message):
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        build(files, variables_file=path)


def test_a_missing_or_broken_table_is_told(tmp_path):
    with pytest.raises(FormatError, match="does not exist"):
        read_variables(tmp_path / "none.csv", 3)
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 but not really")
    with pytest.raises(FormatError, match=r"bad\.parquet cannot be read"):
        read_variables(tmp_path / "bad.parquet", 3)


@pytest.fixture
def run(models, rng, tmp_path):
    write_structure(models[0], tmp_path / "top.pdb")
    frames = models[0].positions + rng.normal(size=(12, 20, 3)) + rng.normal(size=(12, 1, 3)) * 5
    write_frames(tmp_path / "run.xtc", frames)
    return [tmp_path / "top.pdb", tmp_path / "run.xtc"], frames


def test_frames_of_a_trajectory(run, models, tmp_path):
    files, frames = run
    pd.DataFrame({"energy [kJ/mol]": np.arange(12) * 2.0}).to_csv(tmp_path / "energy.csv", index=False)
    ensemble = build(files, variables_file=tmp_path / "energy.csv")
    assert isinstance(ensemble, FrameEnsemble)
    frame = ensemble.variables["frame"].values.astype(int)
    assert sorted(frame) == list(range(12))
    np.testing.assert_array_equal(ensemble.variables["energy"].values, 2.0 * frame)
    expected = frames[frame] - models[0].with_positions(frames[0]).centre_of_mass
    np.testing.assert_allclose(ensemble.positions(0, 12), expected, atol=0.01)
    each = build(files, centre="each")
    np.testing.assert_allclose(each.model(3).centre_of_mass, 0, atol=1e-9)
    superposed = build(files, superpose=True).positions(0, 12)
    np.testing.assert_allclose(superposed.mean(axis=1), np.zeros((12, 3)), atol=1e-6)
    assert len(build(files, n_frames=5).counts) == 5


@pytest.mark.parametrize("recipe", [RECIPE, SPIKE_MD], ids=lambda recipe: recipe.name)
def test_frames_that_lie_elsewhere_than_their_topology_are_in_the_centre(run, models, recipe):
    """A structure's origin is the crystal's, that of a simulation the corner of its box."""
    files, frames = run
    write_frames(files[1], frames + 70)
    settings = CustomSettings(superpose=False) if recipe is RECIPE else SpikeMdSettings(superpose=False)
    ensemble = recipe.ensemble(settings, files)
    first = int(np.flatnonzero(ensemble.variables["frame"].values == 0)[0])
    np.testing.assert_allclose(ensemble.model(first).centre_of_mass, 0, atol=0.01)


def test_what_does_not_go_with_a_trajectory(run, tmp_path):
    files, _ = run
    with pytest.raises(ValueError, match="weights are for a list of structures"):
        build(files, weights=[1, 2])
    with pytest.raises(ValueError, match=r"run\.xtc has positions only"):
        build(files[::-1])
    pd.DataFrame({"pc 1": np.zeros(12)}).to_csv(tmp_path / "taken.csv", index=False)
    with pytest.raises(ValueError, match="pc 1 are measured on every trajectory"):
        _ = build(files, variables_file=tmp_path / "taken.csv").variables
    pd.DataFrame({"a": np.zeros(11)}).to_csv(tmp_path / "short.csv", index=False)
    with pytest.raises(ValueError, match="11 rows for 12 states"):
        build(files, variables_file=tmp_path / "short.csv")
    (tmp_path / "twice.csv").write_text("a,b,a\n" + 12 * "1,2,3\n")
    with pytest.raises(FormatError, match="has two columns named 'a'"):
        build(files, variables_file=tmp_path / "twice.csv")


SMALL = {"box_size": 18, "pixel_size": 6.0, "resolution": 9.0, "n_queries": 4, "shift_extent": 6.0}


def test_a_data_set_of_structures(files, tmp_path):
    pd.DataFrame({"atoms": [20, 25, 30]}).to_csv(tmp_path / "sizes.csv", index=False)
    changes = {**SMALL, "n_images": 60, "weights": [3, 2, 1], "variables_file": tmp_path / "sizes.csv"}
    dataset = simulate("custom", tmp_path / "data", preset="tiny", structures=files, settings=changes)
    truth = load_dataset(tmp_path / "data").truth
    assert np.bincount(truth.states).tolist() == [30, 20, 10]
    assert truth.state_names == ("small", "middle", "small (2)")
    np.testing.assert_array_equal(truth.variables["atoms"].values, np.array([20, 25, 30])[truth.states])
    assert len(dataset.particles) == 60


def test_a_data_set_of_repeated_frames(run, tmp_path):
    changes = {**SMALL, "images_per_frame": 3, "n_frames": 6}
    dataset = simulate("custom", tmp_path / "data", preset="tiny", structures=run[0], settings=changes)
    assert np.bincount(dataset.truth.states).tolist() == [3] * 6
    assert len(dataset.truth.volumes) == 6


def test_a_box_that_is_too_small_is_told(files, tmp_path):
    changes = {**SMALL, "pixel_size": 0.5}
    with pytest.raises(ValueError, match=r"outside the box.*use at least \d+ voxels"):
        simulate("custom", tmp_path / "data", preset="tiny", structures=files, settings=changes)
    assert not (tmp_path / "data").exists()


def test_without_structures_there_is_a_default():
    ensemble = RECIPE.ensemble(CustomSettings(n_images=10, weights=(4, 1)), [])
    assert ensemble.counts.tolist() == [8, 2]
    assert np.abs(ensemble.model(0).positions - ensemble.model(1).positions).max() > 30


@pytest.fixture
def dimer(tmp_path):
    """Two models that are copies beside each other, and two that are conformations."""
    bent = helix_positions() + np.arange(HELIX_ATOMS)[:, None] * [0.02, 0, 0]
    paths = []
    for name, other in (("dimer", helix_positions((30.0, 0, 0))), ("bent", bent)):
        models = [
            "MODEL        1",
            *helix_lines(),
            "ENDMDL",
            "MODEL        2",
            *helix_lines(positions=other),
            "ENDMDL",
        ]
        paths.append(write_pdb(tmp_path / f"{name}.pdb", models))
    return paths


def test_models_are_copies_or_frames(dimer):
    copies, bent = dimer
    ensemble = build([copies], n_images=60)
    assert ensemble.counts.tolist() == [60]
    assert len(ensemble.model(0)) == 2 * HELIX_ATOMS
    assert ensemble.notes == ("dimer.pdb: its 2 models are read as one structure, copies in an assembly.",)
    assert len(build([copies], models="frames").counts) == 2
    frames = build([bent], n_images=60)
    assert frames.counts.tolist() == [1, 1]
    (note,) = frames.notes
    assert "bent.pdb: its 2 models are used as frames" in note
    assert "--set models=one" in note
    assert len(build([bent], models="one").model(0)) == 2 * HELIX_ATOMS
    both = build([bent, copies], n_images=60)
    assert [len(both.model(state)) for state in range(2)] == [HELIX_ATOMS, 2 * HELIX_ATOMS]
    assert both.notes[0] == "bent.pdb: the first of its 2 models is used."


def test_notes_are_on_the_card(dimer, tmp_path):
    dataset = simulate("custom", tmp_path / "data", preset="tiny", structures=dimer[:1], settings=SMALL)
    assert dataset.card["notes"] == ["dimer.pdb: its 2 models are read as one structure, copies in an assembly."]


def test_superposition_of_copies_under_one_name(tmp_path):
    """Each copy's CA is laid on the same copy's, not all on the last one's."""
    lines = helix_lines() + helix_lines((30.0, 0, 0))
    turned = Rotation.from_euler("x", 50, degrees=True).as_matrix()
    moved = np.concatenate([helix_positions(), helix_positions((30.0, 0, 0))]) @ turned.T
    other = helix_lines(positions=moved[:HELIX_ATOMS]) + helix_lines(positions=moved[HELIX_ATOMS:])
    files = [write_pdb(tmp_path / "one.pdb", lines), write_pdb(tmp_path / "two.pdb", other)]
    ensemble = build(files, superpose=True, n_images=2)
    np.testing.assert_allclose(ensemble.model(1).positions, ensemble.model(0).positions, atol=5e-3)
