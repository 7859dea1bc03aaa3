"""The mixture: published masses, small mixtures within large ones, files and folders of files."""

import gzip
import pickle

import numpy as np
import pytest

from cryobench.atoms import write_structure
from cryobench.atoms.procedural import procedural_complex
from cryobench.atoms.sources import list_structures, resolve_structure, resolve_structures, structure_name
from cryobench.recipes import get_recipe
from cryobench.recipes.published import TOMOTWIN_MASSES_KDA
from cryobench.recipes.simulate import build_settings
from cryobench.recipes.states.complexes import procedural_complexes

RECIPE = get_recipe("tomotwin-100")


def _settings(**changes):
    return build_settings(RECIPE, "tiny", changes)


def test_masses_and_symmetries_are_the_published_ones():
    complexes = procedural_complexes(100)
    assert [item.mass_kda for item in complexes] == sorted(TOMOTWIN_MASSES_KDA)
    assert sum(item.symmetry == "C1" for item in complexes) == 45
    others = {item.symmetry for item in complexes}
    assert {"C2", "C3", "D2", "D3"} < others
    assert len({item.name for item in complexes}) == 100
    assert len({(item.mass_kda, item.symmetry, item.seed) for item in complexes}) == 100


@pytest.mark.parametrize(("few", "many"), [(2, 10), (10, 25), (25, 50), (50, 75), (75, 100), (100, 101), (101, 1000)])
def test_small_mixtures_lie_in_large_ones(few, many):
    assert set(procedural_complexes(few)) < set(procedural_complexes(many))


@pytest.mark.parametrize("n", [10, 25, 50, 75, 250, 1000])
def test_masses_of_any_mixture_follow_the_published_law(n):
    masses = np.array([item.mass_kda for item in procedural_complexes(n)])
    assert (np.diff(masses) >= 0).all()
    assert masses.min() >= 156
    assert masses.max() <= 1131
    quantiles = np.linspace(0.1, 0.9, 9)
    published = np.quantile(TOMOTWIN_MASSES_KDA, quantiles)
    # Kolmogorov's distance: how far the two distributions are apart.
    reached = np.array([(masses <= mass).mean() for mass in published])
    assert np.abs(reached - quantiles).max() < 0.12 + 0.5 / n
    asymmetric = sum(item.symmetry == "C1" for item in procedural_complexes(n))
    assert abs(asymmetric - 0.45 * n) < 1


def test_family_has_its_limits():
    for n in (0, 1001):
        with pytest.raises(ValueError, match=f"1 to 1000 complexes, got {n}"):
            procedural_complexes(n)
    with pytest.raises(ValueError, match="n_structures"):
        _settings(n_structures=1)


def test_ensemble_tells_the_truth():
    ensemble = RECIPE.ensemble(_settings(n_structures=5, images_per_structure=7), [])
    assert ensemble.counts.tolist() == [7] * 5
    assert len(set(ensemble.state_names)) == 5
    masses = ensemble.variables["mass"]
    assert masses.unit == "kDa"
    assert ensemble.embedding is None
    for state in (0, 4):
        model = ensemble.model(state)
        assert model.mass_with_hydrogens / 1000 == pytest.approx(masses.values[state], rel=0.01)
        np.testing.assert_allclose(model.centre_of_mass, 0, atol=1e-3)
    # States are built when asked for: what goes to the workers is a list of names.
    assert len(pickle.dumps(ensemble)) < 10_000


@pytest.mark.parametrize("preset", ["tiny", "lite", "paper", "realistic"])
def test_nothing_sticks_out_of_the_box(preset):
    """Of the lightest and the widest, turned any way and shifted as far as they are."""
    settings = build_settings(RECIPE, preset, {"n_structures": 100})
    assert settings.box_size * settings.pixel_size == 576
    ensemble = RECIPE.ensemble(settings, [])
    half = (settings.box_size - 1) // 2 * settings.pixel_size
    for state in (0, 97):
        reach = np.linalg.norm(ensemble.model(state).positions, axis=1).max()
        assert reach + np.sqrt(2) * settings.shift_extent < half


@pytest.mark.slow
def test_every_complex_is_as_described():
    for item in procedural_complexes(100):
        model = item.build()
        assert model.mass_with_hydrogens / 1000 == pytest.approx(item.mass_kda, rel=0.01), item.name
        assert np.linalg.norm(model.positions, axis=1).max() < 235, item.name


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Five complexes of 60 to 20 kDa in files of all kinds, and things that are no structures."""
    folder = tmp_path_factory.mktemp("structures")
    names = ("e.pdb", "d.cif", "c.ent.gz", "b.pdb.gz", "a.CIF")
    for index, name in enumerate(names):
        model = procedural_complex(60 - 10 * index, "C2", seed=index)
        plain = folder / f"plain{'.cif' if 'cif' in name.lower() else '.pdb'}"
        write_structure(model, plain)
        content = plain.read_bytes()
        plain.unlink()
        (folder / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    (folder / "notes.txt").write_text("no structure")
    (folder / ".hidden.pdb").write_text("no structure")
    (folder / "map.mrc.gz").write_bytes(b"")
    (folder / "more.pdb").mkdir()
    return folder


def test_folder_lists_its_structures(folder):
    assert [path.name for path in list_structures(folder)] == ["a.CIF", "b.pdb.gz", "c.ent.gz", "d.cif", "e.pdb"]
    assert [structure_name(path) for path in list_structures(folder)] == list("abcde")
    assert resolve_structure(folder) == folder


def test_structures_are_sorted_by_mass(folder):
    ensemble = RECIPE.ensemble(_settings(n_structures=5), resolve_structures([folder]))
    assert list(ensemble.state_names) == list("abcde")
    np.testing.assert_allclose(ensemble.variables["mass"].values, [20, 30, 40, 50, 60], rtol=0.01)
    for state, mass in enumerate(ensemble.variables["mass"].values):
        model = ensemble.model(state)
        assert model.mass_with_hydrogens / 1000 == pytest.approx(mass)
        np.testing.assert_allclose(model.centre_of_mass, 0, atol=1e-6)


def test_fewer_are_spread_over_the_masses(folder):
    files = sorted(list_structures(folder), reverse=True)
    assert list(RECIPE.ensemble(_settings(n_structures=3), files).state_names) == list("ace")
    assert list(RECIPE.ensemble(_settings(n_structures=2), resolve_structures([folder])).state_names) == list("ae")


def test_files_that_make_no_mixture(folder, tmp_path):
    with pytest.raises(ValueError, match=r"n_structures is 6, but 5 structure files were given.*at most 5"):
        RECIPE.ensemble(_settings(n_structures=6), resolve_structures([folder]))
    with pytest.raises(FileNotFoundError, match=r"holds no structure file.*found 0 other"):
        resolve_structures([tmp_path])
    with pytest.raises(FileNotFoundError, match="is not a folder"):
        list_structures(folder / "e.pdb")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        resolve_structure(folder / "f.pdb")
    with pytest.raises(ValueError, match=r"e\.pdb have the same name"):
        RECIPE.ensemble(_settings(n_structures=2), [folder / "e.pdb", folder / "e.pdb"])
    copy = tmp_path / "copy.pdb"
    copy.write_bytes((folder / "e.pdb").read_bytes())
    with pytest.raises(ValueError, match=r"e\.pdb and .*copy\.pdb hold the same atoms.*Leave one out"):
        RECIPE.ensemble(_settings(n_structures=2), [folder / "e.pdb", copy])


def test_structure_larger_than_the_box(folder):
    settings = _settings(n_structures=2, pixel_size=2.0)
    with pytest.raises(
        ValueError, match=r"reaches \d+ Å from its centre, the box of 32 pixels of 2 Å 30 Å. Use box_size"
    ) as error:
        RECIPE.ensemble(settings, resolve_structures([folder]))
    needed = int(str(error.value).split("box_size ")[1].split()[0])
    big = _settings(n_structures=2, pixel_size=2.0, box_size=3 * needed)
    RECIPE.ensemble(big, resolve_structures([folder]))
