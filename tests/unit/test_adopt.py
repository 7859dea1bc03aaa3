"""Particles that exist already become a data set: the same ones, images left where they are, any amount of truth."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import starfile

from cryobench import adopt, simulate
from cryobench._errors import FormatError
from cryobench.cli.main import run_cli
from cryobench.data import ArrayImages, Dataset, GroundTruth, Particles
from cryobench.experiment.adopt import choose_queries
from cryobench.experiment.run import run
from cryobench.io.cryodrgn import write_poses
from cryobench.io.labels import read_labels
from cryobench.io.lock import FolderBusy, lock_folder
from cryobench.io.mrc import MrcStacks, StackWriter, read_volume, write_volume
from cryobench.io.pickles import read_pickle, write_pickle
from cryobench.io.references import check_references
from cryobench.io.store import hash_card, load_dataset, verify_dataset, write_dataset
from cryobench.metrics import get_metric, score
from toy import toy_dataset

N, SIZE, STATES = 90, 16, 3


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the toy as a data set of our own (HOME/toy): two stacks, particles in no order."""
    toy = toy_dataset(size=SIZE, n=N, n_states=STATES, n_queries=9)
    folder = tmp_path_factory.mktemp("home with spaces, and a comma")
    generator = np.random.default_rng(0)
    order = generator.permutation(N)
    images = np.empty((N, SIZE, SIZE), dtype=np.float32)
    images[order] = -toy.particles.read(np.arange(N))  # particle i is image order[i]
    stacks = [folder / "toy" / "particles" / f"{i}.mrcs" for i in range(2)]
    for stack, part in zip(stacks, (images[:50], images[50:]), strict=True):
        with StackWriter(stack, len(part), SIZE, toy.particles.pixel_size) as writer:
            writer.append(part)
    source = MrcStacks(
        stacks, file_index=(order >= 50).astype(int), image_index=np.where(order >= 50, order - 50, order)
    )
    particles = dataclasses.replace(toy.particles, images=source, sign=-1)
    write_dataset(folder / "toy", particles, toy.truth, queries=toy.queries, card={"name": "toy"})
    return folder


@pytest.fixture
def original(home: Path) -> Dataset:
    return load_dataset(home / "toy")


@pytest.fixture
def labels(tmp_path: Path, original: Dataset) -> Path:
    np.save(tmp_path / "labels.npy", true_states(original))
    return tmp_path / "labels.npy"


def true_states(dataset: Dataset) -> np.ndarray:
    assert dataset.truth is not None
    return np.array(dataset.truth.states)


def assert_same_particles(found: Particles, expected: Particles, atol: float = 0) -> None:
    np.testing.assert_array_equal(found.read(np.arange(N)), expected.read(np.arange(N)))
    assert found.pixel_size == expected.pixel_size
    np.testing.assert_allclose(found.ctf.defocus_u, expected.ctf.defocus_u, rtol=1e-6)
    np.testing.assert_allclose(found.rotations, expected.rotations, atol=1e-6)
    np.testing.assert_allclose(found.shifts, expected.shifts, atol=1e-5)


# The same particles, whatever they come as


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
    with pytest.raises(ValueError, match="contrast must be bright or dark, got 'light'"):
        adopt(home / "toy" / "particles.star", tmp_path / "no", contrast="light")


# Images stay where they are


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
    with pytest.raises(FormatError, match=r"0.mrcs was changed since .* it has 51,\d\d\d bytes|was changed since"):
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


# Repeating, refusing


def test_the_same_call_finds_its_result_and_another_is_refused(home: Path, labels: Path, tmp_path: Path) -> None:
    first = adopt(home / "toy" / "particles.star", tmp_path / "mine")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "mine").rglob("*")}
    again = adopt(home / "toy" / "particles.star", tmp_path / "mine")
    assert again.card == first.card
    assert hash_card(again.card) == again.card["sha256"]
    with pytest.raises(FormatError, match=r"holds another data set \(mine; they differ in labels\)"):
        adopt(home / "toy" / "particles.star", tmp_path / "mine", labels=labels)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "mine").rglob("*")} == before


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


def test_an_adoption_cut_off_is_finished_by_the_same_call(
    home: Path, labels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cryobench.experiment import adopt as module

    def stop(*given: object, **named: object) -> None:
        raise KeyboardInterrupt

    call = {"labels": labels, "volumes": home / "toy" / "truth" / "volumes"}
    with monkeypatch.context() as patch:
        patch.setattr(module, "write_dataset", stop)
        with pytest.raises(KeyboardInterrupt):
            adopt(home / "toy" / "particles.star", tmp_path / "mine", **call)
    with pytest.raises(FormatError, match=r"its adoption was stopped before .* Run the same cryobench adopt command"):
        load_dataset(tmp_path / "mine")
    with pytest.raises(FormatError, match=r"unfinished adoption of another call \(they differ in labels, volumes\)"):
        adopt(home / "toy" / "particles.star", tmp_path / "mine")
    dataset = adopt(home / "toy" / "particles.star", tmp_path / "mine", **call)
    assert dataset.truth is not None
    assert not (tmp_path / "mine" / "adoption.json").exists()


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("particles.star", {"volumes": "truth/volumes"}, "say which particle is in which state with labels"),
        ("particles.star", {"ctf": "ctf.pkl"}, "has poses and CTF of its own"),
        ("particles.star", {"passthrough": ["particles.cs"]}, "passthrough files belong to a .cs file"),
        ("particles/0.mrcs", {}, "holds images alone: give their CTF too"),
        ("query.csv", {}, "is no table of particles"),
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


# Truth: whole, partial, absent


@pytest.mark.parametrize("table", ["particles.star", "particles.cs"])
def test_an_adopted_data_set_gives_the_results_of_the_original(
    home: Path, original: Dataset, tmp_path: Path, table: str
) -> None:
    toy = home / "toy"
    dataset = adopt(
        toy / table,
        tmp_path / "mine",
        labels=toy / "truth" / "particles.parquet",
        volumes=toy / "truth" / "volumes",
        mask=toy / "mask.mrc",
        queries=toy / "query.csv",
    )
    np.testing.assert_array_equal(true_states(dataset), true_states(original))
    np.testing.assert_array_equal(dataset.queries, original.queries)
    for method in ("truth", "truth-backprojection") if table.endswith("star") else ("truth-backprojection",):
        values = []
        for data, name in ((original, "a"), (dataset, "b")):
            result = run(method, data, tmp_path / f"{method}-{name}", device="cpu")
            measured = score(result, data, ["per-image-fsc"])
            values.append({key: each.value for key, each in measured.scores.items()})
        if table.endswith("star"):
            assert values[0] == values[1]
        assert values[0] == pytest.approx(values[1], rel=1e-4)  # poses in float32


@pytest.mark.slow
def test_an_adopted_simulation_is_classified_as_the_original(tmp_path: Path) -> None:
    first = simulate("igg-1d", tmp_path / "simulated", preset="tiny", seed=4)
    simulated = tmp_path / "simulated"
    second = adopt(
        simulated / "particles.star",
        tmp_path / "mine",
        labels=simulated / "truth" / "particles.parquet",
        volumes=simulated / "truth" / "volumes",
        mask=simulated / "mask.mrc",
        queries=simulated / "query.csv",
    )
    costs = {kind.name for kind in get_metric("cost").scores}
    for method in ("3d-class", "truth-backprojection"):
        results = [run(method, data, tmp_path / f"{method}-{data.name}", device="cpu") for data in (first, second)]
        one, other = (
            {key: each.value for key, each in score(result, first).scores.items() if key not in costs}
            for result in results
        )
        assert one.keys() == other.keys()
        for key, value in one.items():
            assert value == other[key] or np.isnan([value, other[key]]).all(), key


@pytest.fixture
def partial(tmp_path: Path, original: Dataset) -> Path:
    """Labels of every third particle."""
    states = true_states(original)
    states[np.arange(N) % 3 != 0] = -1
    np.save(tmp_path / "partial.npy", states)
    return tmp_path / "partial.npy"


def test_partial_truth(home: Path, original: Dataset, partial: Path, tmp_path: Path) -> None:
    dataset = adopt(
        home / "toy" / "particles.star", tmp_path / "mine", labels=partial, volumes=home / "toy" / "truth" / "volumes"
    )
    truth = dataset.truth
    assert truth is not None
    assert truth.rotations is None
    assert (dataset.card["n_labelled"], dataset.card["n_states"]) == (30, STATES)
    np.testing.assert_array_equal(dataset.queries, np.arange(0, N, 3))  # the labelled ones, for there are 30
    values = {}
    for method in ("truth", "truth-backprojection", "shuffled-truth", "random-latent"):
        result = run(method, dataset, tmp_path / method, device="cpu")
        values[method] = score(result, dataset)["fsc-auc"].value
        assert result.posteriors is None
    assert values["truth"] > values["truth-backprojection"] > values["shuffled-truth"]
    # Queries without a label are left out of the score, and the controls say that they have none.
    queries = np.array([0, 1, 2, 3])
    asked = dataclasses.replace(dataset, queries=queries)
    consensus = run("consensus", asked, tmp_path / "consensus", device="cpu")
    measured = score(consensus, asked)
    assert (measured["fsc-auc"].n, measured.context["per-image-fsc"]["n_unknown_state"]) == (2, 2)
    with pytest.raises(ValueError, match=r"query particle 1 has no known state \(2 of 4 have none\)"):
        run("truth-backprojection", asked, tmp_path / "no", device="cpu")


def test_labels_without_volumes(home: Path, partial: Path, tmp_path: Path) -> None:
    dataset = adopt(home / "toy" / "particles.star", tmp_path / "mine", labels=partial)
    assert dataset.truth is not None
    assert dataset.truth.volumes is None
    assert dataset.truth.n_states == STATES
    assert not (tmp_path / "mine" / "truth" / "volumes").exists()
    result = run("truth-backprojection", dataset, tmp_path / "run", device="cpu")
    scores = score(result, dataset)
    assert "fsc-auc" not in scores.scores
    assert scores.context["not_measured"]["per-image-fsc"].startswith("needs true volumes, which the data set")
    with pytest.raises(ValueError, match="needs the true volumes, and only labels are known of this data set"):
        run("truth", dataset, tmp_path / "no", device="cpu")


def test_no_truth_at_all(home: Path, tmp_path: Path) -> None:
    dataset = adopt(home / "toy" / "particles.star", tmp_path / "mine")
    consensus = run("consensus", dataset, tmp_path / "run", device="cpu")
    scores = score(consensus, dataset)
    assert scores.context["not_measured"]["per-image-fsc"] == "needs truth, which the data set does not have"
    with pytest.raises(ValueError, match="needs the truth, which the data set does not have"):
        run("shuffled-truth", dataset, tmp_path / "no", device="cpu")


def test_consensus_is_the_same_with_and_without_truth(original: Dataset, tmp_path: Path) -> None:
    blind = dataclasses.replace(original, truth=None)
    volumes = [
        run("consensus", data, tmp_path / name, device="cpu").volumes
        for data, name in ((original, "a"), (blind, "b"))
    ]
    np.testing.assert_array_equal(*[source.read(0) for source in volumes if source is not None])


def test_queries_of_unknown_state_alone_are_not_measured(original: Dataset, tmp_path: Path) -> None:
    states = true_states(original)
    states[original.queries] = -1
    assert original.truth is not None
    data = dataclasses.replace(original, truth=GroundTruth(states, original.truth.volumes))
    result = run("consensus", data, tmp_path / "run", device="cpu")
    reason = score(result, data).context["not_measured"]["per-image-fsc"]
    assert reason == "needs a query particle of known state, and all 9 are unlabelled"


def test_command_line(home: Path, partial: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    def call(*words: object) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["cryobench", *map(str, words)])
        capsys.readouterr()
        try:
            run_cli()
            status = 0
        except SystemExit as stop:
            status = int(stop.code or 0)
        printed = capsys.readouterr()
        return status, " ".join((printed.out + printed.err).split())

    toy = home / "toy"
    status, printed = call(
        "adopt", toy / "particles.star", "-o", tmp_path / "mine", "--labels", partial, "--mask", toy / "mask.mrc",
        "--name", "partly labelled", "--n-queries", 5,
    )  # fmt: skip
    assert status == 0, printed
    assert "protein bright in the stored images, poses given, 30 particles labelled, mask" in printed
    assert "partly labelled: 90 images of 16 px at 4 Å/px, 3 states, 5 query particles" in printed
    assert call("run", "consensus", tmp_path / "mine", "-o", tmp_path / "run", "--device", "cpu")[0] == 0
    status, printed = call("score", tmp_path / "run")
    assert status == 0, printed
    assert "not measured (consensus): per-image-fsc needs true volumes, which the data set does not have" in printed
    status, printed = call("adopt", toy / "particles.star", "-o", tmp_path / "no", "--shift-unit", "pixels")
    assert (status, printed) == (2, "error: shift_unit must be fraction or pixel, got 'pixels'.")


# Volumes, mask


@pytest.fixture
def maps(tmp_path: Path) -> Path:
    """Twelve volumes of 16 voxels, each constant, whose names count without leading zeros."""
    for state in range(12):
        write_volume(tmp_path / "maps" / f"state_{state}.mrc", np.full((SIZE,) * 3, state, np.float32), 4.0)
    return tmp_path / "maps"


def test_volumes_count_as_people_do(home: Path, labels: Path, maps: Path, tmp_path: Path) -> None:
    dataset = adopt(home / "toy" / "particles.star", tmp_path / "mine", labels=labels, volumes=maps)
    assert dataset.truth is not None
    assert dataset.truth.volumes is not None
    assert [dataset.truth.volumes.read(state).mean() for state in (2, 10, 11)] == [2, 10, 11]


def test_finer_volumes_are_cropped_to_the_grid_of_the_images(home: Path, labels: Path, tmp_path: Path) -> None:
    """A wide Gaussian off the centre: half the grid holds the same function at every other point."""

    def gaussian(size: int, voxel: float) -> np.ndarray:
        axis = voxel * (np.arange(size) - size // 2)
        along = [np.exp(-((axis - centre) ** 2) / (2 * 7.0**2)) for centre in (4.0, -8.0, 6.0)]
        return np.einsum("z,y,x->zyx", *along).astype(np.float32)

    for state in range(STATES):
        write_volume(tmp_path / "maps" / f"{state}.mrc", gaussian(2 * SIZE, 2.0), 2.0)
    dataset = adopt(home / "toy" / "particles.star", tmp_path / "mine", labels=labels, volumes=tmp_path / "maps")
    assert dataset.truth is not None
    np.testing.assert_allclose(dataset.truth.volume_of(0), gaussian(SIZE, 4.0), atol=2e-3)
    assert dataset.card["notes"] == ["volumes Fourier-cropped from 32 to 16 voxels a side, 2 times coarser"]
    assert read_volume(tmp_path / "mine" / "truth" / "volumes" / "000.mrc")[1] == 4.0


@pytest.mark.parametrize(
    ("size", "voxel", "count", "message"),
    [
        (24, 4.0, 3, "24 voxels a side, but the images have 16 px: only volumes on the grid of the images, or finer"),
        (8, 8.0, 3, "8 voxels a side, but the images have 16 px"),
        (16, 3.0, 3, "voxels of 3 Å, but the images have pixels of 4 Å"),
        (32, 4.0, 3, "voxels of 4 Å, but the images have pixels of 2 Å|they are not on one grid"),
        (16, 4.0, 2, "states 0 to 2, but .* holds 2 volumes .0.mrc to 1.mrc."),
        (16, 4.0, 0, "holds no .mrc volumes"),
    ],
)
def test_volumes_that_do_not_fit(
    home: Path, labels: Path, tmp_path: Path, size: int, voxel: float, count: int, message: str
) -> None:
    (tmp_path / "maps").mkdir()
    for state in range(count):
        write_volume(tmp_path / "maps" / f"{state}.mrc", np.zeros((size,) * 3, np.float32), voxel)
    with pytest.raises(FormatError, match=message):
        adopt(home / "toy" / "particles.star", tmp_path / "mine", labels=labels, volumes=tmp_path / "maps")
    assert not (tmp_path / "mine").exists()


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.ones((8, 8, 8)), "8 voxels a side, but the images have 16 px. Resample the mask onto 16 voxels of 4 Å"),
        (np.full((16, 16, 16), 7.0), "is no mask: its values run from 7 to 7"),
        (np.zeros((16, 16, 16)), "mask.mrc holds next to nothing: its values sum to 0 voxels, expected at least 64"),
    ],
)
def test_masks_that_do_not_fit(home: Path, tmp_path: Path, mask: np.ndarray, message: str) -> None:
    write_volume(tmp_path / "mask.mrc", mask.astype(np.float32), 4.0)
    with pytest.raises(FormatError, match=message):
        adopt(home / "toy" / "particles.star", tmp_path / "mine", mask=tmp_path / "mask.mrc")


def test_a_mask_beside_the_molecule_is_refused(home: Path, labels: Path, tmp_path: Path, original: Dataset) -> None:
    corner = np.zeros((SIZE,) * 3, np.float32)
    corner[:4, :4, :4] = 1
    write_volume(tmp_path / "mask.mrc", corner, 4.0)
    given = {"labels": labels, "mask": tmp_path / "mask.mrc"}
    with pytest.raises(FormatError, match=r"mask.mrc holds .* of the power of the true volumes, expected at least"):
        adopt(home / "toy" / "particles.star", tmp_path / "mine", volumes=home / "toy/truth/volumes", **given)
    adopt(home / "toy" / "particles.star", tmp_path / "mine", **given)  # nothing is known that it should hold


# Labels


def labelled(n: int = 5) -> Particles:
    toy = toy_dataset(size=8, n=n, n_states=2, n_queries=1).particles
    return dataclasses.replace(toy, images=ArrayImages(np.zeros((n, 8, 8))), mask=None)


STATES_OF_FIVE = [2, 0, -1, 1, 10]


@pytest.mark.parametrize(
    "text",
    [
        "2\n0\n-1\n1\n10\n",
        "state\n2\n0\n-1\n1\n10\n",
        "\ufeffparticle,state\n4,10\n0,2\n1,0\n3,1\n",
        "4,10\n0,2\n\n1,0\n3,1.0\n",
        "name,Label,weight\na,2,1\nb,0,1\nc,-1,1\nd,1,1\ne,10,1\n",
    ],
)
def test_labels_from_csv(tmp_path: Path, text: str) -> None:
    (tmp_path / "labels.csv").write_text(text, encoding="utf-8")
    np.testing.assert_array_equal(read_labels(tmp_path / "labels.csv", labelled()), STATES_OF_FIVE)


def test_labels_from_arrays_and_tables(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array(STATES_OF_FIVE, dtype=np.float32)[:, None])
    write_pickle(tmp_path / "b.pkl", np.array(STATES_OF_FIVE))
    pd.DataFrame({"state": STATES_OF_FIVE}).to_parquet(tmp_path / "c.parquet")
    starfile.write({"particles": pd.DataFrame({"rlnClassNumber": [3, 1, 0, 2, 11]})}, tmp_path / "d.star")
    for name in ("a.npy", "b.pkl", "c.parquet", "d.star"):
        found = read_labels(tmp_path / name, labelled())
        assert found.dtype == np.int64
        np.testing.assert_array_equal(found, STATES_OF_FIVE, err_msg=name)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0\n1\n", "labels 2 particles .*, but there are 5"),
        ("0\n1\n2\n3\n4\n5\n", "labels 6 particles .*, but there are 5"),
        ("", "is empty"),
        ("0\n1\n2\n3\n-2\n", "the state of particle 4 is -2, expected 0, 1, 2"),
        ("0\n1\n2\n3\n0.5\n", "the state of particle 4 is 0.5"),
        ("state\n0\n1\n2\n3\nx\n", "entry 6 is 'x'"),
        ("0,1\n0,2\n", "labels particle 0 more than once"),
        ("5,1\n0,2\n", "labels particle 5, but there are particles 0 to 4"),
        ("1,2,3\n", "3 columns and no header"),
        ("state,State\n1,2\n", "has two columns named 'state'"),
        ("particle,defocus\n1,2\n", "has the columns particle, defocus, expected one called state"),
    ],
)
def test_labels_that_are_none(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(FormatError, match=message):
        read_labels(tmp_path / "labels.csv", labelled())


def test_label_files_of_other_kinds(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("0")
    with pytest.raises(FormatError, match=r"expected .csv, .npy, .pkl, .parquet, .star, found '.txt'"):
        read_labels(tmp_path / "labels.txt", labelled())
    starfile.write({"particles": pd.DataFrame({"rlnDefocusU": [1, 2]})}, tmp_path / "x.star")
    with pytest.raises(FormatError, match="no column _rlnClassNumber"):
        read_labels(tmp_path / "x.star", labelled())
    np.save(tmp_path / "x.npy", np.zeros((5, 2)))
    with pytest.raises(FormatError, match=r"shape \(5, 2\)"):
        read_labels(tmp_path / "x.npy", labelled())


def test_a_pickle_of_labels_runs_nothing(tmp_path: Path) -> None:
    import pickle

    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    (tmp_path / "x.pkl").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(FormatError, match="refused"):
        read_labels(tmp_path / "x.pkl", labelled())
    assert not (tmp_path / "ran").exists()


def test_star_labels_follow_the_images_they_name(home: Path, original: Dataset, tmp_path: Path) -> None:
    table = starfile.read(home / "toy" / "particles.star", always_dict=True)
    table["particles"]["rlnClassNumber"] = true_states(original) + 1
    starfile.write(table, tmp_path / "classes.star")
    np.testing.assert_array_equal(read_labels(tmp_path / "classes.star", original.particles), true_states(original))
    table["particles"] = table["particles"].iloc[::-1]
    starfile.write(table, tmp_path / "turned.star")
    np.testing.assert_array_equal(read_labels(tmp_path / "turned.star", original.particles), true_states(original))
    table["particles"] = table["particles"].iloc[:40]
    starfile.write(table, tmp_path / "part.star")
    found = read_labels(tmp_path / "part.star", original.particles)
    np.testing.assert_array_equal(found[-40:], true_states(original)[-40:])
    assert (found[:-40] == -1).all()


# Query particles


@pytest.mark.parametrize("count", [1, 3, 7, 20, 300])
def test_queries_cover_the_states_evenly(count: int, rng: np.random.Generator) -> None:
    states = rng.permutation(np.repeat([-1, 0, 1, 2, 5], [40, 100, 3, 1, 56]))
    queries = choose_queries(states, len(states), count)
    assert len(queries) == min(count, 160)
    assert (np.diff(queries) > 0).all()
    assert (states[queries] >= 0).all()
    if count >= 4:
        assert set(states[queries]) == {0, 1, 2, 5}
        shares = np.bincount(states[queries])[[0, 5]] / len(queries)
        np.testing.assert_allclose(shares, [100 / 160, 56 / 160], atol=2 / count)
    np.testing.assert_array_equal(queries, choose_queries(states, len(states), count))


def test_queries_without_labels_are_evenly_spaced() -> None:
    np.testing.assert_array_equal(choose_queries(None, 100, 4), [12, 37, 62, 87])
    np.testing.assert_array_equal(choose_queries(np.full(100, -1), 100, 4), [12, 37, 62, 87])
    np.testing.assert_array_equal(choose_queries(np.arange(10), 10, 5), [1, 3, 5, 7, 9])


def test_queries_can_be_given(home: Path, tmp_path: Path) -> None:
    star = home / "toy" / "particles.star"
    assert list(adopt(star, tmp_path / "a", queries=np.array([7, 3])).queries) == [7, 3]
    (tmp_path / "q.csv").write_text("8\n2\n")
    assert list(adopt(star, tmp_path / "b", queries=tmp_path / "q.csv").queries) == [8, 2]
    (tmp_path / "q.csv").write_text("particle\n90\n")
    with pytest.raises(FormatError, match="names the query particle '90', expected indices of particles, 0 to 89"):
        adopt(star, tmp_path / "c", queries=tmp_path / "q.csv")


def test_the_card_says_where_it_comes_from(home: Path, labels: Path, tmp_path: Path) -> None:
    adopt(home / "toy" / "particles.star", tmp_path / "mine", labels=labels)
    plan = json.loads((tmp_path / "mine" / "dataset.json").read_text(encoding="utf-8"))["plan"]
    assert plan["adopted"]["name"] == "particles.star"
    assert len(plan["labels"]["sha256"]) == 64
