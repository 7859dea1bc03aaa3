"""The simulator: same bytes whatever the chunks and workers, resumable, honest about its SNR, strict on input."""

import errno
import hashlib
import importlib
import json
import shutil
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch

from cryobench._errors import FormatError, UnknownName
from cryobench.atoms import find_entry, read_structure, write_structure
from cryobench.fourier import ifft_images
from cryobench.imaging.grid import volume_to_fourier
from cryobench.io import atomic
from cryobench.io.lock import FolderBusy, lock_folder
from cryobench.recipes import get_recipe
from cryobench.recipes.draws import Junk, assign_states, draw_junk, draw_poses
from cryobench.recipes.imaging.images import Microscope
from cryobench.recipes.imaging.job import Job
from cryobench.recipes.imaging.projectors import SliceProjector
from cryobench.recipes.settings import REALISTIC
from cryobench.recipes.simulate import build_settings, simulate
from cryobench.rotations import geodesic_distance

SMALL = {
    "box_size": 24,
    "pixel_size": 16.0,
    "resolution": 16.0,
    "n_states": 3,
    "images_per_state": 7,
    "n_queries": 6,
    "projection": "slices",
}


def make_job(changes: dict, *, seed: int, recipe: str = "igg-1d", folder: Path = Path("nowhere")) -> Job:
    """The work that ``simulate`` would share out, with nothing measured."""
    chosen = get_recipe(recipe)
    settings = build_settings(chosen, "tiny", changes)
    ensemble = chosen.ensemble(settings, chosen.choose_structures([]))
    counts = np.asarray(ensemble.counts)
    states = assign_states(counts, settings, seed)
    return Job(ensemble, settings, seed, folder, counts, states, range(len(states)), 128)


def _hashes(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    folder = tmp_path_factory.mktemp("simulated") / "data"
    return simulate("igg-1d", folder, preset="tiny", settings=SMALL, seed=3)


UNTIDY = {**SMALL, **REALISTIC, "projection": "atoms", "junk_noise": 0.2, "junk_wrong": 0.2, "junk_pair": 0.2}
"""Everything at once, and on the other road."""


@pytest.fixture(scope="module")
def untidy(tmp_path_factory):
    return simulate("igg-1d", tmp_path_factory.mktemp("simulated") / "data", preset="tiny", settings=UNTIDY, seed=3)


def test_one_simulation_at_a_time_in_a_folder(tmp_path):
    with lock_folder(tmp_path / "data", doing="simulate igg-1d"), pytest.raises(FolderBusy, match="data is in use"):
        simulate("igg-1d", tmp_path / "data", preset="tiny", settings=SMALL)
    assert not (tmp_path / "data").exists()


def test_what_a_late_kill_left_is_removed_by_the_same_call(tmp_path):
    """Killed after the card was written, before the marks were removed."""
    first = simulate("igg-1d", tmp_path / "data", preset="tiny", settings=SMALL, particles=(0, 6))
    (tmp_path / "data" / "simulation").mkdir()
    (tmp_path / "data" / "simulation" / "000.json").touch()
    again = simulate("igg-1d", tmp_path / "data", preset="tiny", settings=SMALL, particles=(0, 6))
    assert again.card == first.card
    assert not (tmp_path / "data" / "simulation").exists()


@pytest.mark.parametrize("chunk", [1, 4])
def test_bytes_do_not_depend_on_the_chunk(reference, untidy, tmp_path, chunk):
    for original, settings in ((reference, SMALL), (untidy, UNTIDY)):
        folder = tmp_path / settings["projection"]
        again = simulate("igg-1d", folder, preset="tiny", settings=settings, seed=3, chunk=chunk)
        assert _hashes(again.path) == _hashes(original.path)


def test_bytes_do_not_depend_on_the_workers(untidy, two_workers, tmp_path, monkeypatch):
    def lend(number: int):
        assert number == 2
        return nullcontext(two_workers)

    monkeypatch.setattr("cryobench.recipes.simulate.open_workers", lend)
    again = simulate("igg-1d", tmp_path / "data", preset="tiny", settings=UNTIDY, seed=3, workers=2, chunk=5)
    assert _hashes(again.path) == _hashes(untidy.path)


@pytest.mark.parametrize("road", ["slices", "atoms"])
def test_a_stretch_of_the_table_equals_that_part_of_the_whole(reference, untidy, tmp_path, road):
    whole, settings = (reference, SMALL) if road == "slices" else (untidy, UNTIDY)
    part = simulate("igg-1d", tmp_path / "data", preset="tiny", settings=settings, seed=3, particles=(5, 14))
    assert len(part.particles) == 9
    inside = np.arange(5, 14)
    np.testing.assert_array_equal(part.particles.read(np.arange(9)), whole.particles.read(inside))
    np.testing.assert_array_equal(part.particles.rotations, whole.particles.rotations[5:14])
    np.testing.assert_array_equal(part.particles.shifts, whole.particles.shifts[5:14])
    np.testing.assert_array_equal(part.particles.ctf.defocus_u, whole.particles.ctf.defocus_u[5:14])
    np.testing.assert_array_equal(part.truth.states, whole.truth.states[5:14])
    np.testing.assert_array_equal(part.truth.embedding, whole.truth.embedding[5:14])
    for state in range(3):
        np.testing.assert_array_equal(part.truth.volumes.read(state), whole.truth.volumes.read(state))


@pytest.mark.parametrize("particles", [(5, 5), (-1, 3), (0, 22)])
def test_a_stretch_that_is_not_there_is_refused(tmp_path, particles):
    with pytest.raises(ValueError, match="the data set has 21"):
        simulate("igg-1d", tmp_path / "data", preset="tiny", settings=SMALL, particles=particles)
    assert not (tmp_path / "data").exists()


def test_another_seed_gives_other_images(reference, tmp_path):
    other = simulate("igg-1d", tmp_path / "data", preset="tiny", settings=SMALL, seed=4)
    assert not np.allclose(other.particles.read([0]), reference.particles.read([0]))
    assert other.card["sha256"] != reference.card["sha256"]


def test_killed_run_is_continued_by_the_same_call(reference, tmp_path, monkeypatch):
    made = []
    module = importlib.import_module("cryobench.recipes.simulate")
    whole = module.make_part

    def stop_at_third(job, part):
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(part)
        return whole(job, part)

    monkeypatch.setattr(module, "make_part", stop_at_third)
    with pytest.raises(KeyboardInterrupt):
        simulate("igg-1d", tmp_path / "data", preset="tiny", settings=SMALL, seed=3)
    assert not (tmp_path / "data" / "dataset.json").exists()
    with pytest.raises(FormatError, match="unfinished simulation of another call"):
        simulate("igg-1d", tmp_path / "data", preset="tiny", settings=SMALL, seed=9)

    def count(job, part):
        made.append(part)
        return whole(job, part)

    monkeypatch.setattr(module, "make_part", count)
    again = simulate("igg-1d", tmp_path / "data", preset="tiny", settings=SMALL, seed=3)
    assert made == [0, 1, 2]  # none was made twice
    assert _hashes(again.path) == _hashes(reference.path)


def test_a_stretch_of_junk_alone_is_refused_before_anything_is_written(tmp_path):
    chosen = {**SMALL, "junk_noise": 0.9}
    junk = draw_junk(build_settings(get_recipe("igg-1d"), "tiny", chosen), 0, range(21))
    first = int(np.flatnonzero(junk == Junk.NOISE)[0])
    with pytest.raises(ValueError, match="all 1 particles would be junk: make more of them, or lower junk_noise"):
        simulate("igg-1d", tmp_path / "data", preset="tiny", settings=chosen, particles=(first, first + 1))
    assert not (tmp_path / "data").exists()


def test_finished_data_set_is_returned_and_another_is_refused(reference):
    before = _hashes(reference.path)
    again = simulate("igg-1d", reference.path, preset="tiny", settings=SMALL, seed=3)
    assert again.card["sha256"] == reference.card["sha256"]
    with pytest.raises(FormatError, match=r"another data set \(igg-1d; they differ in seed \(3 there, 4 here\)\)"):
        simulate("igg-1d", reference.path, preset="tiny", settings=SMALL, seed=4)
    assert _hashes(reference.path) == before


def test_snr_is_what_was_asked(tmp_path):
    changes = {**SMALL, "n_states": 30, "images_per_state": 10, "snr": 0.2}
    dataset = simulate("igg-1d", tmp_path / "data", preset="tiny", settings=changes, seed=0)
    assert dataset.card["snr"]["all_pixels"] == pytest.approx(0.2, rel=0.03)
    assert dataset.card["snr"]["inside_disc"] > dataset.card["snr"]["all_pixels"]


def test_snr_of_unequal_populations_is_that_of_all_images(tmp_path):
    changes = {"n_images": 600, "weights": (0.95, 0.05), "snr": 0.2}
    whole = read_structure(find_entry("1HZH").path)
    write_structure(whole, tmp_path / "whole.pdb")
    write_structure(whole.select(whole.chains == "H"), tmp_path / "part.pdb")
    chosen = [tmp_path / "part.pdb", tmp_path / "whole.pdb"]
    dataset = simulate("custom", tmp_path / "data", preset="tiny", settings=changes, structures=chosen)
    assert dataset.card["snr"]["all_pixels"] == pytest.approx(0.2, rel=0.1)


@pytest.mark.parametrize("level", ["structure", "data set"])
def test_snr_at_a_finer_pixel_is_what_binning_leaves(tmp_path, level):
    """Images of 48 px at 8 Å with that SNR, binned by two, must hold just the noise of the 24 px set."""
    small = {**SMALL, "noise_level": level}
    binned = simulate("igg-1d", tmp_path / "a", preset="tiny", settings={**small, "snr_pixel_size": 8.0}, seed=0)
    finer = {**small, "box_size": 48, "pixel_size": 8.0, "oversampling": 1}
    fine = simulate("igg-1d", tmp_path / "b", preset="tiny", settings=finer, seed=0)
    # A quarter of the variance is left, and a projection sums over half as many voxels of depth.
    expected = fine.truth.state_facts["noise_variance"] / 4 / 4
    np.testing.assert_allclose(binned.truth.state_facts["noise_variance"], expected, rtol=0.02)


def test_images_are_the_truth_seen_through_the_microscope(reference):
    particles = np.array([8])
    projector = SliceProjector(volume_to_fourier(torch.from_numpy(reference.truth.volume_of(8)), kernel="wide"))
    spectra = Microscope(make_job(SMALL, seed=3)).image(projector, particles)
    clean = ifft_images(spectra, 24).numpy()
    image = reference.particles.read(particles)
    noise = image - clean
    expected = reference.truth.state_facts["noise_variance"][reference.truth.states[8]]
    assert noise.var() == pytest.approx(expected, rel=0.2)
    assert abs(np.corrcoef(noise.ravel(), clean.ravel())[0, 1]) < 0.15


def test_methods_are_given_poses_and_ctfs_with_errors_and_the_truth_is_kept(reference, untidy):
    """21 particles: root mean squares of 2° about three axes, of 1.5 Å along two, and of 150 Å of defocus."""
    given, truth = untidy.particles, untidy.truth
    turns = np.rad2deg(geodesic_distance(given.rotations, truth.rotations))
    assert np.sqrt((turns**2).mean()) == pytest.approx(2 * np.sqrt(3), rel=0.4)
    assert np.sqrt(((given.shifts - truth.shifts) ** 2).mean()) == pytest.approx(1.5, rel=0.4)
    assert np.sqrt(((given.ctf.defocus_u - truth.ctf.defocus_u) ** 2).mean()) == pytest.approx(150, rel=0.4)
    np.testing.assert_allclose(
        truth.rotations, draw_poses(make_job(UNTIDY, seed=3).settings, 3, range(21))[0], atol=1e-6
    )
    np.testing.assert_allclose(reference.particles.rotations, reference.truth.rotations, atol=1e-6)


def test_truth_is_a_circle_in_equal_steps(reference):
    truth = reference.truth
    assert np.array_equal(np.bincount(truth.states), [7, 7, 7])
    turn = truth.variables["turn"]
    assert turn.period == pytest.approx(2 * np.pi)
    assert np.allclose(np.unique(turn.values), 2 * np.pi * np.arange(3) / 3)
    difference = (truth.variables["dihedral"].values - turn.values) % (2 * np.pi)
    assert np.allclose(difference, difference[0])
    assert np.allclose(np.linalg.norm(truth.embedding, axis=1), 1)
    # States differ, and each volume is the one its images are made of.
    assert not np.allclose(truth.volumes.read(0), truth.volumes.read(1), atol=1e-4)


def test_queries_are_evenly_spread_over_the_states_in_the_order_of_the_table(reference):
    states = reference.truth.states
    assert np.array_equal(np.bincount(states[reference.queries]), [3, 2, 2])
    by_state = np.argsort(states, kind="stable")
    assert np.array_equal(reference.queries, np.sort(by_state[::3]))


def test_label_cannot_be_told_from_what_is_drawn(tmp_path):
    """Place in the table, defocus, pose and shift carry no information on the state.

    One seed for several draws would.
    """
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.model_selection import cross_val_score

    from cryobench.recipes.draws import draw_ctf

    settings = build_settings(get_recipe("igg-1d"), "lite", {})
    states = assign_states(np.full(4, 250), settings, 0)
    ctf = draw_ctf(settings, 0, range(1000))
    rotations, shifts = draw_poses(settings, 0, range(1000))
    drawn = np.column_stack(
        [np.arange(1000), ctf.defocus_u, ctf.defocus_v, ctf.defocus_angle, shifts, rotations.reshape(-1, 9)]
    )
    forest = RandomForestClassifier(50, random_state=0)
    assert cross_val_score(forest, drawn, states, cv=4).mean() < 0.25 + 0.06


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"snr": -1}, "snr"),
        ({"box_size": 4}, "box_size"),
        ({"n_states": 0}, "n_states"),
        ({"box_size": "large"}, "box_size"),
        ({"amplitude_contrast": 2}, "amplitude_contrast"),
        ({"snr": float("inf")}, "snr .* finite"),
        ({"defocus_mean": float("nan")}, "defocus_mean .* finite"),
    ],
)
def test_settings_out_of_range_are_named(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        simulate("igg-1d", tmp_path / "data", preset="tiny", settings=changes)
    assert not (tmp_path / "data").exists()


def test_unknown_names_suggest_near_ones(tmp_path):
    with pytest.raises(UnknownName, match="Did you mean 'igg-1d'"):
        simulate("igg1d", tmp_path / "data")
    with pytest.raises(UnknownName, match="Did you mean 'lite'"):
        simulate("igg-1d", tmp_path / "data", preset="light")
    with pytest.raises(UnknownName, match="Did you mean 'images_per_state'"):
        simulate("igg-1d", tmp_path / "data", settings={"image_per_state": 3})
    assert not (tmp_path / "data").exists()


def test_structure_of_the_wrong_chains_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ValueError, match="heavy and light"):
        simulate("igg-1d", tmp_path / "data", preset="tiny", settings={**SMALL, "heavy_chain": "X"})
    assert not (tmp_path / "data").exists()


def test_missing_structure_file_is_named(tmp_path):
    with pytest.raises((ValueError, OSError), match=r"absent\.pdb"):
        simulate("igg-1d", tmp_path / "data", preset="tiny", structures=[tmp_path / "absent.pdb"])
    assert not (tmp_path / "data").exists()


def test_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(FormatError, match="not a cryobench data set"):
        simulate("igg-1d", tmp_path, preset="tiny", settings=SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_box_too_small_for_the_molecule_is_refused(tmp_path):
    with pytest.raises(ValueError, match="outside the box"):
        simulate("igg-1d", tmp_path / "data", preset="tiny", settings={**SMALL, "pixel_size": 2.0})


def test_full_disk_leaves_nothing(tmp_path, monkeypatch):
    import shutil
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(100, 99, 1))
    with pytest.raises(OSError, match="free"):
        simulate("igg-1d", tmp_path / "data", preset="tiny", settings=SMALL)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("name", ["plan.json", "particles"])
def test_stopped_before_anything_is_made_the_same_call_begins_again(tmp_path, monkeypatch, name):
    """As by a quota, which is not noticed before writing."""
    make, write = Path.mkdir, atomic.os.fsync

    def stop(found):
        if found == name:
            raise OSError(errno.EDQUOT, "quota exceeded")

    def sync(number):
        stop("plan.json" if any((tmp_path / "data").rglob(".plan.json.*")) else "")
        write(number)

    monkeypatch.setattr(Path, "mkdir", lambda path, *rest, **named: stop(path.name) or make(path, *rest, **named))
    monkeypatch.setattr(atomic.os, "fsync", sync)
    with pytest.raises(OSError, match=r"disk is full|quota exceeded"):
        simulate("igg-1d", tmp_path / "data", preset="tiny", settings=SMALL, particles=(0, 6))
    monkeypatch.undo()
    assert len(simulate("igg-1d", tmp_path / "data", preset="tiny", settings=SMALL, particles=(0, 6)).particles) == 6


@pytest.mark.parametrize("recipe", ["igg-1d", "igg-rl", "spike-md"])
def test_the_molecules_of_a_recipe_are_entries_that_a_user_may_give_as_well(recipe):
    chosen = get_recipe(recipe)
    (name,) = chosen.entries
    assert chosen.choose_structures([]) == [find_entry(name).path]
    assert chosen.choose_structures([Path("mine.pdb")]) == [Path("mine.pdb")]
    assert f"PDB {name}" in chosen.sources


def test_card_says_which_molecule_it_is_and_given_by_name_it_is_the_same_data_set(reference, tmp_path):
    entry = find_entry("1HZH")
    assert reference.card["plan"]["structures"] == [{"name": "1hzh.pdb.gz", "sha256": entry.sha256}]
    assert reference.card["sources"] == entry.origin
    assert 140 < reference.truth.state_facts["mass_kda"][0] < 160
    given = simulate("igg-1d", tmp_path / "given", preset="tiny", structures=[entry.path], settings=SMALL, seed=3)
    assert _hashes(given.path) == _hashes(reference.path)
    write_structure(read_structure(entry.path), tmp_path / "mine.cif")
    mine = simulate("igg-1d", tmp_path / "mine", preset="tiny", structures=[tmp_path / "mine.cif"], settings=SMALL)
    assert mine.card["sources"].startswith("a structure file given by the user")


def test_data_of_another_version_of_the_recipe_stay_as_they_are(reference, tmp_path):
    """Finished they are found by no other version, and unfinished they are finished by none."""
    copy = tmp_path / "data"
    shutil.copytree(reference.path, copy)
    card = json.loads((copy / "dataset.json").read_text())
    card["plan"]["recipe_version"] = 1
    (copy / "dataset.json").write_text(json.dumps(card))
    with pytest.raises(FormatError, match=r"holds another data set .*recipe_version \(1 there, 2 here\)"):
        simulate("igg-1d", copy, preset="tiny", settings=SMALL, seed=3)
    (copy / "dataset.json").unlink()
    (copy / "simulation").mkdir()
    (copy / "simulation" / "plan.json").write_text(json.dumps(card["plan"]))
    with pytest.raises(FormatError, match=r"recipe_version \(1 there, 2 here\).*Only the version that began it"):
        simulate("igg-1d", copy, preset="tiny", settings=SMALL, seed=3)


@pytest.mark.parametrize("projection", ["slices", "atoms"])
def test_a_shift_centres_its_particle(tmp_path, projection):
    clear = {**SMALL, "snr": 1e8, "images_per_state": 3, "projection": projection}
    moved = simulate("igg-1d", tmp_path / "moved", preset="tiny", settings={**clear, "shift_extent": 32.0}, seed=3)
    still = simulate("igg-1d", tmp_path / "still", preset="tiny", settings={**clear, "shift_extent": 0.0}, seed=3)
    assert moved.truth is not None
    shifts = moved.truth.shifts / clear["pixel_size"]
    assert np.abs(shifts).max() > 1
    images, expected = moved.particles.read(np.arange(9)), still.particles.read(np.arange(9))
    frequency = np.fft.fftfreq(clear["box_size"])

    def move(image: np.ndarray, x: float, y: float) -> np.ndarray:
        phases = np.exp(-2j * np.pi * (frequency[None, :] * x + frequency[:, None] * y))
        return np.fft.ifft2(np.fft.fft2(image) * phases).real

    for image, other, (x, y) in zip(images, expected, shifts, strict=True):
        assert np.corrcoef(move(image, x, y).ravel(), other.ravel())[0, 1] > 0.99
        if np.hypot(x, y) > 0.5:
            assert np.corrcoef(move(image, -x, -y).ravel(), other.ravel())[0, 1] < 0.95
