"""The package's own layout: round trips, hashes, and folders that are unfinished, damaged, edited or too new."""

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
import safetensors.numpy
from scipy.spatial.transform import Rotation

from cryobench._errors import FormatError
from cryobench.data import (
    ClassVolumes,
    CollectiveVariable,
    Components,
    Convergence,
    Dataset,
    DatasetIdentity,
    GroundTruth,
    HalfSetFsc,
    IndexedVolumes,
    LatentDensity,
    LatentPath,
    LatentSnapshots,
    LossTerms,
    Machine,
    Particles,
    Priors,
    Reconstruction,
    RunCost,
    RunRecord,
    Score,
    Scores,
    StateComponents,
)
from cryobench.imaging.ctf import Ctf
from cryobench.io import dataset_store
from cryobench.io.atomic import write_json
from cryobench.io.cryodrgn import read_ctf, read_poses
from cryobench.io.dataset_store import hash_contents
from cryobench.io.mrc import MrcFolder, MrcStacks, StackWriter, write_volume
from cryobench.io.store import (
    hash_card,
    hash_run,
    load_dataset,
    load_reconstruction,
    load_scores,
    read_card,
    read_run_record,
    save_reconstruction,
    save_scores,
    verify_dataset,
    write_dataset,
    write_run_record,
)

N, SIZE = 8, 6


def dataset_parts(folder: Path, rng: np.random.Generator, n: int = N, size: int = SIZE) -> dict:
    """Everything write_dataset needs; the stacks are written."""
    stacks, hashes = [Path("particles/000.mrcs"), Path("particles/001.mrcs")], {}
    for stack, count in zip(stacks, (n // 2, n - n // 2), strict=True):
        with StackWriter(folder / stack, count, size, 1.5) as writer:
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


def edit_json(path: Path, **entries: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | entries), encoding="utf-8")


# Data sets


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
        ({"stacks": [Path("particles/000.mrcs")]}, "4 images but CTF parameters of 8"),
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
    with pytest.raises(FormatError, match=r"none does not exist or is no folder"):
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
        ("particle\n0\n8\n", r"query\.csv: line 3 is '8', expected the index of a particle, 0 to 7"),
        ("particle\n-1\n", "line 2 is '-1'"),
        ("particle\nx\n", "line 2 is 'x'"),
        ("0\n1\n", r"query\.csv must begin with the line 'particle'"),
        ("", "must begin"),
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


# Runs


def make_reconstruction(rng: np.random.Generator, **replaced: object) -> Reconstruction:
    posteriors = rng.uniform(size=(N, 2))
    classes = rng.normal(size=(2, SIZE, SIZE, SIZE)).astype(np.float32)
    mean, components = classes[0].copy(), classes.copy()
    parts: dict = {
        "queries": np.array([5, 0, 3]),
        "volumes": IndexedVolumes(classes, np.array([1, 0, 1])),
        "latents": rng.normal(size=(N, 3)),
        "posteriors": posteriors / posteriors.sum(axis=1, keepdims=True),
        "rotations": Rotation.random(N, rng=rng).as_matrix(),
        "shifts": rng.normal(size=(N, 2)),
        "model": {
            "mean": mean,
            "components": components,
            "noise": rng.normal(size=3),
            "weights/last.bias": rng.normal(size=2).astype(np.float32),
            "weights/steps": np.array(7),
        },
        "decodes_by": "linear",
        "findings": (
            Components(mean, components, np.array([4.0, 2, 1])),
            ClassVolumes(classes, np.array([0.75, 0.25])),
            HalfSetFsc(np.array([1, 0.5])),
            HalfSetFsc(np.ones((3, 2)), of="query"),
            LatentDensity(np.ones((4, 4)), np.tile(np.arange(4.0), (2, 1))),
            LatentPath(np.ones((2, 3)), classes),
            Convergence(({"iteration": 1, "objective": np.float32(2)},), "all 1 steps done", "gain"),
            LossTerms(("loss", "kl"), np.ones((6, 2), dtype=np.float32), 2, 1, "mean"),
            LatentSnapshots(np.array([0, 4]), np.array([1, 2, 3]), np.zeros((3, 2, 3))),
        ),
        "notes": ("one", "two"),
        "record": RunRecord(
            "toy", {"classes": 2}, seed=1, dataset=DatasetIdentity("d", "/d", "ab"), cost=RunCost(wall_seconds=0.5)
        ),
    }
    return Reconstruction(**(parts | replaced))


def test_a_reconstruction_comes_back(tmp_path: Path, rng: np.random.Generator) -> None:
    made = make_reconstruction(rng)
    save_reconstruction(made, tmp_path / "run", pixel_size=1.5)
    found = load_reconstruction(tmp_path / "run")
    for name in ("queries", "latents", "posteriors"):
        np.testing.assert_array_equal(getattr(found, name), getattr(made, name), err_msg=name)
    np.testing.assert_allclose(found.rotations, made.rotations, atol=3e-8)
    np.testing.assert_allclose(found.shifts, made.shifts, rtol=1e-8)
    for item in range(3):
        np.testing.assert_array_equal(found.volumes.read(item), made.volumes.read(item))
    assert isinstance(found.volumes, MrcFolder)
    assert found.volumes.pixel_size == 1.5
    assert [path.name for path in found.volumes.paths] == ["000005.mrc", "000000.mrc", "000003.mrc"]
    assert set(found.model) == set(made.model)
    for name, values in made.model.items():
        np.testing.assert_array_equal(found.model[name], values, err_msg=name)
        assert (found.model[name].shape, found.model[name].dtype) == (values.shape, values.dtype)
    assert (found.record, found.notes, found.decodes_by) == (made.record, made.notes, "linear")
    assert found.path == (tmp_path / "run").absolute()


def test_findings_come_back_by_their_fields(tmp_path: Path, rng: np.random.Generator) -> None:
    made = make_reconstruction(rng)
    save_reconstruction(made, tmp_path, pixel_size=1.5)
    found = load_reconstruction(tmp_path)
    assert [type(each) for each in found.findings] == [type(each) for each in made.findings]
    for ours, theirs in zip(made.findings, found.findings, strict=True):
        for field in dataclasses.fields(ours):
            expected, value = getattr(ours, field.name), getattr(theirs, field.name)
            if isinstance(expected, np.ndarray):
                assert isinstance(value, np.memmap)
                np.testing.assert_array_equal(value, expected)
            else:
                assert value == expected


def test_arrays_of_the_model_are_not_written_twice(tmp_path: Path, rng: np.random.Generator) -> None:
    save_reconstruction(make_reconstruction(rng), tmp_path / "run", pixel_size=1.5)
    files = {path.relative_to(tmp_path / "run").as_posix() for path in (tmp_path / "run").rglob("*.npy")}
    assert files == {
        "latents.npy", "posteriors.npy", "model/mean.npy", "model/components.npy", "model/noise.npy",
        "findings/components/variances.npy", "findings/class-volumes/volumes.npy",
        "findings/class-volumes/populations.npy", "findings/half-set-fsc/curves.npy",
        "findings/half-set-fsc-2/curves.npy", "findings/latent-density/values.npy",
        "findings/latent-density/axes.npy", "findings/latent-path/latents.npy", "findings/loss-terms/values.npy",
        *(f"findings/latent-snapshots/{name}.npy" for name in ("particles", "epochs", "latents")),
    }  # fmt: skip
    found = load_reconstruction(tmp_path / "run")
    components = found.find(Components)
    assert components is not None
    assert components.mean is found.model["mean"]
    # A copy is the same, byte by byte.
    save_reconstruction(found, tmp_path / "copy", pixel_size=1.5)
    for name in (*files, "model/weights.safetensors", "run.json"):
        assert (tmp_path / "copy" / name).read_bytes() == (tmp_path / "run" / name).read_bytes(), name


def test_long_logs_have_a_file_and_json_holds_no_nan(tmp_path: Path) -> None:
    log = tuple({"iteration": number, "objective": float("nan")} for number in range(1, 1000))
    made = Reconstruction(np.array([0]), findings=(Convergence(log, "converged: x", "gain"),))
    save_reconstruction(made, tmp_path, pixel_size=1.5)
    assert (tmp_path / "run.json").stat().st_size < 2000
    (found,) = load_reconstruction(tmp_path).findings
    assert (len(found.log), found.log[-1]) == (999, {"iteration": 999, "objective": None})
    assert found.converged


def test_the_model_is_read_when_it_is_asked_for(tmp_path: Path, rng: np.random.Generator) -> None:
    save_reconstruction(make_reconstruction(rng, findings=()), tmp_path, pixel_size=1.5)
    (tmp_path / "model" / "mean.npy").unlink()
    os.truncate(tmp_path / "model" / "components.npy", 300)
    found = load_reconstruction(tmp_path)
    assert found.model["noise"] is found.model["noise"]
    assert not found.model["noise"].flags.writeable
    with pytest.raises(FormatError, match=r"mean\.npy does not exist"):
        found.model["mean"]
    with pytest.raises(FormatError, match=r"components\.npy cannot be read"):
        found.model["components"]
    for kind in (KeyError, FormatError):
        with pytest.raises(
            kind, match=r"model has no array 'density', .* It has components, mean, noise, weights/last"
        ):
            found.model["density"]
    assert found.model.get("density") is None


def test_groups_of_a_model_are_one_file_that_others_read_and_a_damaged_one_is_named(tmp_path: Path, rng) -> None:
    made = make_reconstruction(rng, findings=())
    save_reconstruction(made, tmp_path, pixel_size=1.5)
    path = tmp_path / "model" / "weights.safetensors"
    assert set(path.parent.iterdir()) == {
        path,
        *(path.parent / f"{name}.npy" for name in ("mean", "components", "noise")),
    }
    stored = safetensors.numpy.load_file(path)
    np.testing.assert_array_equal(stored["last.bias"], made.model["weights/last.bias"])
    found = load_reconstruction(tmp_path)
    assert not found.model["weights/last.bias"].flags.writeable
    safetensors.numpy.save_file({"steps": stored["steps"]}, path)
    with pytest.raises(FormatError, match=r"weights\.safetensors cannot be read .* one named 'last\.bias'"):
        load_reconstruction(tmp_path).model["weights/last.bias"]
    os.truncate(path, 20)
    with pytest.raises(FormatError, match=r"weights\.safetensors cannot be read"):
        load_reconstruction(tmp_path).model["weights/steps"]
    path.unlink()
    with pytest.raises(FormatError, match=r"weights\.safetensors cannot be read"):
        load_reconstruction(tmp_path).model["weights/steps"]
    with pytest.raises(ValueError, match=r"takes arrays of numbers, and 'a' is one of <U1"):
        save_reconstruction(make_reconstruction(rng, model={"weights/a": np.array("x")}), tmp_path, pixel_size=1.5)


def test_parts_that_were_not_estimated_stay_none(tmp_path: Path) -> None:
    save_reconstruction(Reconstruction(np.array([2, 1])), tmp_path, pixel_size=1.5)
    found = load_reconstruction(tmp_path)
    np.testing.assert_array_equal(found.queries, [2, 1])
    for name in ("volumes", "latents", "posteriors", "rotations", "shifts"):
        assert getattr(found, name) is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run.json"]


def test_left_out_particles_stay_nan(tmp_path: Path) -> None:
    latents = np.array([[1.0], [np.nan]])
    save_reconstruction(Reconstruction(np.array([0]), latents=latents), tmp_path, pixel_size=1.5)
    np.testing.assert_array_equal(load_reconstruction(tmp_path).latents, latents)


def test_a_second_run_leaves_nothing_of_the_first(tmp_path: Path, rng: np.random.Generator) -> None:
    save_reconstruction(make_reconstruction(rng), tmp_path, pixel_size=1.5)
    save_scores(Scores({}), tmp_path)
    (tmp_path / "log.jsonl").write_text("{}\n")
    assert (tmp_path / "findings").is_dir()
    volumes = IndexedVolumes(np.zeros((1, 4, 4, 4), np.float32), np.array([0]))
    save_reconstruction(Reconstruction(np.array([1]), volumes), tmp_path, pixel_size=1.5)
    files = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert files == {"run.json", "log.jsonl", "volumes/000001.mrc"}


class Interrupted(IndexedVolumes):
    def read(self, index: int) -> np.ndarray:
        if index == 2:
            raise KeyboardInterrupt
        return super().read(index)


def test_an_interrupted_run_is_told_from_a_finished_one(tmp_path: Path, rng: np.random.Generator) -> None:
    volumes = Interrupted(rng.normal(size=(1, 4, 4, 4)).astype(np.float32), np.zeros(3, int))
    save_reconstruction(make_reconstruction(rng), tmp_path, pixel_size=1.5)
    with pytest.raises(KeyboardInterrupt):
        save_reconstruction(make_reconstruction(rng, volumes=volumes), tmp_path, pixel_size=1.5)
    with pytest.raises(FormatError, match=r"is not finished: .* Run the same cryobench run command"):
        load_reconstruction(tmp_path)
    assert read_run_record(tmp_path).status == "running"


def test_a_failed_run_is_a_record(tmp_path: Path) -> None:
    write_run_record(tmp_path / "run", RunRecord("m", status="running"))
    with pytest.raises(FormatError, match="is not finished"):
        load_reconstruction(tmp_path / "run")
    failed = RunRecord("m", status="failed", error="ValueError: x")
    write_run_record(tmp_path / "run", failed)
    found = load_reconstruction(tmp_path / "run")
    assert found.record == failed
    assert (found.volumes, found.findings, len(found.model)) == (None, (), 0)


def test_a_record_written_last_keeps_the_parts_described(tmp_path: Path, rng: np.random.Generator) -> None:
    made = make_reconstruction(rng)
    unfinished = dataclasses.replace(made, record=made.record.with_(status="running"))
    save_reconstruction(unfinished, tmp_path, pixel_size=1.5)
    with pytest.raises(FormatError, match="is not finished"):
        load_reconstruction(tmp_path)
    record = made.record.with_(cost=RunCost(3.0, attempts=2))
    write_run_record(tmp_path, record)
    found = load_reconstruction(tmp_path)
    assert found.record == record
    assert found.volumes is not None
    assert len(found.findings) == len(made.findings)
    write_run_record(tmp_path, record.with_(status="running"))
    assert json.loads((tmp_path / "run.json").read_text())["parts"] == {}


def test_digests_change_with_what_they_are_of(tmp_path: Path, rng: np.random.Generator) -> None:
    made = make_reconstruction(rng)
    save_reconstruction(made, tmp_path, pixel_size=1.5)
    before = hash_run(load_reconstruction(tmp_path))

    def changed(**record: object) -> set[str]:
        write_run_record(tmp_path, made.record.with_(**record))
        after = hash_run(load_reconstruction(tmp_path))
        return {name for name in before if after[name] != before[name]}

    assert changed() == set()
    assert changed(cost=RunCost(wall_seconds=0.6)) == {"cost"}
    assert changed(cost=RunCost(wall_seconds=0.5, attempts=2)) == {"cost"}
    assert changed(machine=Machine("cuda")) == {"cost"}
    assert changed(started="2026-01-01T00:00:00+00:00") == {"cost"}
    assert changed(seed=2) == {"record"}
    assert changed(priors=Priors("given")) == {"record"}
    assert changed(settings={"classes": 3}) == {"record", "decoder"}
    assert changed() == set()
    edit_json(tmp_path / "run.json", decodes_by="other")
    assert hash_run(load_reconstruction(tmp_path))["decoder"] != before["decoder"]
    edit_json(tmp_path / "run.json", decodes_by="linear")
    path = tmp_path / "model" / "noise.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    after = hash_run(load_reconstruction(tmp_path))
    assert {name for name in before if after[name] != before[name]} == {"decoder"}
    with pytest.raises(ValueError, match="save it first"):
        hash_run(made)


def test_runs_that_are_none_damaged_or_newer(tmp_path: Path, rng: np.random.Generator) -> None:
    with pytest.raises(FormatError, match="does not exist or is no folder"):
        load_reconstruction(tmp_path / "none")
    with pytest.raises(FormatError, match=r"is not a run: it has no run\.json"):
        load_reconstruction(tmp_path)
    save_reconstruction(make_reconstruction(rng), tmp_path, pixel_size=1.5)
    (tmp_path / "volumes" / "000000.mrc").unlink()
    with pytest.raises(FormatError, match=r"000000\.mrc is missing \(1 of 3 volumes are\)"):
        load_reconstruction(tmp_path)
    (tmp_path / "latents.npy").unlink()
    with pytest.raises(FormatError, match=r"latents\.npy does not exist|000000\.mrc"):
        load_reconstruction(tmp_path)
    edit_json(tmp_path / "run.json", schema=9)
    with pytest.raises(FormatError, match="newer cryobench"):
        load_reconstruction(tmp_path)
    edit_json(tmp_path / "run.json", schema="x")
    with pytest.raises(FormatError, match="schema is 'x'"):
        load_reconstruction(tmp_path)


def test_a_run_of_the_first_schema_names_the_command_that_makes_it_anew(tmp_path: Path) -> None:
    old = {
        "schema": 1,
        "method": "3d-class",
        "settings": {"n_classes": 4, "mask": "half maps", "name": "12", "memory_gb": 4.0},
        "seed": 3,
        "dataset": {"name": "set", "path": "/data/my set"},
        "status": "finished",
    }
    write_json(tmp_path / "run.json", old)
    command = (
        f"cryobench run 3d-class '/data/my set' -o {tmp_path} --seed 3 --set n_classes=4 --set 'mask=half maps' "
        "--set 'name=\"12\"'"
    )
    for read in (read_run_record, load_reconstruction):
        with pytest.raises(FormatError, match=r"older cryobench \(schema 1; this version reads 2\)") as refused:
            read(tmp_path)
        assert str(refused.value).endswith(f"make it anew: {command}")
    write_json(tmp_path / "run.json", old | {"command": "cryobench run 3d-class set -o here"})
    with pytest.raises(FormatError, match=r"anew: cryobench run 3d-class set -o here$"):
        read_run_record(tmp_path)
    write_json(tmp_path / "run.json", {"schema": 1})
    with pytest.raises(FormatError, match="anew: cryobench run METHOD DATASET -o "):
        read_run_record(tmp_path)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"status": "done"}, r'run\.json is not the record of a run: status cannot be "done"'),
        ({"settings": 3}, r"run\.json is not the record of a run: settings cannot be 3"),
        ({"cost": {"wall_seconds": "12 s"}}, r"run\.json is not the record of a run: cost.wall_seconds cannot be"),
        ({"queries": "all"}, r"run\.json is not the record of a run: queries cannot be"),
        ({"parts": []}, r"run\.json is not the record of a run: parts cannot be"),
        ({"parts": {"model": ["../x"]}}, r"run\.json is not the record of a run: .*'\.\./x' needs a name"),
        ({"pixel_size": "1 A"}, r"run\.json is not the record of a run: pixel_size cannot be"),
        ({"notes": "words"}, r"run\.json is not the record of a run: notes cannot be"),
        ({"decodes_by": 3}, r"run\.json is not the record of a run: decodes_by cannot be 3"),
        ({"findings": [{}]}, r"run\.json is not the record of a run: findings.0.kind is missing"),
        ({"findings": [{"kind": "x"}]}, "has a finding 'x', expected one of components, class volumes"),
        ({"findings": [{"kind": "convergence", "values": {"stopped": "x"}}]}, "convergence .* cannot be read: .*log"),
        (
            {"findings": [{"kind": "convergence", "values": {"stopped": "x", "log": "words"}}]},
            'convergence .* cannot be read: .*"words"',
        ),
        (
            {"findings": [{"kind": "latent path", "arrays": {"latents": "../latents.npy"}}]},
            r"names '\.\./latents\.npy' as a file of a finding",
        ),
        (
            {"findings": [{"kind": "latent path", "arrays": {"latents": "findings/x/latents.npy"}}]},
            r"findings/x/latents\.npy does not exist",
        ),
        ({"findings": [{"kind": "half-set FSC", "arrays": {"curves": "model/mean.npy"}}]}, "must have 1 axis"),
        ({"findings": [{"kind": "half-set FSC", "arrays": {"curves": "model/words.npy"}}]}, "expected numbers"),
    ],
)
def test_a_malformed_record_is_one_clear_error(
    tmp_path: Path, rng: np.random.Generator, entries: dict, message: str
) -> None:
    model = {"mean": np.ones((2, 2)), "words": np.array(["a"])}
    save_reconstruction(make_reconstruction(rng, model=model, findings=()), tmp_path, pixel_size=1.5)
    edit_json(tmp_path / "run.json", **entries)
    with pytest.raises(FormatError, match=message):
        load_reconstruction(tmp_path)


def test_parts_of_different_lengths_are_refused(tmp_path: Path, rng: np.random.Generator) -> None:
    save_reconstruction(make_reconstruction(rng), tmp_path, pixel_size=1.5)
    np.save(tmp_path / "latents.npy", np.zeros((N - 1, 3)))
    with pytest.raises(FormatError, match=r"is no run: the parts of a reconstruction differ in length: .*7"):
        load_reconstruction(tmp_path)


@pytest.mark.parametrize("name", ["method", "status", "queries", "parts"])
def test_entries_that_every_run_has_are_missed(tmp_path: Path, name: str) -> None:
    save_reconstruction(Reconstruction(np.array([0])), tmp_path, pixel_size=1.5)
    entries = json.loads((tmp_path / "run.json").read_text())
    del entries[name]
    write_json(tmp_path / "run.json", entries)
    for read in (read_run_record, load_reconstruction):
        with pytest.raises(FormatError, match=rf"run\.json is not the record of a run: it lacks {name}"):
            read(tmp_path)


@pytest.mark.parametrize("name", ["../escape", "a/b/c", "a/", "/a", "a/../b", "", ".hidden"])
def test_names_that_are_no_file_names_are_refused(tmp_path: Path, rng: np.random.Generator, name: str) -> None:
    with pytest.raises(ValueError, match="needs a name of letters"):
        save_reconstruction(make_reconstruction(rng, model={name: np.zeros(1)}), tmp_path / "run", pixel_size=1.5)
    with pytest.raises(ValueError, match="needs a name of letters"):
        save_scores(Scores({}, {name: pd.DataFrame({"a": [1]})}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_half_a_pose_is_refused(tmp_path: Path, rng: np.random.Generator) -> None:
    with pytest.raises(ValueError, match="both rotations and shifts"):
        save_reconstruction(make_reconstruction(rng, shifts=None), tmp_path, pixel_size=1.5)


# Scores


def make_scores(value: float = 0.4) -> Scores:
    items = pd.DataFrame({"particle": [5, 0], "value": [0.3, float("nan")], "crossed": [True, False]})
    curve = pd.DataFrame({"particle": [5, 5], "mask": ["none", "mask"], "shell": [0, 1], "fsc": [1.0, 0.5]})
    return Scores(
        {
            "fsc-auc": Score("fsc-auc", value, 0.3, 0.5, 2, items),
            "resolution-0.5": Score("r", 1.0, 1.0, 1.0, 1, items),
        },
        {"fsc": curve},
        {"mask": "abc"},
    )


def test_scores_come_back(tmp_path: Path) -> None:
    made = make_scores()
    save_scores(made, tmp_path)
    found = load_scores(tmp_path)
    assert list(found.scores) == list(made.scores)
    for name, score in made.scores.items():
        assert (found[name].metric, found[name].value, found[name].low, found[name].high, found[name].n) == (
            score.metric, score.value, score.low, score.high, score.n,
        )  # fmt: skip
        pd.testing.assert_frame_equal(found[name].items, score.items)
    pd.testing.assert_frame_equal(found.curves["fsc"], made.curves["fsc"])
    assert found.context == {"mask": "abc"}


def test_a_score_that_is_nan_stays_nan(tmp_path: Path) -> None:
    save_scores(make_scores(float("nan")), tmp_path)
    json.loads((tmp_path / "scores" / "scores.json").read_text(), parse_constant=pytest.fail)
    assert np.isnan(load_scores(tmp_path)["fsc-auc"].value)


def test_scores_are_replaced_whole(tmp_path: Path) -> None:
    save_scores(make_scores(), tmp_path)
    bad = dict(make_scores().scores) | {"broken": Score("b", 0.0, 0.0, 0.0, 1, pd.DataFrame({"x": [object()]}))}
    with pytest.raises(Exception, match="object"):
        save_scores(Scores(bad), tmp_path)
    assert list(load_scores(tmp_path).scores) == ["fsc-auc", "resolution-0.5"]
    save_scores(Scores({}), tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["scores", "scores.json"]


def test_missing_damaged_and_newer_scores(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"has no scores\. Make them: cryobench score"):
        load_scores(tmp_path)
    save_scores(make_scores(), tmp_path)
    (tmp_path / "scores" / "fsc-auc.parquet").write_bytes(b"x")
    with pytest.raises(FormatError, match=r"fsc-auc\.parquet cannot be read"):
        load_scores(tmp_path)
    (tmp_path / "scores" / "fsc-auc.parquet").unlink()
    with pytest.raises(FormatError, match=r"fsc-auc\.parquet does not exist"):
        load_scores(tmp_path)
    edit_json(tmp_path / "scores" / "scores.json", schema=3)
    with pytest.raises(FormatError, match="newer cryobench"):
        load_scores(tmp_path)
    (tmp_path / "scores" / "scores.json").write_text("{}")
    with pytest.raises(FormatError, match="does not hold scores"):
        load_scores(tmp_path)


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


def test_the_run_whose_parts_are_wrong_is_named(tmp_path: Path) -> None:
    made = Reconstruction(np.array([0]), latents=np.zeros((3, 2)), posteriors=np.full((3, 2), 0.5))
    save_reconstruction(made, tmp_path / "run", pixel_size=1.5)
    np.save(tmp_path / "run" / "posteriors.npy", np.array([[0.5, 0.5], [np.nan, 0.5], [1, 0]]))
    with pytest.raises(FormatError, match="run is no run: posteriors of particle 1"):
        load_reconstruction(tmp_path / "run")
    np.save(tmp_path / "run" / "latents.npy", np.array([["a"], ["b"], ["c"]]))
    with pytest.raises(FormatError, match=r"latents\.npy holds an array of <U1, expected one of numbers"):
        load_reconstruction(tmp_path / "run")
