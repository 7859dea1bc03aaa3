"""Rows in a file are those that were written, in whatever order, and the file goes with the object."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from cryobench.reconstruction.networks.prepared_images.row_file import RowFile


@pytest.mark.parametrize("named", [False, True])
def test_rows_come_back_in_the_order_asked_for(named: bool, tmp_path: Path, rng: np.random.Generator) -> None:
    values = rng.standard_normal((20, 7, 2)).astype(np.float16)
    rows = RowFile(values.shape, tmp_path, named=named)
    order = rng.permutation(20)
    rows[order[:11]] = values[order[:11]]
    rows[order[11:]] = values[order[11:]]
    chosen = np.array([3, 0, 19, 3])
    np.testing.assert_array_equal(rows[chosen], values[chosen])
    left = list(tmp_path.iterdir())
    assert (rows.path in left) == named
    if rows.path is not None:
        travelled = pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(rows))))  # by way of a third process
        travelled.reopen()
        np.testing.assert_array_equal(travelled[chosen], values[chosen])
        del travelled
        assert rows.path.exists()
    del rows
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_told_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 100}))
    with pytest.raises(OSError, match=r"prepared images take 1\.6 kB .* has 100 bytes free"):
        RowFile((20, 40), tmp_path, named=False)
    assert not list(tmp_path.iterdir())


def test_a_row_that_finds_half_its_place_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk was large enough at the start, and others have filled it since."""
    rows = RowFile((20, 40), tmp_path, named=False)
    monkeypatch.setattr("os.pwrite", lambda descriptor, content, offset: len(content) // 2)
    with pytest.raises(OSError, match=r"row 3 .* 40 of 80 bytes: is the disk full"):
        rows[np.array([3])] = np.zeros((1, 40))
