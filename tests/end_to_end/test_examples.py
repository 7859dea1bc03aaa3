"""Every script in examples/ runs as its first lines say."""

import subprocess
import sys
from pathlib import Path

import pytest

from cryobench.io.store import load_reconstruction, load_scores

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.gate
@pytest.mark.parametrize("script", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_example_runs(script, tmp_path):
    done = subprocess.run([sys.executable, script, tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


@pytest.mark.slow
def test_own_volumes_are_scored_as_a_run(tmp_path):
    subprocess.run([sys.executable, EXAMPLES / "score_your_own.py", tmp_path], check=True, capture_output=True)
    assert load_reconstruction(tmp_path / "run").name == "blurred truth"
    assert 0.5 < load_scores(tmp_path / "run")["fsc-auc-normalised"].value < 1
