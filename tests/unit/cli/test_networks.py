"""``run --more-epochs`` and ``export`` as they are typed."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from cryobench.cli.main import app
from stored import store_dataset
from toy import toy_dataset


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("networks") / "data"
    store_dataset(toy_dataset(size=16, n=60), folder)
    return folder


def type_words(*words: object) -> str:
    result = CliRunner().invoke(app, list(map(str, words)), catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def test_a_run_trains_on_and_is_exported(data, tmp_path):
    small = [word for pair in ("width=8", "depth=1", "z_dim=2", "epochs=1") for word in ("--set", pair)]
    command = ("run", "cryodrgn-ai-fixed", data, "-o", tmp_path / "run", *small, "--memory", "1GB")
    said = type_words(*command)
    assert "run/training (" in said
    assert "is needed only by --more-epochs" in said
    assert "2 attempts" in type_words(*command, "--more-epochs", 2)
    said = type_words("export", tmp_path / "run", "--to", "cryodrgn", "-o", tmp_path / "out")
    assert f"cryodrgn analyze {tmp_path / 'out'} 3" in said
    assert (tmp_path / "out" / "weights.3.pkl").exists()
    with pytest.raises(FileExistsError, match="out already exists"):
        type_words("export", tmp_path / "run", "--to", "cryodrgn", "-o", tmp_path / "out")
