"""The folder of a run: what it takes again, what it refuses, and the way out that it names."""

import json
import shutil
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from cryobench._errors import FormatError
from cryobench._progress import find_advice
from cryobench.data import Dataset
from cryobench.io.formats.mrc import write_volume
from cryobench.io.store import read_run_record
from cryobench.methods import get_method
from cryobench.methods.classification_3d import Classification3D
from cryobench.methods.controls import Consensus
from cryobench.runs.run import run
from toy import toy_dataset


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return toy_dataset()


@pytest.fixture
def folder(dataset: Dataset, tmp_path: Path) -> Path:
    run("consensus", dataset, tmp_path / "run")
    return tmp_path / "run"


@pytest.mark.parametrize(
    "content",
    ["[]", "", "text", "{}", '{"schema": 2}', '{"schema": "two"}'],
    ids=["list", "empty", "text", "", "2", "two"],
)
def test_a_damaged_record_names_a_way_out_that_works(dataset: Dataset, folder: Path, content: str) -> None:
    (folder / "run.json").write_text(content)
    with pytest.raises(FormatError, match=r"or remove .*run and run the method again"):
        run("consensus", dataset, folder)
    shutil.rmtree(folder)
    assert run("consensus", dataset, folder).volumes is not None


@pytest.mark.parametrize("damage", ["missing", "cut off"])
def test_a_damaged_volume_is_named_with_a_way_out(dataset: Dataset, folder: Path, damage: str) -> None:
    volume = sorted((folder / "volumes").iterdir())[0]
    if damage == "missing":
        volume.unlink()
    else:
        volume.write_bytes(volume.read_bytes()[:-2])
    with pytest.raises(FormatError, match=rf"{volume.name} .*or remove .*run and run the method again"):
        run("consensus", dataset, folder)


def test_another_precision_is_another_run(dataset: Dataset, folder: Path) -> None:
    assert json.loads((folder / "run.json").read_text())["machine"]["precision"] == "float32"
    with pytest.raises(FormatError, match="they differ in precision"):
        run("consensus", dataset, folder, precision="bfloat16")


def test_a_method_without_use_for_a_mask_refuses_one(dataset: Dataset, tmp_path: Path) -> None:
    size, pixel_size = dataset.particles.box_size, dataset.particles.pixel_size
    write_volume(tmp_path / "mask.mrc", np.ones((size, size, size), np.float32), pixel_size)
    for method, settings in (("cryodrgn", {}), ("3d-class-ab-initio", {}), ("3d-class", {"solvent_mask": False})):
        with pytest.raises(ValueError, match=rf"{method} uses no mask .* leave --mask out"):
            run(method, dataset, tmp_path / "run", mask=tmp_path / "mask.mrc", settings=settings)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("solvent_mask", "prior"), [(False, "none"), (True, "data set")])
def test_the_mask_is_a_prior_of_methods_that_use_it(
    dataset: Dataset, tmp_path: Path, solvent_mask: bool, prior: str
) -> None:
    assert dataset.particles.mask is not None
    settings = {**Classification3D.small, "solvent_mask": solvent_mask}
    assert run("3d-class", dataset, tmp_path / "run", settings=settings).record.priors.mask == prior


def test_another_mask_is_another_run(dataset: Dataset, folder: Path) -> None:
    with pytest.raises(FormatError, match="they differ in mask"):
        run("consensus", dataset, folder, mask="none")


def test_another_data_set_is_another_run(dataset: Dataset, folder: Path) -> None:
    other = replace(dataset, card={**dataset.card, "sha256": "1" * 64})
    with pytest.raises(FormatError, match="they differ in dataset"):
        run("consensus", other, folder)


def test_bfloat16_is_chosen_only_where_there_are_units_for_it(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Consensus, "precisions", ("bfloat16", "float32"))
    for has_units, expected in ((False, "float32"), (True, "bfloat16")):
        module = import_module("cryobench.runs.run")
        monkeypatch.setattr(module, "multiplies_bfloat16", lambda _, has_units=has_units: has_units)
        run("consensus", dataset, tmp_path / expected)
        assert read_run_record(tmp_path / expected).machine.precision == expected
    before = (tmp_path / "float32" / "run.json").read_bytes()
    run("consensus", dataset, tmp_path / "float32")  # here bfloat16 would be chosen, but the run is there
    assert (tmp_path / "float32" / "run.json").read_bytes() == before


def test_a_link_to_nowhere_is_refused_and_nothing_is_made(dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "run").symlink_to(tmp_path / "nowhere" / "run")
    with pytest.raises(FileNotFoundError, match=r"run is a link to .*nowhere.*, which is missing"):
        run("consensus", dataset, tmp_path / "run")
    assert not (tmp_path / "nowhere").exists()


class _Heard(Exception):
    pass


@pytest.mark.parametrize(("preset", "advice"), [("paper", "--preset laptop takes less."), ("laptop", "")])
def test_a_run_knows_whether_another_preset_takes_less(dataset: Dataset, tmp_path: Path, monkeypatch, preset, advice):
    heard = []

    def listen(self, particles, queries, context):
        heard.append(find_advice(context.progress))
        raise _Heard

    monkeypatch.setattr(get_method("cryodrgn"), "reconstruct", listen)
    with pytest.raises(_Heard):
        run("cryodrgn", dataset, tmp_path / "run", preset=preset)
    assert heard == [advice]
