"""Data sets on disk: round trips, hashes, and folders that are unfinished, damaged, edited or too new."""

import dataclasses
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from scipy.spatial.transform import Rotation

from cryobench._errors import FormatError
from cryobench.data import (
    CollectiveVariable,
    Dataset,
    GroundTruth,
    IndexedVolumes,
    Particles,
    StateComponents,
)
from cryobench.imaging.ctf import Ctf
from cryobench.io.atomic import write_json
from cryobench.io.folders import dataset_store
from cryobench.io.folders.dataset_store import hash_contents
from cryobench.io.formats.mrc import MrcFolder, MrcStacks, begin_stack, write_volume
from cryobench.io.programs.cryodrgn import read_ctf, read_poses
from cryobench.io.store import (
    hash_card,
    load_dataset,
    read_card,
    verify_dataset,
    write_dataset,
)
from stored import edit_json

N, SIZE = 8, 6


def dataset_parts(folder: Path, rng: np.random.Generator, n: int = N, size: int = SIZE) -> dict:
    """Everything write_dataset needs; the stacks are written."""
    stacks, hashes = [Path("particles/000.mrcs"), Path("particles/001.mrcs")], {}
    for stack, count in zip(stacks, (n // 2, n - n // 2), strict=True):
        with begin_stack(folder / stack, count, size, 1.5) as writer:
            writer.append(rng.normal(size=(count, size, size)).astype(np.float32))
        hashes[stack.as_posix()] = writer.sha256
    return {
        "stacks": stacks,
        "hashes": hashes,
        "ctf": Ctf.from_columns(n, defocus_u=rng.uniform(1e4, 2e4, n), defocus_v=1e4, b_factor=50.0),
        "rotations": Rotation.random(n, rng=rng).as_matrix(),
        "shifts": rng.uniform(-4, 4, (n, 2)),
        "pixel_size": 1.5,
        "sign": -1,
        "states": np.arange(n) % 3,
        "volumes": IndexedVolumes(rng.normal(size=(3, size, size, size)).astype(np.float32), np.arange(3)),
        "embedding": rng.normal(size=(n, 2)),
        "variables": {
            "dihedral": CollectiveVariable(rng.uniform(0, 6, n), "rad", 2 * np.pi),
            "distance": CollectiveVariable(rng.uniform(0, 9, n), "Å"),
        },
        "mask": rng.uniform(0, 1, (size,) * 3).astype(np.float32),
        "queries": np.array([5, 0, 3]),
        "card": {"name": "toy", "recipe": "toy", "parameters": {"angles": (1, 2.5)}, "seed": 3},
    }


def write(folder: Path, parts: dict, poses: tuple | str = "true") -> Dataset:
    """``write_dataset`` of those parts; methods are given the true poses, others, or none ("withheld")."""
    true = parts["rotations"], parts["shifts"]
    given = {"true": true, "withheld": (None, None)}[poses] if isinstance(poses, str) else poses
    images = MrcStacks([folder / stack for stack in parts["stacks"]])
    mask, sign = parts["mask"], parts["sign"]
    particles = Particles(images, parts["pixel_size"], parts["ctf"], *given, sign=sign, mask=mask)
    truth = GroundTruth(parts["states"], parts["volumes"], *true, parts["embedding"], parts["variables"])
    return write_dataset(
        folder, particles, truth, queries=parts["queries"], card=parts["card"], hashes=parts["hashes"]
    )


@pytest.fixture
def parts(tmp_path: Path, rng: np.random.Generator) -> dict:
    return dataset_parts(tmp_path / "toy", rng)


@pytest.fixture
def folder(tmp_path: Path, parts: dict) -> Path:
    write(tmp_path / "toy", parts)
    return tmp_path / "toy"


def test_a_data_set_comes_back(folder: Path, parts: dict) -> None:
    found = load_dataset(folder)
    particles, truth = found.particles, found.truth
    assert truth is not None
    assert (found.name, found.path, len(particles), particles.box_size) == ("toy", folder.absolute(), N, SIZE)
    assert (particles.pixel_size, particles.sign) == (1.5, -1)
    np.testing.assert_array_equal(found.queries, parts["queries"])
    np.testing.assert_allclose(particles.rotations, parts["rotations"], atol=3e-8)
    np.testing.assert_allclose(particles.shifts, parts["shifts"], rtol=1e-8)
    np.testing.assert_allclose(particles.ctf.defocus_u, parts["ctf"].defocus_u, rtol=1e-8)
    np.testing.assert_array_equal(particles.ctf.b_factor, 50)
    np.testing.assert_array_equal(particles.mask, parts["mask"])
    for name in ("states", "rotations", "shifts", "embedding"):
        np.testing.assert_array_equal(getattr(truth, name), parts[name], err_msg=name)
    for state in range(3):
        np.testing.assert_array_equal(truth.volumes.read(state), parts["volumes"].read(state))
    for name, variable in parts["variables"].items():
        np.testing.assert_array_equal(truth.variables[name].values, variable.values)
        assert (truth.variables[name].unit, truth.variables[name].period) == (variable.unit, variable.period)
    assert found.card["parameters"] == {"angles": [1, 2.5]}
    assert (found.card["n_states"], found.card["poses"], found.card["schema"]) == (3, "true", 2)


def test_the_files_of_other_programs_lie_beside(folder: Path, parts: dict) -> None:
    rotations, shifts = read_poses(folder / "poses.pkl", box_size=SIZE, pixel_size=1.5)
    np.testing.assert_allclose(rotations, parts["rotations"], atol=1e-7)
    np.testing.assert_allclose(shifts, parts["shifts"], rtol=1e-6)
    ctf, box_size, pixel_size = read_ctf(folder / "ctf.pkl")
    np.testing.assert_allclose(ctf.defocus_u, parts["ctf"].defocus_u, rtol=1e-6)
    assert (box_size, pixel_size) == (SIZE, 1.5)
    assert (folder / "query.csv").read_text() == "particle\n5\n0\n3\n"


def test_images_are_read_in_stack_order(folder: Path, tmp_path: Path, rng: np.random.Generator) -> None:
    images = np.concatenate(
        [np.fromfile(folder / stack, "<f4", offset=1024) for stack in ("particles/000.mrcs", "particles/001.mrcs")]
    ).reshape(N, SIZE, SIZE)
    np.testing.assert_array_equal(load_dataset(folder).particles.read([7, 0, 4]), -images[[7, 0, 4]])


def test_writing_gives_the_same_bytes_and_hash_again(folder: Path, parts: dict, tmp_path: Path) -> None:
    before = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    write(folder, parts | {"hashes": None})
    after = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert before == after
    card = load_dataset(folder).card
    assert hash_card(card) == card["sha256"]
    other = write(folder, parts | {"card": parts["card"] | {"seed": 4}}).card["sha256"]
    assert other != card["sha256"]


def test_every_file_is_on_the_card(folder: Path) -> None:
    listed = set(load_dataset(folder).card["files"]) | {"dataset.json"}
    assert listed == {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_known_hashes_spare_reading_the_stacks(tmp_path: Path, parts: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed = []
    real = dataset_store.hash_file
    monkeypatch.setattr(dataset_store, "hash_file", lambda path: hashed.append(path.name) or real(path))
    write(tmp_path / "toy", parts)
    assert "particles.star" in hashed
    assert "000.mrcs" not in hashed


def test_volumes_may_lie_there_already(tmp_path: Path, parts: dict) -> None:
    paths = [tmp_path / "toy" / "truth" / "volumes" / f"{state:03d}.mrc" for state in range(3)]
    for state, path in enumerate(paths):
        write_volume(path, parts["volumes"].read(state), 1.5)
    times = [path.stat().st_mtime_ns for path in paths]
    found = write(tmp_path / "toy", parts | {"volumes": MrcFolder(paths)})
    assert found.truth is not None
    np.testing.assert_array_equal(found.truth.volumes.read(2), parts["volumes"].read(2))
    assert [path.stat().st_mtime_ns for path in paths] == times


def test_what_is_known_of_states_comes_back(tmp_path: Path, parts: dict) -> None:
    folder = tmp_path / "toy"
    plain = write(folder, parts)
    assert plain.truth is not None
    assert (plain.truth.state_names, plain.truth.components, plain.truth.ctf) == (None, None, None)
    components = StateComponents(("core", "uL1"), np.array([[1, 0], [1, 0.5], [1, 1]]), np.array([[0, 1], [1, 2]]))
    facts = pd.DataFrame({"mass_kda": [300.0, 310.5, 321.0], "images": [3, 3, 2]})
    true_ctf = Ctf.from_columns(N, defocus_u=np.linspace(1e4, 2e4, N), defocus_v=1e4, phase_shift=0.1)
    truth = dataclasses.replace(
        plain.truth, components=components, state_names=("a", "b", "c"), state_facts=facts, ctf=true_ctf
    )
    found = write_dataset(folder, plain.particles, truth, queries=parts["queries"], card=parts["card"]).truth
    assert found is not None
    assert found.state_names == ("a", "b", "c")
    assert found.components.names == ("core", "uL1")
    np.testing.assert_array_equal(found.components.occupancies, components.occupancies)
    np.testing.assert_array_equal(found.components.edges, [[0, 1], [1, 2]])
    pd.testing.assert_frame_equal(found.state_facts, facts)
    for field in dataclasses.fields(Ctf):
        np.testing.assert_array_equal(getattr(found.ctf, field.name), getattr(true_ctf, field.name))
    # Written again without them, nothing of it is left.
    write(folder, parts)
    assert not (folder / "truth" / "states.parquet").exists()
    assert not (folder / "truth" / "ctf.parquet").exists()


def test_a_blind_data_set_has_no_truth(folder: Path, tmp_path: Path, parts: dict) -> None:
    shutil.rmtree(folder / "truth")
    assert load_dataset(folder).truth is None
    verify_dataset(folder)


def test_a_data_set_without_known_truth(tmp_path: Path, parts: dict) -> None:
    known = write(tmp_path / "toy", parts)
    shutil.rmtree(tmp_path / "toy" / "truth")
    card = parts["card"]
    found = write_dataset(tmp_path / "toy", known.particles, None, queries=parts["queries"], card=card)
    assert found.truth is None
    assert (found.card["n_states"], found.card["poses"]) == (0, "given")


def test_methods_get_only_the_poses_they_are_given(tmp_path: Path, parts: dict, rng: np.random.Generator) -> None:
    withheld = write(tmp_path / "toy", parts, "withheld")
    assert withheld.particles.rotations is None
    assert withheld.truth is not None
    np.testing.assert_array_equal(withheld.truth.rotations, parts["rotations"])
    assert not (tmp_path / "toy" / "poses.pkl").exists()
    assert "rlnAngleRot" not in (tmp_path / "toy" / "particles.star").read_text()
    other = Rotation.random(N, rng=rng).as_matrix(), np.zeros((N, 2))
    given = write(tmp_path / "toy", parts, other)
    np.testing.assert_allclose(given.particles.rotations, other[0], atol=3e-8)
    np.testing.assert_array_equal(given.truth.rotations, parts["rotations"])
    assert given.card["poses"] == "given"


@pytest.mark.parametrize(
    ("replaced", "message"),
    [
        ({"queries": np.array([8])}, "query particle 8"),
        ({"mask": np.ones((5, 5, 5), np.float32)}, r"mask has shape \(5, 5, 5\)"),
        ({"states": np.full(N, 3)}, "state 3"),
        ({"rotations": np.zeros((N, 3, 3))}, "not a proper rotation"),
        ({"volumes": IndexedVolumes(np.zeros((3, 4, 4, 4)), np.arange(3))}, "4 voxels a side, the images\\s+6 px"),
        ({"card": {"recipe": "x"}}, "needs the data set's name"),
        ({"card": {"name": "x", "pixel_size": 2.0}}, r"the card says pixel_size = 2\.0, but it is 1\.5"),
        ({"variables": {"state": CollectiveVariable(np.zeros(N), "")}}, "cannot be named 'state'"),
        ({"stacks": [Path("particles/000.mrcs")]}, "4 images, but CTF parameters for 8"),
        ({"stacks": [Path("none.mrcs")]}, r"none\.mrcs does not exist"),
    ],
)
def test_contradictions_leave_no_card(tmp_path: Path, parts: dict, replaced: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        write(tmp_path / "toy", parts | replaced)
    assert not (tmp_path / "toy" / "dataset.json").exists()


def test_an_interrupted_write_is_told_from_a_finished_one(
    tmp_path: Path, parts: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "toy", parts)

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(dataset_store, "write_truth", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "toy", parts)
    with pytest.raises(FormatError, match=r"is not finished: .* Run the same cryobench simulate command again"):
        load_dataset(tmp_path / "toy")


@pytest.mark.parametrize("left", ["simulation", "particles", "truth"])
def test_a_simulation_cut_short_says_how_to_go_on(tmp_path: Path, left: str) -> None:
    (tmp_path / left).mkdir()
    with pytest.raises(FormatError, match=r"is not finished: .* simulate"):
        load_dataset(tmp_path)


def test_folders_that_are_no_data_sets(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"none does not exist or is not a folder"):
        load_dataset(tmp_path / "none")
    with pytest.raises(FormatError, match=r"is not a data set: it has no dataset\.json"):
        load_dataset(tmp_path)
    (tmp_path / "dataset.json").write_text("{}")
    with pytest.raises(FormatError, match="schema is None"):
        load_dataset(tmp_path)
    (tmp_path / "dataset.json").write_text('{"schema": 1, "sign": 1}')
    with pytest.raises(FormatError, match="lacks n_particles, box_size, pixel_size, files, sha256"):
        load_dataset(tmp_path)


def test_a_newer_schema_is_refused(folder: Path) -> None:
    edit_json(folder / "dataset.json", schema=3)
    with pytest.raises(FormatError, match=r"newer cryobench \(schema 3; this version reads up to 2\)"):
        load_dataset(folder)


@pytest.mark.parametrize("name", ["particles/001.mrcs", "mask.mrc", "truth/embedding.npy", "truth/volumes/001.mrc"])
def test_truncated_and_missing_files_are_named(folder: Path, name: str) -> None:
    size = (folder / name).stat().st_size
    os.truncate(folder / name, size - 4)
    with pytest.raises(FormatError, match=rf"{name} is truncated: it has {size - 4:,} bytes, .* says {size:,}"):
        load_dataset(folder)
    (folder / name).unlink()
    with pytest.raises(FormatError, match=rf"{name} is missing"):
        load_dataset(folder)


def test_changed_bytes_are_found_on_demand(folder: Path) -> None:
    verify_dataset(folder)
    path = folder / "particles" / "000.mrcs"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    load_dataset(folder)
    with pytest.raises(FormatError, match=r"content of particles/000\.mrcs differs"):
        verify_dataset(folder)


@pytest.mark.parametrize("opens", [load_dataset, read_card, verify_dataset])
def test_an_edited_card_is_not_believed(folder: Path, opens: Callable[[Path], object]) -> None:
    edit_json(folder / "dataset.json", sign=-1 * read_card(folder)["sign"])
    with pytest.raises(FormatError, match=r"dataset\.json was changed: .* Restore it from a copy, or make"):
        opens(folder)


def resize(folder: Path, name: str) -> None:
    """Let the card agree with the present size of a file."""
    card = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
    card["files"][name]["bytes"] = (folder / name).stat().st_size
    card |= {"contents_sha256": hash_contents(card), "sha256": hash_card(card)}
    (folder / "dataset.json").write_text(json.dumps(card), encoding="utf-8")


def test_parts_that_do_not_fit_together_are_refused(folder: Path) -> None:
    write_volume(folder / "mask.mrc", np.ones((4, 4, 4), np.float32), 1.5)
    resize(folder, "mask.mrc")
    with pytest.raises(FormatError, match=r"mask\.mrc has 4 voxels a side, but the images have 6 px"):
        load_dataset(folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "particle\n0\n8\n",
            r"query\.csv names the query particle '8' in line 3, expected .* 0 to 7",
        ),
        ("particle\n-1\n", "query particle '-1'"),
        ("particle\nx\n", "query particle 'x'"),
        ("", "is empty, expected a list of query particles"),
    ],
)
def test_bad_queries_name_the_line(folder: Path, text: str, message: str) -> None:
    (folder / "query.csv").write_text(text)
    resize(folder, "query.csv")
    with pytest.raises(FormatError, match=message):
        load_dataset(folder)


def test_a_table_of_fewer_particles_is_refused(folder: Path) -> None:
    lines = (folder / "particles.star").read_text().rstrip().split("\n")
    (folder / "particles.star").write_text("\n".join(lines[:-1]) + "\n")
    resize(folder, "particles.star")
    with pytest.raises(FormatError, match=r"lists 7 particles of 6 px, but dataset\.json says 8"):
        load_dataset(folder)


def test_a_damaged_truth_table_is_named(folder: Path) -> None:
    path = folder / "truth" / "particles.parquet"
    table = pq.read_table(path)
    pq.write_table(table.drop_columns("shift_x"), path)
    resize(folder, "truth/particles.parquet")
    with pytest.raises(FormatError, match=r"particles\.parquet has 8 rows and lacks shift_x; 8 rows"):
        load_dataset(folder)
    path.write_bytes(b"x" * 100)
    resize(folder, "truth/particles.parquet")
    with pytest.raises(FormatError, match=r"particles\.parquet cannot be read"):
        load_dataset(folder)


def test_a_data_set_is_a_value_methods_can_be_handed(folder: Path) -> None:
    found = load_dataset(folder)
    assert isinstance(found, Dataset)
    # Particles know nothing of the truth: neither its arrays nor the folder it lies in.
    assert not any("truth" in str(value) for value in vars(found.particles).values())


def test_a_data_set_that_follows_from_its_plan_keeps_its_name_when_bytes_differ(folder: Path, parts: dict) -> None:
    card = json.loads((folder / "dataset.json").read_text())
    planned = {**card, "plan": {"seed": 1}, "named_by": "plan"}
    other = {**planned, "n_states": 7}
    assert hash_card(planned) == hash_card(other)
    assert hash_card(planned) != hash_card({**planned, "plan": {"seed": 2}})
    assert hash_card(card) != hash_card({**card, "n_states": 7})


def test_an_edit_beside_the_plan_is_seen(folder: Path) -> None:
    card = json.loads((folder / "dataset.json").read_text()) | {"plan": {"seed": 1}, "named_by": "plan"}
    card["contents_sha256"] = hash_contents(card)
    card["sha256"] = hash_card(card)
    write_json(folder / "dataset.json", card)
    verify_dataset(folder)
    write_json(folder / "dataset.json", card | {"sign": -card["sign"]})
    with pytest.raises(FormatError, match=r"dataset\.json was changed"):
        read_card(folder)
    write_json(folder / "dataset.json", {key: card[key] for key in card if key != "contents_sha256"})
    with pytest.raises(FormatError, match="lacks contents_sha256"):
        read_card(folder)


def test_a_card_of_the_first_schema_is_read_and_verified(folder: Path) -> None:
    card = json.loads((folder / "dataset.json").read_text())
    old = {key: card[key] for key in card if key not in ("named_by", "contents_sha256", "sha256")} | {"schema": 1}
    (folder / "dataset.json").write_text(json.dumps(old | {"sha256": hash_card(old)}))
    verify_dataset(folder)
    (folder / "dataset.json").write_text(json.dumps(old | {"sha256": hash_card(old), "n_states": 7}))
    with pytest.raises(FormatError, match="was changed"):
        verify_dataset(folder)
