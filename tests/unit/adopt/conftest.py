"""Particles to be adopted, and what is known of them."""

from pathlib import Path

import numpy as np
import pytest

from adoptable import SIZE, N, true_states, write_home
from cryobench.data import Dataset
from cryobench.io.formats.mrc import write_volume
from cryobench.io.store import load_dataset


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the toy as a data set of our own (HOME/toy)."""
    return write_home(tmp_path_factory.mktemp("home with spaces, and a comma"))


@pytest.fixture
def original(home: Path) -> Dataset:
    return load_dataset(home / "toy")


@pytest.fixture
def labels(tmp_path: Path, original: Dataset) -> Path:
    np.save(tmp_path / "labels.npy", true_states(original))
    return tmp_path / "labels.npy"


@pytest.fixture
def partial(tmp_path: Path, original: Dataset) -> Path:
    """Labels of every third particle."""
    states = true_states(original)
    states[np.arange(N) % 3 != 0] = -1
    np.save(tmp_path / "partial.npy", states)
    return tmp_path / "partial.npy"


@pytest.fixture
def maps(tmp_path: Path) -> Path:
    """Twelve volumes of 16 voxels, each constant, whose names count without leading zeros."""
    for state in range(12):
        write_volume(tmp_path / "maps" / f"state_{state}.mrc", np.full((SIZE,) * 3, state, np.float32), 4.0)
    return tmp_path / "maps"
