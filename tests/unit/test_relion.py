"""RELION tables: what is written is what RELION means, what is read is in the order of the rows, damage is named."""

import warnings
from pathlib import Path

import mrcfile
import numpy as np
import pandas as pd
import pytest
import starfile
from scipy.spatial.transform import Rotation

from cryobench._errors import FormatError
from cryobench.data import ArrayImages, Particles
from cryobench.imaging.ctf import Ctf
from cryobench.io.formats.mrc import MrcStacks, begin_stack
from cryobench.io.formats.star import read_tables
from cryobench.io.programs.relion import read_pose_star, read_star, write_pose_star, write_star

N, SIZE = 6, 5


def make_particles(folder: Path, rng: np.random.Generator, **replaced: object) -> Particles:
    """Six particles in two stacks, three optics settings."""
    paths = [folder / "particles" / f"{i:03d}.mrcs" for i in range(2)]
    for path in paths:
        with begin_stack(path, 3, SIZE, 1.5) as writer:
            writer.append(rng.normal(size=(3, SIZE, SIZE)).astype(np.float32))
    ctf = Ctf.from_columns(
        N,
        defocus_u=rng.uniform(8e3, 3e4, N),
        defocus_v=rng.uniform(8e3, 3e4, N),
        defocus_angle=rng.uniform(0, np.pi, N),
        voltage_kv=np.array([300.0, 200, 300, 300, 200, 300]),
        cs_mm=np.array([2.7, 2.7, 2.7, 0.01, 2.7, 2.7]),
        phase_shift=rng.uniform(0, 1, N),
        b_factor=rng.uniform(0, 100, N),
    )
    parts = {
        "images": MrcStacks(paths),
        "pixel_size": 1.31,
        "ctf": ctf,
        "rotations": Rotation.random(N, rng=rng).as_matrix(),
        "shifts": rng.uniform(-9, 9, (N, 2)),
        "sign": -1,
    }
    return Particles(**(parts | replaced))


@pytest.fixture
def particles(tmp_path: Path, rng: np.random.Generator) -> Particles:
    return make_particles(tmp_path, rng)


@pytest.fixture
def table(tmp_path: Path, particles: Particles) -> Path:
    path = tmp_path / "particles.star"
    write_star(path, particles)
    return path


def test_names_that_stand_twice_are_refused(table: Path) -> None:
    text = table.read_text()
    columns = [line.split()[0] for line in text.splitlines() if line.startswith("_rlnDefocus")]
    table.write_text(text.replace(f"{columns[1]} ", f"{columns[0]} "))
    with pytest.raises(FormatError, match=rf"particles\.star has two columns {columns[0]} in one block"):
        read_star(table)
    table.write_text(text.replace("data_optics", "data_particles"))
    with pytest.raises(FormatError, match=r"particles\.star has two blocks data_particles"):
        read_star(table)
    table.write_text("data_\n_rlnVoltage 300\n_rlnVoltage 200\n")
    with pytest.raises(FormatError, match="has two columns _rlnVoltage"):
        read_tables(table)


def edit(table: Path, *, drop: tuple[str, ...] = (), block: str = "particles", **columns: object) -> Path:
    """Change columns of one block of a table in place."""
    blocks = starfile.read(table, always_dict=True)
    for name in drop:
        del blocks[block][name]
    for name, values in columns.items():
        blocks[block][name] = values
    starfile.write(blocks, table)
    return table


def test_what_is_written_is_what_relion_means(particles: Particles, table: Path) -> None:
    blocks = starfile.read(table)
    optics, rows = blocks["optics"], blocks["particles"]
    assert list(rows["rlnImageName"][[0, 3, 5]]) == [
        "000001@particles/000.mrcs", "000001@particles/001.mrcs", "000003@particles/001.mrcs",
    ]  # fmt: skip
    assert list(optics["rlnOpticsGroup"]) == [1, 2, 3]
    assert (optics["rlnImagePixelSize"] == 1.31).all()
    assert (optics["rlnImageSize"] == SIZE).all()
    assert (optics["rlnImageDimensionality"] == 2).all()
    assert optics["rlnOpticsGroupName"].is_unique
    joined = rows.merge(optics, on="rlnOpticsGroup")
    ctf = particles.ctf
    for column, values in {
        "rlnVoltage": ctf.voltage_kv,
        "rlnSphericalAberration": ctf.cs_mm,
        "rlnAmplitudeContrast": ctf.amplitude_contrast,
        "rlnDefocusU": ctf.defocus_u,
        "rlnDefocusV": ctf.defocus_v,
        "rlnDefocusAngle": np.rad2deg(ctf.defocus_angle),
        "rlnPhaseShift": np.rad2deg(ctf.phase_shift),
        "rlnCtfBfactor": ctf.b_factor,
        "rlnOriginXAngst": particles.shifts[:, 0],
        "rlnOriginYAngst": particles.shifts[:, 1],
    }.items():
        np.testing.assert_allclose(joined[column], values, rtol=1e-8, err_msg=column)
    # RELION's matrix from its angles, by scipy: intrinsic ZYZ, transposed.
    angles = rows[["rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"]].to_numpy()
    matrices = Rotation.from_euler("ZYZ", angles, degrees=True).as_matrix().swapaxes(1, 2)
    np.testing.assert_allclose(matrices, particles.rotations, atol=3e-8)


def test_round_trip(particles: Particles, table: Path) -> None:
    found = read_star(table)
    np.testing.assert_array_equal(found.read(np.arange(N)), particles.read(np.arange(N)))
    np.testing.assert_allclose(found.rotations, particles.rotations, atol=3e-8)
    np.testing.assert_allclose(found.shifts, particles.shifts, rtol=1e-8)
    for name in Ctf.__dataclass_fields__:
        np.testing.assert_allclose(getattr(found.ctf, name), getattr(particles.ctf, name), rtol=1e-8, err_msg=name)
    assert (found.pixel_size, found.sign, found.box_size) == (1.31, -1, SIZE)


def test_the_bytes_are_repeatable(particles: Particles, table: Path) -> None:
    before = table.read_bytes()
    assert before.startswith(b"# written by cryobench\n")
    assert [line for line in before.splitlines() if line.startswith(b"#")] == [b"# written by cryobench"]
    write_star(table, particles)
    assert table.read_bytes() == before


def test_the_sign_is_relions_unless_told(table: Path) -> None:
    assert read_star(table).sign == -1
    np.testing.assert_array_equal(read_star(table).read([0]), -read_star(table, sign=1).read([0]))


def test_rows_give_the_order_and_may_repeat(table: Path, particles: Particles) -> None:
    blocks = starfile.read(table)
    order = [4, 0, 4, 2]
    blocks["particles"] = blocks["particles"].iloc[order]
    starfile.write(blocks, table)
    found = read_star(table)
    np.testing.assert_array_equal(found.read(np.arange(4)), particles.read(order))
    np.testing.assert_allclose(found.shifts, particles.shifts[order], rtol=1e-5)
    np.testing.assert_array_equal(found.ctf.voltage_kv, particles.ctf.voltage_kv[order])


def test_withheld_poses_have_no_columns(tmp_path: Path, rng: np.random.Generator) -> None:
    write_star(tmp_path / "p.star", make_particles(tmp_path, rng, rotations=None, shifts=None))
    assert "rlnAngleRot" not in starfile.read(tmp_path / "p.star")["particles"]
    found = read_star(tmp_path / "p.star")
    assert found.rotations is None
    assert found.shifts is None


def test_origins_and_optional_ctf_columns_default_to_nothing(table: Path) -> None:
    edit(table, drop=("rlnOriginXAngst", "rlnOriginYAngst", "rlnPhaseShift", "rlnCtfBfactor"))
    found = read_star(table)
    np.testing.assert_array_equal(found.shifts, 0)
    np.testing.assert_array_equal(found.ctf.phase_shift, 0)
    np.testing.assert_array_equal(found.ctf.b_factor, 0)


@pytest.mark.parametrize("block", ["", "images"])
def test_relion_3_0_tables(tmp_path: Path, table: Path, particles: Particles, block: str) -> None:
    blocks = starfile.read(table)
    old = blocks["particles"].merge(blocks["optics"], on="rlnOpticsGroup")
    old["rlnMagnification"], old["rlnDetectorPixelSize"] = 50_000.0, 5.0
    old["rlnOriginX"], old["rlnOriginY"] = particles.shifts[:, 0], particles.shifts[:, 1]
    kept = [c for c in old if c not in blocks["optics"] or c in ("rlnVoltage", "rlnSphericalAberration")]
    old = old[[*(c for c in kept if not c.endswith("Angst")), "rlnAmplitudeContrast"]]
    starfile.write({block: old}, table)
    found = read_star(table)
    assert found.pixel_size == pytest.approx(1.0)
    starfile.write({block: old.assign(rlnDetectorPixelSize=10.0)}, table)
    found = read_star(table)
    assert found.pixel_size == pytest.approx(2.0)
    np.testing.assert_allclose(found.shifts, 2 * particles.shifts, rtol=1e-5)
    np.testing.assert_array_equal(found.ctf.voltage_kv, particles.ctf.voltage_kv)
    starfile.write({block: old.drop(columns="rlnMagnification")}, table)
    with pytest.raises(FormatError, match="does not state the pixel size"):
        read_star(table)


def test_stacks_elsewhere_are_found_through_datadir(tmp_path: Path, table: Path, particles: Particles) -> None:
    elsewhere = tmp_path / "elsewhere"
    (tmp_path / "particles").rename(elsewhere)
    with pytest.raises(FormatError, match=r"names the stack particles/000\.mrcs, which is not at .*Give --datadir"):
        read_star(table)
    with pytest.raises(FormatError, match=r"which is not at .* nor at .*Give --datadir"):
        read_star(table, datadir=tmp_path / "nowhere")
    assert len(read_star(table, datadir=elsewhere)) == N
    elsewhere.rename(tmp_path / "particles")
    assert len(read_star(table, datadir=tmp_path)) == N
    names = [f"{i % 3 + 1}@/data/particles/00{i // 3}.mrcs" for i in range(N)]
    edit(table, rlnImageName=names)
    assert len(read_star(table, datadir=tmp_path / "particles")) == N


def test_stacks_outside_the_folder_are_named_in_full(tmp_path: Path, particles: Particles) -> None:
    (tmp_path / "other").mkdir()
    write_star(tmp_path / "other" / "p.star", particles)
    name = starfile.read(tmp_path / "other" / "p.star")["particles"]["rlnImageName"][0]
    assert name == f"000001@{tmp_path.absolute().as_posix()}/particles/000.mrcs"
    assert len(read_star(tmp_path / "other" / "p.star")) == N


def test_a_table_of_another_stack_is_refused(table: Path) -> None:
    with pytest.raises(FormatError, match=r"states images of 128 px, but .*000\.mrcs holds images of 5 px"):
        read_star(edit(table, block="optics", rlnImageSize=128))
    names = [f"{i}@particles/000.mrcs" for i in (1, 2, 9, 1, 1, 1)]
    with pytest.raises(FormatError, match=r"particle 2 is image 9 \(counted from 1\) of .*, which holds 3 images"):
        read_star(edit(table, block="particles", rlnImageName=names))


@pytest.mark.parametrize(
    "name", ["particles/000.mrcs", "0@particles/000.mrcs", "x@a.mrcs", "1.5@a.mrcs", "1@", "-1@a"]
)
def test_names_that_are_not_index_at_path_are_refused(table: Path, name: str) -> None:
    with pytest.raises(FormatError, match=r"row 1 names the image .* expected INDEX@STACK"):
        read_star(edit(table, rlnImageName=[name] + ["1@particles/000.mrcs"] * 5))


@pytest.mark.parametrize(
    ("column", "block"),
    [
        ("rlnDefocusU", "particles"), ("rlnDefocusAngle", "particles"), ("rlnAnglePsi", "particles"),
        ("rlnOriginYAngst", "particles"), ("rlnOpticsGroup", "particles"), ("rlnVoltage", "optics"),
        ("rlnOpticsGroup", "optics"),
    ],
)  # fmt: skip
def test_missing_columns_are_named(table: Path, column: str, block: str) -> None:
    with pytest.raises(FormatError, match=rf"particles\.star has no column _{column}, which is needed"):
        read_star(edit(table, block=block, drop=(column,)))


def test_a_missing_pixel_size_or_image_name_is_named(table: Path) -> None:
    with pytest.raises(FormatError, match="does not state the pixel size"):
        read_star(edit(table, block="optics", drop=("rlnImagePixelSize",)))
    with pytest.raises(
        FormatError, match="has no table with a column _rlnImageName; it has data_optics, data_particles"
    ):
        read_star(edit(table, drop=("rlnImageName",)))


def test_a_stack_without_image_size_in_the_table_is_taken_as_it_is(table: Path) -> None:
    assert read_star(edit(table, block="optics", drop=("rlnImageSize",))).box_size == SIZE


def test_pixel_sizes_must_agree(table: Path) -> None:
    with pytest.raises(FormatError, match=r"pixel sizes from 1\.31 to 1\.5 Å"):
        read_star(edit(table, block="optics", rlnImagePixelSize=[1.31, 1.31, 1.5]))


def test_optics_groups_must_be_known_and_single(table: Path) -> None:
    with pytest.raises(FormatError, match=r"particle 1 is of optics group 7, but data_optics has \[1, 2, 3\]"):
        read_star(edit(table, rlnOpticsGroup=[1, 7, 1, 1, 1, 1]))
    with pytest.raises(FormatError, match="lists a group twice"):
        read_star(edit(table, block="optics", rlnOpticsGroup=[1, 1, 2]))


def test_values_that_are_no_numbers_are_named(table: Path) -> None:
    with pytest.raises(FormatError, match="row 3 of column _rlnDefocusV is 'abc', expected a finite number"):
        read_star(edit(table, rlnDefocusV=[1, 2, "abc", 4, 5, 6]))


def test_a_table_cut_short_is_refused(table: Path) -> None:
    text = table.read_text()
    table.write_text(text[: text.rindex("particles/001.mrcs") + 40])
    with pytest.raises(FormatError, match=r"row 6 of column _rln.* expected a finite number"):
        read_star(table)


def test_non_physical_ctf_values_name_the_particle(table: Path) -> None:
    with pytest.raises(
        ValueError, match=r"rlnAmplitudeContrast of particle 0 is 3, expected 0 to 1\. Is it in percent"
    ):
        read_star(edit(table, block="optics", rlnAmplitudeContrast=3.0))


@pytest.mark.parametrize(
    "content", [b"", b"hello\n", b"data_particles\n", bytes(range(256)) * 20, b"data_x\n\nloop_\n"]
)
def test_files_that_are_no_tables_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.star").write_bytes(content)
    with pytest.raises(FormatError, match=r"x\.star"):
        read_star(tmp_path / "x.star")


def test_missing_and_empty_tables_are_named(tmp_path: Path, table: Path) -> None:
    with pytest.raises(FormatError, match=r"none\.star does not exist"):
        read_star(tmp_path / "none.star")
    blocks = starfile.read(table)
    starfile.write(blocks | {"particles": blocks["particles"].iloc[:0]}, table)
    with pytest.raises(FormatError, match="lists no particles"):
        read_star(table)


def test_what_the_model_lacks_is_warned_of_by_name(table: Path) -> None:
    edit(table, rlnCtfScalefactor=[1.0, 1, 1, 1, 1, 0.5], block="particles")
    edit(table, block="optics", rlnBeamTiltX=[0, 0, 0.1], rlnBeamTiltY=0.0, rlnMagMat00=1.0, rlnMagMat01=0.01)
    edit(table, block="optics", rlnOddZernike=["[0,0,1.5]"] * 3, rlnEvenZernike=["[0,0,0]"] * 3)
    with pytest.warns(UserWarning, match="particles.star has values in") as caught:
        read_star(table)
    message = str(caught[0].message)
    for name in ("rlnCtfScalefactor", "rlnBeamTiltX", "rlnMagMat01", "rlnOddZernike"):
        assert name in message
    for name in ("rlnBeamTiltY", "rlnMagMat00", "rlnEvenZernike"):
        assert name not in message


def test_neutral_columns_are_not_warned_of(table: Path) -> None:
    edit(table, block="optics", rlnBeamTiltX=0.0, rlnMagMat00=1.0, rlnMagMat01=0.0, rlnOddZernike=["[0,0]"] * 3)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        particles = read_star(table)
    assert not caught
    assert len(particles) == N


def test_images_in_memory_cannot_be_named(tmp_path: Path, rng: np.random.Generator) -> None:
    images = ArrayImages(rng.normal(size=(N, SIZE, SIZE)))
    with pytest.raises(TypeError, match="needs images in MRC stacks, but these are ArrayImages"):
        write_star(tmp_path / "p.star", make_particles(tmp_path, rng, images=images))


@pytest.mark.parametrize("folder", ["with#hash", "with'quote"])
def test_paths_star_files_cannot_hold_are_refused(tmp_path: Path, rng: np.random.Generator, folder: str) -> None:
    particles = make_particles(tmp_path / folder, rng)
    with pytest.raises(ValueError, match=r"p\.star: .* in column _rlnImageName of data_particles holds"):
        write_star(tmp_path / "p.star", particles)
    assert not (tmp_path / "p.star").exists()


def test_paths_with_spaces_survive(tmp_path: Path, rng: np.random.Generator) -> None:
    write_star(tmp_path / "p.star", make_particles(tmp_path / "two words", rng))
    assert len(read_star(tmp_path / "p.star")) == N


def test_a_stack_by_another_program_is_read(tmp_path: Path, table: Path, rng: np.random.Generator) -> None:
    images = rng.integers(-9, 9, (3, SIZE, SIZE)).astype(np.int16)
    with mrcfile.new(tmp_path / "particles" / "000.mrcs", overwrite=True) as file:
        file.set_data(images)
    np.testing.assert_array_equal(read_star(table, sign=1).read([2, 0]), images[[2, 0]])


def test_poses_alone_round_trip(tmp_path: Path, rng: np.random.Generator) -> None:
    rotations, shifts = Rotation.random(9, rng=rng).as_matrix(), rng.normal(size=(9, 2)) * 10
    write_pose_star(tmp_path / "poses.star", rotations, shifts)
    found = read_pose_star(tmp_path / "poses.star")
    np.testing.assert_allclose(found[0], rotations, atol=3e-8)
    np.testing.assert_allclose(found[1], shifts, rtol=1e-8)
    starfile.write({"particles": pd.DataFrame({"rlnAngleRot": [1.0]})}, tmp_path / "poses.star")
    with pytest.raises(FormatError, match="no column _rlnAngleTilt"):
        read_pose_star(tmp_path / "poses.star")


@pytest.mark.parametrize("mark", [b"\xef\xbb\xbf", "# by Zoë, 3 Å\n".encode("latin-1"), "# von Zoë\n".encode()])
def test_marks_and_comments_of_other_encodings(table: Path, particles: Particles, mark: bytes) -> None:
    table.write_bytes(mark + table.read_bytes())
    np.testing.assert_allclose(read_star(table).rotations, particles.rotations, atol=3e-8)


def test_a_hash_within_a_name_is_named(table: Path) -> None:
    table.write_text(table.read_text().replace("particles/001.mrcs", "particles/run#3.mrcs"))
    with pytest.raises(FormatError, match=r"'000001@particles/run#3.mrcs' in line \d+ holds '#'.* Rename the file"):
        read_star(table)


def test_a_magnification_of_zero_is_named(table: Path) -> None:
    edit(table, block="optics", drop=("rlnImagePixelSize",), rlnMagnification=0.0, rlnDetectorPixelSize=5.0)
    with pytest.raises(FormatError, match="rlnMagnification of particle 0 is 0, expected a positive number"):
        read_star(table)
