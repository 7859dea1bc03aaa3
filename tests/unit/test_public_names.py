"""What ``import cryobench`` gives, and that it loads nothing heavy by itself."""

import os
import subprocess
import sys
from importlib import import_module

import numpy as np
import pytest

import cryobench
from cryobench.metrics import information_imbalance, neighbourhood_similarity, pose_error


@pytest.mark.parametrize("package", ["", ".importers", ".methods", ".metrics", ".recipes"])
def test_every_public_name_is_there(package):
    module = import_module(f"cryobench{package}")
    assert len(module.__all__) > 6
    assert set(module.__all__) == set(dir(module))
    for name in module.__all__:
        assert getattr(module, name) is not None


def test_the_version_is_that_of_the_package():
    from importlib.metadata import version

    from typer.testing import CliRunner

    from cryobench.cli.main import app

    assert cryobench.__version__ == version("cryobench")
    assert CliRunner().invoke(app, ["--version"]).output == f"cryobench {cryobench.__version__}\n"


def test_values_show_themselves_in_fewer_than_twenty_lines():
    from fabricated import HOSTILE_NAME, fabricate_dataset, fabricate_results

    dataset = fabricate_dataset(n=30)
    shown = [dataset, dataset.particles, dataset.truth, dataset.particles.ctf]
    for reconstruction, scores in fabricate_results(dataset):
        shown += [reconstruction, scores, *reconstruction.findings]
    for value in shown:
        assert len(repr(value).splitlines()) < 20
        assert len(repr(value)) < 2400
        assert value._repr_html_().startswith("<table>")
    assert repr(dataset).splitlines()[0] == "Dataset 'blobs <on> a circle'"
    assert "states" in repr(dataset.truth)
    assert "int64 (30,)" in repr(dataset.truth)
    assert HOSTILE_NAME not in "".join(value._repr_html_() for value in shown)


def test_results_on_plain_arrays_show_themselves_in_a_few_lines(rng):
    points = rng.standard_normal((300, 2))
    rotations = np.stack([np.eye(3)] * 300)
    for value in (
        neighbourhood_similarity(points, points),
        information_imbalance(points, points),
        pose_error(rotations, rotations),
    ):
        assert len(repr(value).splitlines()) < 20, repr(value)
        assert repr(value).startswith(type(value).__name__)


def test_folders_are_reached_without_an_import_of_their_own():
    code = "import sys, cryobench; print('torch' in sys.modules, cryobench.metrics.fsc.__name__)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["False", "fsc"]


def test_unknown_attribute():
    with pytest.raises(AttributeError, match="No cryobench attribute metric"):
        cryobench.metric  # noqa: B018


@pytest.mark.gate
def test_names_can_be_loaded_at_once():
    """As lazy-loader does where EAGER_IMPORT is set: no module needs a name of a package that is not yet whole."""
    code = "import sys, cryobench; print('torch' in sys.modules, cryobench.run.__name__)"
    environment = {**os.environ, "EAGER_IMPORT": "1"}
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environment)
    assert done.stdout.split() == ["True", "run"]
