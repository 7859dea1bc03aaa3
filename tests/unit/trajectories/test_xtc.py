"""Frames on disk: what is read back is what was written to 0.01 Å, and damage is told."""

import numpy as np
import pytest

from cryobench._errors import FormatError
from cryobench.atoms.files.frames import XdrFile, open_frames
from cryobench.io.formats.xtc import round_positions, write_frames


def read_frames(path, wanted=slice(None)):
    """Frames as read for volumes."""
    file = open_frames(path)
    numbers = np.arange(len(file))[wanted]
    return round_positions(np.array([frame.positions for frame in file.read(numbers)]).reshape(len(numbers), -1, 3))


@pytest.fixture
def frames(rng):
    return rng.normal(size=(7, 40, 3)) * 60


@pytest.mark.parametrize("atoms", [1, 9, 10, 41])
def test_round_trip_is_exact_from_rounded_positions(rng, tmp_path, atoms):
    """Up to 9 atoms the format does not compress: other bytes, the same rule."""
    positions = rng.normal(size=(5, atoms, 3)) * rng.choice([1.0, 100.0, 3000.0], (5, atoms, 1))
    write_frames(tmp_path / "a.xtc", positions)
    back = read_frames(tmp_path / "a.xtc")
    np.testing.assert_array_equal(back, round_positions(positions))
    assert np.abs(back - positions).max() <= 0.005 + 1e-9
    write_frames(tmp_path / "b.xtc", back)
    assert (tmp_path / "a.xtc").read_bytes() == (tmp_path / "b.xtc").read_bytes()
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["a.xtc", "b.xtc"]


def test_any_frames_in_any_order(frames, tmp_path):
    write_frames(tmp_path / "a.xtc", frames)
    expected = round_positions(frames)
    assert len(XdrFile(tmp_path / "a.xtc")) == 7
    for wanted in ([4, 0, 4, 6], np.array([5]), slice(1, 6, 2), slice(-2, None)):
        np.testing.assert_array_equal(read_frames(tmp_path / "a.xtc", wanted), expected[wanted])


def test_another_program_reads_the_same_positions(frames, tmp_path):
    mdanalysis = pytest.importorskip("MDAnalysis")
    write_frames(tmp_path / "a.xtc", frames)
    universe = mdanalysis.Universe.empty(40, trajectory=True)
    universe.load_new(str(tmp_path / "a.xtc"))
    found = np.stack([step.positions.copy() for step in universe.trajectory])
    np.testing.assert_allclose(found, frames, atol=0.0051)


def test_damage_is_told(frames, tmp_path):
    path = tmp_path / "a.xtc"
    write_frames(path, frames)
    whole = path.read_bytes()
    for missing in (1, 60, len(whole) // 2, len(whole) - 5, len(whole)):
        path.write_bytes(whole[: len(whole) - missing])
        with pytest.raises(FormatError, match=r"a\.xtc.*truncated"):
            XdrFile(path)
    with pytest.raises(FormatError, match=r"a\.xtc"):
        read_frames(path)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        read_frames(tmp_path / "none.xtc")


def test_nothing_is_left_of_a_failed_write(frames, tmp_path):
    frames[3, 2, 1] = np.nan
    with pytest.raises(ValueError, match="frame 3"):
        write_frames(tmp_path / "a.xtc", frames)
    with pytest.raises(ValueError, match=r"\(0, 4, 3\)"):
        write_frames(tmp_path / "a.xtc", np.zeros((0, 4, 3)))
    assert list(tmp_path.iterdir()) == []
