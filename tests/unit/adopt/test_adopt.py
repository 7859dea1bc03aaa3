"""Particles that exist already become a data set: the same ones, images left where they are; calls repeat safely."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from adoptable import SIZE, N
from cryobench import adopt
from cryobench._errors import FormatError
from cryobench.data import Dataset, Particles
from cryobench.io.folders.references import check_references
from cryobench.io.formats.pickles import read_pickle, write_pickle
from cryobench.io.lock import FolderBusy, lock_folder
from cryobench.io.programs.cryodrgn import write_poses
from cryobench.io.store import hash_card, load_dataset, verify_dataset


def assert_same_particles(found: Particles, expected: Particles, atol: float = 0) -> None:
    np.testing.assert_array_equal(found.read(np.arange(N)), expected.read(np.arange(N)))
    assert found.pixel_size == expected.pixel_size
    np.testing.assert_allclose(found.ctf.defocus_u, expected.ctf.defocus_u, rtol=1e-6)
    np.testing.assert_allclose(found.rotations, expected.rotations, atol=1e-6)
    np.testing.assert_allclose(found.shifts, expected.shifts, atol=1e-5)


@pytest.mark.parametrize("table", ["particles.star", "particles.cs"])
def test_tables_are_adopted(home: Path, original: Dataset, tmp_path: Path, table: str) -> None:
    dataset = adopt(home / "toy" / table, tmp_path / "mine")
    assert_same_particles(dataset.particles, original.particles)
    assert (dataset.name, dataset.truth, dataset.particles.mask) == ("mine", None, None)
    assert dataset.card["poses"] == "given"
    np.testing.assert_array_equal(np.diff(dataset.queries) > 0, True)
    assert len(dataset.queries) == N  # all, for there are fewer than 100
    verify_dataset(tmp_path / "mine")


def test_images_with_pickles_are_adopted(home: Path, original: Dataset, tmp_path: Path) -> None:
    """A list of stacks in their own order, with cryoDRGN's pickles in that order too."""
    in_order = np.lexsort((original.particles.images.image_index, original.particles.images.file_index))
    ctf = np.asarray(read_pickle(home / "toy" / "ctf.pkl"))[in_order]
    write_pickle(tmp_path / "ctf.pkl", ctf)
    old = original.particles
    write_poses(
        tmp_path / "poses.pkl",
        old.rotations[in_order],
        old.shifts[in_order],
        box_size=SIZE,
        pixel_size=old.pixel_size,
    )
    (tmp_path / "stacks.txt").write_text("0.mrcs\n1.mrcs\n")
    found = adopt(
        tmp_path / "stacks.txt",
        tmp_path / "mine",
        poses=tmp_path / "poses.pkl",
        ctf=tmp_path / "ctf.pkl",
        datadir=home / "toy" / "particles",
    ).particles
    np.testing.assert_array_equal(found.read(np.arange(N)), old.read(in_order))
    np.testing.assert_allclose(found.rotations, old.rotations[in_order], atol=1e-6)
    np.testing.assert_allclose(found.shifts, old.shifts[in_order], atol=1e-5)
    alone = adopt(home / "toy" / "particles" / "0.mrcs", tmp_path / "half", ctf=half(tmp_path, ctf[:50])).particles
    assert (len(alone), alone.rotations) == (50, None)
    with pytest.raises(FormatError, match=r"ctf.pkl describes 90 particles, but .*0.mrcs holds 50 images"):
        adopt(home / "toy" / "particles" / "0.mrcs", tmp_path / "no", ctf=tmp_path / "ctf.pkl")


def half(folder: Path, ctf: np.ndarray) -> Path:
    write_pickle(folder / "half.pkl", ctf)
    return folder / "half.pkl"


def test_contrast_is_said_or_read(home: Path, original: Dataset, tmp_path: Path) -> None:
    images = original.particles.read([0, 1])
    dark = adopt(home / "toy" / "particles.star", tmp_path / "dark", contrast="dark")
    np.testing.assert_array_equal(dark.particles.read([0, 1]), -images)
    assert (dark.card["sign"], load_dataset(tmp_path / "dark").particles.sign) == (1, 1)
    # particles.cs of the dark one says so by itself.
    again = adopt(tmp_path / "dark" / "particles.cs", tmp_path / "again")
    np.testing.assert_array_equal(again.particles.read([0, 1]), -images)
    with pytest.raises(ValueError, match="--contrast is bright or dark, got 'light'"):
        adopt(home / "toy" / "particles.star", tmp_path / "no", contrast="light")


def test_images_are_referred_to_and_not_copied(home: Path, tmp_path: Path) -> None:
    adopt(home / "toy" / "particles.star", tmp_path / "mine")
    assert not list((tmp_path / "mine").rglob("*.mrcs"))
    rows = pd.read_csv(tmp_path / "mine" / "stacks.csv")
    stacks = [home / "toy" / "particles" / f"{i}.mrcs" for i in range(2)]
    assert set(rows["path"]) == {stack.as_posix() for stack in stacks}
    assert dict(zip(rows["path"], rows["bytes"], strict=True)) == {s.as_posix(): s.stat().st_size for s in stacks}
    assert "stacks.csv" in load_dataset(tmp_path / "mine").card["files"]


@pytest.fixture
def movable(home: Path, tmp_path: Path) -> Path:
    """A data set of stacks that the test may harm."""
    shutil.copytree(home / "toy", tmp_path / "toy")
    adopt(tmp_path / "toy" / "particles.star", tmp_path / "mine")
    return tmp_path


def test_moved_stacks_are_named_with_the_way_out(movable: Path, original: Dataset) -> None:
    (movable / "toy" / "particles").rename(movable / "elsewhere")
    with pytest.raises(FormatError, match=r"\d.mrcs and 1 other stack, which moved .*--datadir FOLDER"):
        load_dataset(movable / "mine")
    again = adopt(movable / "mine" / "particles.cs", movable / "new", datadir=movable / "elsewhere")
    assert_same_particles(again.particles, original.particles)


def test_changed_stacks_are_noticed(movable: Path) -> None:
    stack = movable / "toy" / "particles" / "0.mrcs"
    content = bytearray(stack.read_bytes())
    content[-1] ^= 1  # the last image
    stack.write_bytes(content)
    load_dataset(movable / "mine")
    with pytest.raises(FormatError, match=r"the content of .*0.mrcs differs"):
        verify_dataset(movable / "mine")
    stack.write_bytes(content + b"x")
    sizes = rf"it has {len(content) + 1:,} bytes, had {len(content):,}\."
    with pytest.raises(FormatError, match=r"0.mrcs was changed since .* " + sizes):
        load_dataset(movable / "mine")


def test_a_change_in_the_middle_of_a_stack_is_noticed(movable: Path) -> None:
    stack = movable / "toy" / "particles" / "0.mrcs"
    content = bytearray(stack.read_bytes())
    image = 4 * SIZE**2
    content[1024 + 10 * image : 1024 + 40 * image] = bytes(30 * image)
    stack.write_bytes(content)
    with pytest.raises(FormatError, match=r"the content of .*0.mrcs differs"):
        verify_dataset(movable / "mine")
    with pytest.raises(FormatError, match=r"holds another data set \(mine; they differ in stacks\)"):
        adopt(movable / "toy" / "particles.star", movable / "mine")


def test_a_list_of_stacks_as_written_before_is_not_believed(movable: Path) -> None:
    path = movable / "mine" / "stacks.csv"
    path.write_text(path.read_text().replace("sha256,path", "sha256_of_ends,path"))
    with pytest.raises(FormatError, match=r"must begin with the line 'bytes,sha256,path', found .*adopt the"):
        check_references(movable / "mine")


def test_stacks_inside_the_data_set_travel_with_it(home: Path, original: Dataset, tmp_path: Path) -> None:
    shutil.copytree(home / "toy" / "particles", tmp_path / "mine" / "particles")
    shutil.copy(home / "toy" / "particles.star", tmp_path / "table.star")
    dataset = adopt(tmp_path / "table.star", tmp_path / "mine", datadir=tmp_path / "mine")
    assert not (tmp_path / "mine" / "stacks.csv").exists()
    assert {"particles/0.mrcs", "particles/1.mrcs"} <= set(dataset.card["files"])
    (tmp_path / "mine").rename(tmp_path / "moved")
    verify_dataset(tmp_path / "moved")
    assert_same_particles(load_dataset(tmp_path / "moved").particles, original.particles)


def test_the_same_call_finds_its_result_and_another_is_refused(home: Path, labels: Path, tmp_path: Path) -> None:
    first = adopt(home / "toy" / "particles.star", tmp_path / "mine")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "mine").rglob("*")}
    again = adopt(home / "toy" / "particles.star", tmp_path / "mine")
    assert again.card == first.card
    assert hash_card(again.card) == again.card["sha256"]
    with pytest.raises(FormatError, match=r"holds another data set \(mine; they differ in labels\)"):
        adopt(home / "toy" / "particles.star", tmp_path / "mine", labels=labels)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "mine").rglob("*")} == before


def test_whatever_is_asked_for_otherwise_is_another_call(home: Path, tmp_path: Path) -> None:
    toy = home / "toy"
    adopt(toy / "particles.star", tmp_path / "mine")
    for option, value in {
        "mask": toy / "mask.mrc",
        "queries": np.array([3]),
        "n_queries": 5,
        "contrast": "bright",
        "name": "other",
        "datadir": toy,
        "mend": ["shifts-negated"],
    }.items():
        with pytest.raises(FormatError, match=rf"they differ in {option}( \(.* there, .* here\))?\)"):
            adopt(toy / "particles.star", tmp_path / "mine", **{option: value})


def test_a_call_on_files_that_changed_since_is_another(home: Path, labels: Path, maps: Path, tmp_path: Path) -> None:
    def call() -> Dataset:
        return adopt(home / "toy" / "particles.star", tmp_path / "mine", labels=labels, volumes=maps)

    call()
    first, last = sorted(maps.glob("*.mrc"))[:2]
    content = first.read_bytes(), last.read_bytes()
    assert content[0] != content[1]
    first.write_bytes(content[1])
    last.write_bytes(content[0])
    with pytest.raises(FormatError, match=r"holds another data set \(mine; they differ in volumes\)"):
        call()
    first.write_bytes(content[0])
    last.write_bytes(content[1])
    call()
    np.save(labels, np.roll(np.load(labels), 1))
    with pytest.raises(FormatError, match=r"they differ in labels\)"):
        call()


def test_one_adoption_at_a_time(home: Path, tmp_path: Path) -> None:
    with lock_folder(tmp_path / "mine", doing="adopt"), pytest.raises(FolderBusy, match="mine is in use"):
        adopt(home / "toy" / "particles.star", tmp_path / "mine")
    assert not (tmp_path / "mine").exists()


def test_the_mark_a_late_kill_left_is_removed_by_the_same_call(home: Path, tmp_path: Path) -> None:
    adopt(home / "toy" / "particles.star", tmp_path / "mine")
    (tmp_path / "mine" / "adoption.json").write_text("{}")
    adopt(home / "toy" / "particles.star", tmp_path / "mine")
    assert not (tmp_path / "mine" / "adoption.json").exists()


def test_files_of_others_are_never_overwritten(home: Path, tmp_path: Path) -> None:
    shutil.copytree(home / "toy" / "particles", tmp_path / "work" / "particles")
    shutil.copy(home / "toy" / "particles.star", tmp_path / "work")
    with pytest.raises(FormatError, match=r"already holds particles.star, .* choose another folder"):
        adopt(tmp_path / "work" / "particles.star", tmp_path / "work")
    assert (tmp_path / "work" / "particles.star").read_bytes() == (home / "toy" / "particles.star").read_bytes()


@pytest.mark.parametrize("name", ["particles.csg", "stacks.csv"])
def test_every_file_of_a_data_set_is_kept_from_being_overwritten(home: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / name).write_text("of others")
    with pytest.raises(FormatError, match=f"already holds {name}, which a data set would overwrite"):
        adopt(home / "toy" / "particles.star", tmp_path / "work")
    assert (tmp_path / "work" / name).read_text() == "of others"


def test_an_adoption_cut_off_is_finished_by_the_same_call(
    home: Path, labels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cryobench.runs import adopt as module

    def stop(*given: object, **named: object) -> None:
        raise KeyboardInterrupt

    call = {"labels": labels, "volumes": home / "toy" / "truth" / "volumes"}
    with monkeypatch.context() as patch:
        patch.setattr(module, "write_dataset", stop)
        with pytest.raises(KeyboardInterrupt):
            adopt(home / "toy" / "particles.star", tmp_path / "mine", **call)
    with pytest.raises(
        FormatError, match=r"its adoption was interrupted before .* Run the same cryobench adopt command"
    ):
        load_dataset(tmp_path / "mine")
    with pytest.raises(FormatError, match=r"unfinished adoption of another call \(they differ in labels, volumes\)"):
        adopt(home / "toy" / "particles.star", tmp_path / "mine")
    dataset = adopt(home / "toy" / "particles.star", tmp_path / "mine", **call)
    assert dataset.truth is not None
    assert not (tmp_path / "mine" / "adoption.json").exists()


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("particles.star", {"volumes": "truth/volumes"}, "give the state of each particle with --labels"),
        ("particles.star", {"ctf": "ctf.pkl"}, "has its own poses and CTF"),
        ("particles.star", {"passthrough": ["particles.cs"]}, "--passthrough files belong to a .cs file"),
        ("particles/0.mrcs", {}, "holds images only: give their CTF too with --ctf"),
        ("query.csv", {}, "is not a table of particles"),
        ("particles.star", {"labels": "missing.npy"}, "missing.npy does not exist"),
        ("nothing.star", {}, "nothing.star does not exist"),
    ],
)
def test_options_that_do_not_go_together(home: Path, tmp_path: Path, name: str, given: dict, message: str) -> None:
    files = {
        key: [home / "toy" / each for each in value] if isinstance(value, list) else home / "toy" / value
        for key, value in given.items()
    }
    with pytest.raises(ValueError, match=message):
        adopt(home / "toy" / name, tmp_path / "mine", **files)
    assert not (tmp_path / "mine").exists()


def test_the_card_says_where_it_comes_from(home: Path, labels: Path, tmp_path: Path) -> None:
    adopt(home / "toy" / "particles.star", tmp_path / "mine", labels=labels)
    plan = json.loads((tmp_path / "mine" / "dataset.json").read_text(encoding="utf-8"))["plan"]
    assert plan["adopted"]["name"] == "particles.star"
    assert len(plan["labels"]["sha256"]) == 64
