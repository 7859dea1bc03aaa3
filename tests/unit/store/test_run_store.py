"""Runs on disk: round trips, digests, and folders that are unfinished, damaged or of another schema."""

import dataclasses
import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import safetensors.numpy
from scipy.spatial.transform import Rotation

from cryobench._errors import FormatError
from cryobench.data import (
    ClassVolumes,
    CoAssignment,
    Components,
    Convergence,
    DatasetIdentity,
    HalfSetFsc,
    IndexedVolumes,
    LatentDensity,
    LatentPath,
    LatentSnapshots,
    LossTerms,
    Machine,
    Priors,
    Reconstruction,
    RunCost,
    RunRecord,
    Scores,
)
from cryobench.io.atomic import write_json
from cryobench.io.formats.mrc import MrcFolder
from cryobench.io.store import (
    hash_run,
    load_reconstruction,
    read_run_record,
    save_reconstruction,
    save_scores,
    write_run_record,
)
from stored import edit_json

N, SIZE = 8, 6


CO_ASSIGNMENT = ("shares", "block_populations", "merges", "species", "populations", "intervals", "numbers")


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
            LossTerms(("loss", "kl"), np.ones((6, 2), dtype=np.float32), np.array([2, 4, 6]), "mean"),
            LatentSnapshots(np.array([0, 4]), np.array([1, 2, 3]), np.zeros((3, 2, 3))),
            CoAssignment(
                np.eye(2),
                np.full(2, 0.5),
                np.array([[0, 1, 0.9, 2]]),
                np.arange(2),
                np.full(2, 0.5),
                np.full((2, 2), 0.5),
                np.array([2, 2, 3]),
            ),
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
        "findings/components/variances.npy", "findings/class-volumes/volumes.npy", "findings/loss-terms/ends.npy",
        "findings/class-volumes/populations.npy", "findings/half-set-fsc/curves.npy",
        "findings/half-set-fsc-2/curves.npy", "findings/latent-density/values.npy",
        "findings/latent-density/axes.npy", "findings/latent-path/latents.npy", "findings/loss-terms/values.npy",
        *(f"findings/latent-snapshots/{name}.npy" for name in ("particles", "epochs", "latents")),
        *(f"findings/co-assignment/{name}.npy" for name in CO_ASSIGNMENT),
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
    with pytest.raises(FormatError, match=r"weights\.safetensors cannot be read .* a tensor named 'last\.bias'"):
        load_reconstruction(tmp_path).model["weights/last.bias"]
    os.truncate(path, 20)
    with pytest.raises(FormatError, match=r"weights\.safetensors cannot be read"):
        load_reconstruction(tmp_path).model["weights/steps"]
    path.unlink()
    with pytest.raises(FormatError, match=r"weights\.safetensors cannot be read"):
        load_reconstruction(tmp_path).model["weights/steps"]
    with pytest.raises(ValueError, match=r"holds arrays of numbers only, but 'a' is of <U1"):
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
    for name in ("series", "training"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "of-the-first").touch()
    assert {path.name for path in tmp_path.iterdir()} > {"findings", "classes", "model", "scores"}
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
    with pytest.raises(FormatError, match="does not exist or is not a folder"):
        load_reconstruction(tmp_path / "none")
    with pytest.raises(FormatError, match=r"is not a run: it has no run\.json"):
        load_reconstruction(tmp_path)
    save_reconstruction(make_reconstruction(rng), tmp_path, pixel_size=1.5)
    latents = (tmp_path / "latents.npy").read_bytes()
    (tmp_path / "latents.npy").unlink()
    with pytest.raises(FormatError, match=r"latents\.npy does not exist"):
        load_reconstruction(tmp_path)
    (tmp_path / "latents.npy").write_bytes(latents)
    (tmp_path / "volumes" / "000000.mrc").unlink()
    with pytest.raises(FormatError, match=r"000000\.mrc is missing \(1 of 3 volumes are\)"):
        load_reconstruction(tmp_path)
    edit_json(tmp_path / "run.json", schema=9)
    with pytest.raises(FormatError, match="newer cryobench"):
        load_reconstruction(tmp_path)
    edit_json(tmp_path / "run.json", schema="x")
    with pytest.raises(FormatError, match="schema is 'x'"):
        load_reconstruction(tmp_path)


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
        (
            {"findings": [{"kind": "half-set FSC", "arrays": {"curves": "model/mean.npy"}}]},
            r"curves of HalfSetFsc must have shape \(s\)",
        ),
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
    with pytest.raises(FormatError, match=r"is not a run: the parts of a reconstruction differ in length: .*7"):
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


def test_the_run_whose_parts_are_wrong_is_named(tmp_path: Path) -> None:
    made = Reconstruction(np.array([0]), latents=np.zeros((3, 2)), posteriors=np.full((3, 2), 0.5))
    save_reconstruction(made, tmp_path / "run", pixel_size=1.5)
    np.save(tmp_path / "run" / "posteriors.npy", np.array([[0.5, 0.5], [np.nan, 0.5], [1, 0]]))
    with pytest.raises(FormatError, match="run is not a run: posteriors of particle 1"):
        load_reconstruction(tmp_path / "run")
    np.save(tmp_path / "run" / "latents.npy", np.array([["a"], ["b"], ["c"]]))
    with pytest.raises(FormatError, match=r"latents\.npy holds an array of <U1, expected numbers"):
        load_reconstruction(tmp_path / "run")
