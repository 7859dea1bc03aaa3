"""Integers come out as they were written, signed or not, whatever the header says of it."""

from pathlib import Path

import mrcfile
import numpy as np
import pytest

from cryobench.io.formats.mrc import MrcStacks, read_volume
from cryobench.io.formats.mrc_header import read_header
from foreign import write_table


def write(path: Path, values: np.ndarray, mode: int, *, imod: int | None = None, big: bool = False) -> Path:
    """Values as they lie in memory, under a header of another file of the same width."""
    kind = {0: np.int8, 1: np.int16, 6: np.uint16}[mode]
    with mrcfile.new(path, overwrite=True) as file:
        file.set_data(values.view(kind))
        file.set_image_stack()
        file.voxel_size = 4.0
    content = bytearray(path.read_bytes())
    if imod is not None:
        content[152:156] = (1146047817).to_bytes(4, "little")
        content[156:160] = imod.to_bytes(4, "little")
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("mode", "kind", "centre", "spread", "overruled"),
    [
        (0, np.uint8, 128, 30, True),
        (0, np.int8, 0, 30, False),
        (0, np.uint8, 60, 10, False),
        (0, np.uint8, 200, 10, False),
        (1, np.int16, 0, 3000, False),
        (1, np.uint16, 32768, 3000, True),
        (6, np.uint16, 20000, 3000, False),
        (6, np.uint16, 32768, 3000, False),
        (6, np.int16, 0, 3000, True),
    ],
)
def test_integers_are_read_by_what_they_say(
    tmp_path: Path, rng: np.random.Generator, mode: int, kind: type, centre: int, spread: int, overruled: bool
) -> None:
    limits = np.iinfo(kind)
    values = np.clip(rng.normal(centre, spread, (5, 8, 8)).round(), limits.min, limits.max).astype(kind)
    path = write(tmp_path / "s.mrcs", values, mode)
    found = MrcStacks(path).read(np.arange(5))
    same_but_for_a_constant = found - values.astype(np.float64)
    assert np.ptp(same_but_for_a_constant) == 0
    if overruled:
        np.testing.assert_array_equal(found, values)
    assert read_header(path).signs_overruled == overruled


@pytest.mark.parametrize(("flags", "kind"), [(1, np.int8), (0, np.uint8)])
def test_the_flag_of_imod_counts(tmp_path: Path, rng: np.random.Generator, flags: int, kind: type) -> None:
    """Whatever the data look like: here bytes of both halves of the range alike."""
    values = rng.integers(0, 256, (2, 8, 8), dtype=np.uint8).view(kind)
    path = write(tmp_path / "s.mrcs", values, 0, imod=flags)
    np.testing.assert_array_equal(MrcStacks(path).read(np.arange(2)), values)
    assert not read_header(path).signs_overruled


def test_a_mask_of_bytes(tmp_path: Path) -> None:
    values = np.zeros((8, 8, 8), np.int8)
    values[2:6] = 1
    np.testing.assert_array_equal(read_volume(write(tmp_path / "m.mrc", values, 0))[0], values)


def test_the_reading_is_said(tmp_path: Path, rng: np.random.Generator) -> None:
    from cryobench import adopt

    values = rng.normal(128, 30, (6, 8, 8)).clip(0, 255).astype(np.uint8)
    stacks = MrcStacks(write(tmp_path / "s.mrcs", values, 0))
    notes = adopt(write_table(tmp_path / "t", images=stacks), tmp_path / "mine").card["notes"]
    assert notes == ["s.mrcs is read as unsigned 8-bit integers: as its header states, numbers would wrap around"]
