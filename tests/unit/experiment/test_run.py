"""The folder of a run: what it takes again, what it refuses, and the way out that it names."""

import json
import shutil
from pathlib import Path

import pytest

from cryobench._errors import FormatError
from cryobench.data import Dataset
from cryobench.experiment import run
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


def test_a_link_to_nowhere_is_refused_and_nothing_is_made(dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "run").symlink_to(tmp_path / "nowhere" / "run")
    with pytest.raises(FileNotFoundError, match=r"run is a link to .*nowhere.*, which is missing"):
        run("consensus", dataset, tmp_path / "run")
    assert not (tmp_path / "nowhere").exists()
