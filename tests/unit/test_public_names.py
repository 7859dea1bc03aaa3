"""What ``import cryobench`` gives, and that it loads nothing heavy by itself."""

import subprocess
import sys

import pytest

import cryobench


@pytest.mark.parametrize("name", cryobench.__all__)
def test_public_functions_are_there(name):
    assert callable(getattr(cryobench, name))


def test_folders_are_reached_without_an_import_of_their_own():
    code = "import cryobench; print(cryobench.metrics.fsc.__name__, cryobench.methods.get_method('truth').name)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["fsc", "truth"]


def test_unknown_attribute():
    with pytest.raises(AttributeError, match="no attribute 'metric'"):
        cryobench.metric  # noqa: B018
