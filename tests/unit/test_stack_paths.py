"""Two stacks never become one, and no stray file is taken for a missing one."""

from pathlib import Path

import numpy as np
import pytest

from cryobench import adopt
from cryobench._errors import FormatError
from cryobench.io.formats.pickles import write_pickle
from cryobench.io.programs.cryosparc import read_cs
from cryobench.io.programs.relion import read_star
from cryobench.io.programs.stack_paths import find_stacks
from foreign import cs_columns, save_cs, write_stack, write_table

NAMES = ("job010/mic1.mrcs", "job020/mic1.mrcs")
IMAGES = np.ones((3, 8, 8))


@pytest.fixture
def star(tmp_path: Path) -> Path:
    return write_table(tmp_path / "made", stacks=NAMES)


@pytest.fixture
def cs(tmp_path: Path) -> Path:
    columns = cs_columns(6)
    columns["blob/path"] = np.array([name.encode() for name in NAMES for _ in range(3)])
    columns["blob/idx"] = np.tile(np.arange(3, dtype="<u4"), 2)
    return save_cs(tmp_path / "table.cs", columns)


@pytest.mark.parametrize("present", [["mic1.mrcs"], ["job010/mic1.mrcs", "mic1.mrcs"]])
def test_stacks_of_one_name_are_not_one(tmp_path: Path, star: Path, cs: Path, present: list[str]) -> None:
    for name in present:
        write_stack(tmp_path / "data" / name, IMAGES)
    for read, table in ((read_star, star), (read_cs, cs)):
        with pytest.raises(FormatError, match=r"names the stacks job010/mic1.mrcs and job020/mic1.mrcs, which would"):
            read(table, datadir=tmp_path / "data")


def test_a_stray_file_does_not_stand_in_for_a_missing_stack(tmp_path: Path) -> None:
    table = write_table(tmp_path / "made", stacks=("job010/a.mrcs", "job020/b.mrcs"))
    for name in ("job010/a.mrcs", "b.mrcs"):
        write_stack(tmp_path / "data" / name, IMAGES)
    with pytest.raises(FormatError, match=r"names the stack job020/b.mrcs, which is not at .*the same way"):
        read_star(table, datadir=tmp_path / "data")
    # Nor does one beside a .cs file for one that lies in the project.
    columns = cs_columns(6)
    columns["blob/path"] = np.array([b"J1/a.mrcs"] * 3 + [b"J1/b.mrcs"] * 3)
    columns["blob/idx"] = np.tile(np.arange(3, dtype="<u4"), 2)
    (tmp_path / "project" / "J2").mkdir(parents=True)
    job = save_cs(tmp_path / "project" / "J2" / "p.cs", columns)
    for name in ("J1/a.mrcs", "J2/J1/b.mrcs"):
        write_stack(tmp_path / "project" / name, IMAGES)
    with pytest.raises(FormatError, match=r"J1/a.mrcs, which is not at .*the same way"):
        read_cs(job)
    write_stack(tmp_path / "project" / "J1/b.mrcs", IMAGES)
    assert {path.parent.name for path in read_cs(job).images.paths} == {"J1"}


@pytest.mark.parametrize("kept", ["old/job", "job", ""])
def test_leading_folders_are_left_out_of_all_paths_alike(tmp_path: Path, kept: str) -> None:
    names = ["/data/old/job/a.mrcs", "/data/old/job/b.mrcs"]
    for name in "ab":
        write_stack(tmp_path / kept / f"{name}.mrcs", IMAGES)
    notes: list[str] = []
    found = find_stacks(names, tmp_path / "t.star", folders=[], datadir=tmp_path, notes=notes)
    assert found == [tmp_path / kept / f"{name}.mrcs" for name in "ab"]
    assert len(notes) == 1
    assert str(found[0]) in notes[0]


def test_a_list_of_stacks_that_moved(tmp_path: Path) -> None:
    for i in range(2):
        write_stack(tmp_path / "st" / f"{i}.mrcs", IMAGES)
    (tmp_path / "list.txt").write_bytes("\ufeff/data/old/0.mrcs\r\n/data/old/1.mrcs\r\n".encode())
    table = np.tile([8, 4.0, 9e3, 9e3, 0, 300, 2.7, 0.1, 0], (6, 1)).astype("f4")
    write_pickle(tmp_path / "ctf.pkl", table)
    dataset = adopt(tmp_path / "list.txt", tmp_path / "mine", ctf=tmp_path / "ctf.pkl", datadir=tmp_path / "st")
    assert len(dataset.particles) == 6
    assert "without the leading folders of their paths: /data/old/0.mrcs is" in dataset.card["notes"][0]
    with pytest.raises(FormatError, match="Give --datadir"):
        adopt(tmp_path / "list.txt", tmp_path / "no", ctf=tmp_path / "ctf.pkl")
