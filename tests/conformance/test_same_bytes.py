"""Same seed, same bytes: of data sets and of scores, on any number of threads and workers.

Each measurement is a process of its own, as the number of threads that a library starts with is decided when it is
loaded.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cryobench.io.store import load_dataset
from cryobench.recipes import RECIPES
from cryobench.runs.run import run
from same_bytes import FURTHER, SMALL, make

_SCRIPT = Path(__file__).parents[1] / "same_bytes.py"
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
_OTHER_LIBRARIES = {
    "OPENBLAS_CORETYPE": "Nehalem",
    "MKL_CBWR": "COMPATIBLE",
    "ATEN_CPU_CAPABILITY": "default",
}
"""Other kernels for NumPy's products and for torch, as an older processor would be given."""


def threads(count: int) -> dict[str, str]:
    return {**dict.fromkeys(_THREADS, str(count)), "OMP_WAIT_POLICY": "PASSIVE"}


def measure(folder: Path, cases: Mapping[str, tuple[Mapping[str, str], list[str]]]) -> dict[str, Any]:
    """What ``same_bytes.py`` prints in each case (environment, arguments); all are run at the same time."""
    running = {}
    for name, (changes, arguments) in cases.items():
        work = folder / name.replace(" ", "-")
        work.mkdir()
        command = [sys.executable, str(_SCRIPT), str(work), *arguments]
        running[name] = subprocess.Popen(command, env={**os.environ, **changes}, stdout=subprocess.PIPE, text=True)
    printed = {name: process.communicate()[0] for name, process in running.items()}
    assert all(process.returncode == 0 for process in running.values()), printed
    return {name: json.loads(text) for name, text in printed.items()}


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """A run with latents and volumes, of the same data set as the processes simulate."""
    work = tmp_path_factory.mktemp("scored")
    dataset = load_dataset(make("igg-1d", work / "data"))
    run("random-latent", dataset, work / "run")
    return work / "run"


def test_every_recipe_has_a_small_size():
    assert set(SMALL) == set(RECIPES)


@pytest.fixture(scope="module")
def on_one_and_two_threads(tmp_path_factory, run_folder):
    """Hashes of data sets, and scores, each from one process."""
    words = ["1", *FURTHER, "--score", str(run_folder), "none"]
    found = measure(tmp_path_factory.mktemp("threads"), {str(count): (threads(count), words) for count in (1, 2)})
    return found["1"], found["2"]


@pytest.mark.gate
@pytest.mark.parametrize("name", FURTHER)
def test_threads_change_no_byte_of_a_data_set(on_one_and_two_threads, name):
    one, two = on_one_and_two_threads
    assert one[name]["name"]
    assert one[name] == two[name]


@pytest.mark.gate
def test_threads_change_no_score_and_a_data_set_made_anew_is_the_same_one(on_one_and_two_threads):
    one, two = on_one_and_two_threads
    assert one["scores"]["scores"]
    assert one["scores"] == two["scores"]


@pytest.mark.slow
@pytest.mark.parametrize("name", [*SMALL, *FURTHER])
def test_threads_and_workers_change_no_byte(tmp_path, name):
    cases = {f"{count} threads": (threads(count), ["1", name]) for count in (1, 2, 4)}
    cases["2 workers"] = (threads(2), ["2", name])
    found = measure(tmp_path, cases)
    for case in cases:
        assert found[case] == found["1 threads"], case


@pytest.mark.slow
@pytest.mark.parametrize("align", ["reconstruction", "volume"])
def test_threads_change_no_score_of_aligned_volumes(tmp_path, run_folder, align):
    cases = {f"{count} threads": (threads(count), ["1", "--score", str(run_folder), align]) for count in (1, 2, 4)}
    found = measure(tmp_path, cases)
    assert found["1 threads"] == found["2 threads"] == found["4 threads"]


@pytest.mark.slow
@pytest.mark.parametrize("name", [*SMALL, *FURTHER])
def test_other_libraries_give_the_same_data_set_to_rounding(tmp_path, name):
    cases = {"as it is": ({}, ["1", name]), "others": (_OTHER_LIBRARIES, ["1", name])}
    found = measure(tmp_path, cases)
    assert found["as it is"][name]["name"] == found["others"][name]["name"]
    one, other = (load_dataset(tmp_path / case / name) for case in ("as-it-is", "others"))
    assert one.card["sha256"] == other.card["sha256"]
    every = np.arange(len(one.particles))
    images, others = one.particles.read(every), other.particles.read(every)
    np.testing.assert_allclose(images, others, atol=1e-3 * float(images.std()))
    if name != "spike-md":  # whose positions are factored from a network of springs, and then rounded
        assert found["as it is"] == found["others"]
