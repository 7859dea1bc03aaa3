"""Faults of particles, and oddities, are found when they are adopted."""

from pathlib import Path

import numpy as np
import pytest
import starfile

from cryobench import adopt
from cryobench._errors import FormatError
from cryobench.io.formats.mrc import MrcStacks
from cryobench.rotations import rotations_from_euler
from foreign import cs_columns, make_ctf, make_particles, save_cs, write_stack, write_table

N = 6


def notes_of(table: Path, **options) -> str:
    return "\n".join(adopt(table, table.parent / "mine", **options).card["notes"])


def test_nothing_is_said_of_usual_particles(tmp_path: Path) -> None:
    assert notes_of(write_table(tmp_path)) == ""


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_pixels_that_are_no_numbers_are_found(tmp_path: Path, value: float) -> None:
    images = np.ones((N, 8, 8))
    images[4, 2, 3] = value
    write_stack(tmp_path / "bad.mrcs", images)
    table = write_table(tmp_path / "t", images=MrcStacks(tmp_path / "bad.mrcs"))
    with pytest.raises(
        FormatError, match=r"particle 4, image 5 .counted from 1. of .*bad.mrcs, has pixels that are NaN"
    ):
        adopt(table, tmp_path / "mine")
    assert not (tmp_path / "mine").exists()


def test_doubled_particles_are_said(tmp_path: Path) -> None:
    stacks = MrcStacks(
        write_stack(tmp_path / "s.mrcs", np.ones((N, 8, 8))),
        file_index=np.zeros(N, int),
        image_index=np.array([0, 1, 2, 1, 4, 1]),
    )
    assert "1 images belong to more than one particle, such as image 2 of s.mrcs, of particles 1 and 3" in (
        notes_of(write_table(tmp_path / "t", images=stacks))
    )


def test_pixel_sizes_that_disagree_are_said(tmp_path: Path) -> None:
    stacks = MrcStacks([write_stack(tmp_path / f"{i}.mrcs", np.ones((3, 8, 8)), 2.0 + 2 * i) for i in range(2)])
    assert "0.mrcs has pixels of 2 Å in its header, but the particles have 4 Å, which is used" in (
        notes_of(write_table(tmp_path / "t", images=stacks))
    )


def test_negative_defocus_is_said(tmp_path: Path) -> None:
    ctf = make_ctf(N, defocus_u=-1e4, defocus_v=-1e4)
    assert "negative defocus, which means overfocus" in notes_of(write_table(tmp_path, ctf=ctf))


@pytest.mark.parametrize("tilts", [0.0, 180.0])
def test_in_plane_angles_of_2d_classification_are_no_poses(tmp_path: Path, tilts: float) -> None:
    euler = np.stack([np.zeros(N), np.full(N, tilts), np.linspace(0, 300, N)], axis=1)
    dataset = adopt(write_table(tmp_path, rotations=rotations_from_euler(np.deg2rad(euler))), tmp_path / "mine")
    assert dataset.particles.rotations is None
    assert "no poses: all 6 particles have only in-plane angles" in dataset.card["notes"][0]


def test_in_plane_angles_alone_are_no_poses(tmp_path: Path) -> None:
    table = write_table(tmp_path)
    blocks = starfile.read(table)
    blocks["particles"] = blocks["particles"].drop(columns=["rlnAngleRot", "rlnAngleTilt"])
    starfile.write(blocks, table)
    dataset = adopt(table, tmp_path / "mine")
    assert dataset.particles.rotations is None
    assert "only in-plane angles (_rlnAnglePsi)" in dataset.card["notes"][0]


def test_one_tilted_particle_makes_poses(tmp_path: Path) -> None:
    euler = np.zeros((N, 3))
    euler[3, 1] = 0.5
    assert notes_of(write_table(tmp_path, rotations=rotations_from_euler(euler))) == ""


@pytest.mark.parametrize(
    "text", ["3\n1\n3\n", "particle\n3\n1\n3\n", ",particle\n0,3\n1,1\n2,3\n", "\ufeffindex\n3\n1\n3\n"]
)
def test_doubled_queries_count_once(tmp_path: Path, text: str) -> None:
    (tmp_path / "q.csv").write_text(text, encoding="utf-8")
    dataset = adopt(write_table(tmp_path), tmp_path / "mine", queries=tmp_path / "q.csv")
    assert dataset.queries.tolist() == [3, 1]
    assert dataset.card["notes"] == ["1 of 3 query particles were named more than once, such as 3; each counts once"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "has the columns a, b, expected indices of particles in one called particle"),
        ("1,2\n3,4\n", "2 columns and no header"),
        ("particle\n6\n", "names the query particle '6' in line 2, expected indices of particles, 0 to 5"),
        ("particle\n", "names the query particle none"),
    ],
)
def test_queries_that_are_none(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "q.csv").write_text(text)
    with pytest.raises(FormatError, match=message):
        adopt(write_table(tmp_path), tmp_path / "mine", queries=tmp_path / "q.csv")


# Values of other units, in each kind of table


def test_a_star_table_in_other_units(tmp_path: Path) -> None:
    for columns, message in (
        ({"rlnVoltage": 300_000.0}, r"rlnVoltage of particle 0 is 300000, expected 10 to 2000 kV. Is it in V\?"),
        ({"rlnSphericalAberration": 2.7e7}, "rlnSphericalAberration of particle 0 is 2.7e"),
        (
            {"rlnAmplitudeContrast": 10.0},
            r"rlnAmplitudeContrast of particle 0 is 10, expected 0 to 1. Is it in percent",
        ),
        ({"rlnDefocusU": 1.5}, r"rlnDefocusU is at most 1.5, expected thousands of Å. Is it in µm\?"),
        ({"rlnDefocusV": 1e7}, "rlnDefocusV of particle 0 is 1e.07, expected -200000 to 200000 Å"),
        ({"rlnPhaseShift": 9000.0}, "rlnPhaseShift of particle 0 is 9000, expected -720 to 720 °"),
        ({"rlnImagePixelSize": 0.001}, "rlnImagePixelSize gives pixels of 0.001 Å, expected 0.05 to 200"),
    ):
        table = write_table(tmp_path)
        blocks = starfile.read(table)
        for name, value in columns.items():
            # Whichever table a column is in, or in the other one.
            blocks["particles"][name] = value
        starfile.write(blocks, table)
        with pytest.raises(FormatError, match=rf"particles.star: {message}"):
            adopt(table, tmp_path / "mine")


def test_a_cs_table_in_other_units(tmp_path: Path) -> None:
    write_stack(tmp_path / "particles.mrcs", np.ones((N, 8, 8)))
    for name, value, message in (
        ("ctf/accel_kv", 3e5, "ctf/accel_kv of particle 0 is 300000"),
        ("ctf/df_angle_rad", 135.0, r"ctf/df_angle_rad of particle 0 is 135, .* radian. Is it in degrees\?"),
        ("ctf/df1_A", 1.2, "ctf/df1_A is at most 1.2"),
        ("blob/psize_A", 1e-10, "blob/psize_A gives pixels"),
    ):
        columns = cs_columns(N)
        columns[name] = np.full(N, value, "<f4")
        with pytest.raises(FormatError, match=rf"t.cs: {message}"):
            adopt(save_cs(tmp_path / "t.cs", columns), tmp_path / "mine")


def test_columns_of_either_table_of_relion(tmp_path: Path) -> None:
    """RELION looks for a value in the row of the particle, then in its optics group."""
    expected = make_particles(tmp_path)
    table = write_table(tmp_path)
    blocks = starfile.read(table)
    moved = ["rlnVoltage", "rlnSphericalAberration", "rlnAmplitudeContrast", "rlnImagePixelSize", "rlnImageSize"]
    for name in moved:
        blocks["particles"][name] = blocks["optics"][name].iloc[0]
    blocks["optics"] = blocks["optics"].drop(columns=moved).assign(rlnPhaseShift=30.0)
    blocks["particles"] = blocks["particles"].drop(columns="rlnPhaseShift")
    blocks["particles"].loc[2, "rlnVoltage"] = 200.0
    blocks["optics"]["rlnVoltage"] = 120.0
    starfile.write(blocks, table)
    found = adopt(table, tmp_path / "mine").particles
    assert found.pixel_size == expected.pixel_size
    np.testing.assert_array_equal(found.ctf.voltage_kv, [300, 300, 200, 300, 300, 300])
    np.testing.assert_allclose(found.ctf.phase_shift, np.deg2rad(30))
    blocks["particles"] = blocks["particles"].drop(columns="rlnAmplitudeContrast")
    starfile.write(blocks, table)
    with pytest.raises(FormatError, match="no column _rlnAmplitudeContrast, which is needed, neither in data_optics"):
        adopt(table, tmp_path / "other")
