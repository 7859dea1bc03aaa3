"""cryoSPARC files: written as cryoSPARC 4 means them, read by formulas that are not the package's, damage named."""

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.linalg import expm
from scipy.ndimage import shift as move
from scipy.spatial.transform import Rotation

from cryobench._errors import FormatError
from cryobench.data import ArrayImages, Particles
from cryobench.fourier import ifft_images
from cryobench.imaging.ctf import Ctf
from cryobench.imaging.ctf_and_shift import apply_transfer
from cryobench.imaging.grid import volume_to_fourier
from cryobench.imaging.slices import extract_slices
from cryobench.io.formats.mrc import MrcStacks, begin_stack
from cryobench.io.programs.cryosparc import read_cs, read_cs_ctf, write_cs, write_csg
from cryobench.rotations import euler_from_rotations

N, SIZE = 6, 5


def write_stack(path: Path, images: np.ndarray, pixel_size: float = 1.31) -> Path:
    with begin_stack(path, len(images), images.shape[-1], pixel_size) as writer:
        writer.append(np.asarray(images, dtype=np.float32))
    return path


def make_particles(folder: Path, rng: np.random.Generator, **replaced: object) -> Particles:
    """Six particles in two stacks, two settings of the microscope, half a turn and no turn among the rotations."""
    paths = [write_stack(folder / "particles" / f"{i:03d}.mrcs", rng.normal(size=(3, SIZE, SIZE))) for i in range(2)]
    rotations = Rotation.random(N, rng=rng).as_matrix()
    rotations[0], rotations[1] = np.eye(3), np.diag([-1.0, -1, 1])
    parts = {
        "images": MrcStacks(paths),
        "pixel_size": 1.31,
        "ctf": Ctf.from_columns(
            N,
            defocus_u=rng.uniform(8e3, 3e4, N),
            defocus_v=rng.uniform(8e3, 3e4, N),
            defocus_angle=rng.uniform(0, np.pi, N),
            voltage_kv=np.array([300.0, 200, 300, 300, 200, 300]),
            cs_mm=2.7,
            phase_shift=rng.uniform(0, 1, N),
            b_factor=rng.uniform(0, 100, N),
        ),
        "rotations": rotations,
        "shifts": rng.uniform(-9, 9, (N, 2)),
        "sign": -1,
    }
    return Particles(**(parts | replaced))


@pytest.fixture
def particles(tmp_path: Path, rng: np.random.Generator) -> Particles:
    return make_particles(tmp_path, rng)


@pytest.fixture
def table(tmp_path: Path, particles: Particles) -> Path:
    write_cs(tmp_path / "particles.cs", particles)
    return tmp_path / "particles.cs"


def edit(path: Path, *, drop: tuple[str, ...] = (), **columns: np.ndarray) -> Path:
    """Change fields of a file in place; GROUP__FIELD stands for GROUP/FIELD."""
    old = np.load(path)
    values = {name: old[name] for name in old.dtype.names if name not in drop}
    values |= {name.replace("__", "/"): np.asarray(column) for name, column in columns.items()}
    save(path, values)
    return path


def save(path: Path, columns: dict[str, np.ndarray]) -> Path:
    new = np.empty(len(next(iter(columns.values()))), [(k, v.dtype, v.shape[1:]) for k, v in columns.items()])
    for name, column in columns.items():
        new[name] = column
    with path.open("wb") as file:
        np.save(file, new)
    return path


def cryosparc_4_job(project: Path, rng: np.random.Generator) -> tuple[Path, Path, np.ndarray]:
    """A refinement of three particles as cryoSPARC 4 leaves it: J5/particles.cs without images, its passthrough in
    another order, the stack of raw images (protein dark, blob/sign −1) in J3, paths from the project's folder."""
    images = rng.normal(size=(4, SIZE, SIZE)).astype(np.float32)
    write_stack(project / "J3" / "extract" / "mic_particles.mrc", images, 0.6575)
    (project / "J5").mkdir()
    uids = np.array([13864605955862944880, 531905114944910449, 12951868257382468663], dtype="<u8")
    own = save(
        project / "J5" / "J5_004_particles.cs",
        {
            "uid": uids,
            "alignments3D/split": np.array([0, 1, 1], "<u4"),
            "alignments3D/shift": np.array([[2, -1], [0, 0.5], [-3, 4]], "<f4"),
            # No turn; a quarter turn about z; a third of a turn about (1, 1, 1).
            "alignments3D/pose": np.array(
                [[0, 0, 0], [0, 0, np.pi / 2], np.full(3, 2 * np.pi / 3 / np.sqrt(3))], "<f4"
            ),
            "alignments3D/psize_A": np.full(3, 1.315, "<f4"),  # the job worked at half the box
            "alignments3D/alpha": np.ones(3, "<f4"),
            "ctf/type": np.array([b"spline"] * 3, "S6"),
            "ctf/accel_kv": np.full(3, 300, "<f4"),
            "ctf/cs_mm": np.full(3, 2.7, "<f4"),
            "ctf/amp_contrast": np.full(3, 0.1, "<f4"),
            "ctf/df1_A": np.array([17423.697, 18994.4, 9000], "<f4"),
            "ctf/df2_A": np.array([17225.484, 18768.04, 8000], "<f4"),
            "ctf/df_angle_rad": np.array([-1.5046247, -1.5461981, 0.25], "<f4"),
            "ctf/phase_shift_rad": np.zeros(3, "<f4"),
            "ctf/scale": np.ones(3, "<f4"),
            "ctf/tilt_A": np.zeros((3, 2), "<f4"),
            "ctf/tetra_A": np.zeros((3, 4), "<f4"),
        },
    )
    shuffled = np.array([2, 0, 1])
    passthrough = save(
        project / "J5" / "J5_passthrough_particles.cs",
        {
            "uid": np.append(uids[shuffled], np.uint64(7)),
            "blob/path": np.array([b">J3/extract/mic_particles.mrc"] * 4),
            "blob/idx": np.append(np.array([3, 0, 1])[shuffled], 2).astype("<u4"),
            "blob/shape": np.full((4, 2), SIZE, "<u4"),
            "blob/psize_A": np.full(4, 0.6575, "<f4"),
            "blob/sign": np.full(4, -1, "<f4"),
            "blob/import_sig": np.zeros(4, "<u8"),
            "location/micrograph_uid": np.arange(4, dtype="<u8"),
        },
    )
    return own, passthrough, images


# What cryoSPARC writes


def test_a_job_of_cryosparc_4_is_read(tmp_path: Path, rng: np.random.Generator) -> None:
    own, passthrough, images = cryosparc_4_job(tmp_path, rng)
    found = read_cs(own, passthrough=passthrough)
    assert (len(found), found.pixel_size, found.sign) == (3, 0.6575, 1)
    np.testing.assert_array_equal(found.read([0, 1, 2]), images[[3, 0, 1]])
    # exp([pose]×)ᵀ: a quarter turn about z takes y to x, not x to y; the third of a turn
    # takes y to x, z to y and x to z.
    np.testing.assert_allclose(found.rotations[0], np.eye(3), atol=1e-12)
    np.testing.assert_allclose(found.rotations[1] @ [0, 1, 0], [1, 0, 0], atol=1e-7)
    np.testing.assert_allclose(found.rotations[2], [[0, 1, 0], [0, 0, 1], [1, 0, 0]], atol=1e-6)
    np.testing.assert_allclose(np.rad2deg(euler_from_rotations(found.rotations))[1], [0, 0, 90], atol=1e-5)
    # Shifts count pixels of the alignment, which are twice those of the images.
    np.testing.assert_allclose(found.shifts, 1.315 * np.array([[2, -1], [0, 0.5], [-3, 4]]), rtol=1e-7)
    np.testing.assert_allclose(found.ctf.defocus_u, [17423.697, 18994.4, 9000], rtol=1e-7)
    np.testing.assert_allclose(found.ctf.defocus_angle, [-1.5046247, -1.5461981, 0.25], rtol=1e-6)
    assert set(found.ctf.cs_mm) == {2.7}
    assert set(found.ctf.b_factor) == {0.0}


def test_stacks_of_a_project_elsewhere(tmp_path: Path, rng: np.random.Generator) -> None:
    own, passthrough, images = cryosparc_4_job(tmp_path / "project", rng)
    (tmp_path / "tables").mkdir()
    moved = [path.rename(tmp_path / "tables" / path.name) for path in (own, passthrough)]
    with pytest.raises(
        FormatError, match=r"names the stack J3/extract/mic_particles\.mrc, which is not at .* nor at"
    ):
        read_cs(moved[0], passthrough=moved[1])
    found = read_cs(moved[0], passthrough=[moved[1]], datadir=tmp_path / "project")
    np.testing.assert_array_equal(found.read([0]), images[[3]])
    # The folder of the stack itself will do as well.
    found = read_cs(moved[0], passthrough=[moved[1]], datadir=tmp_path / "project" / "J3" / "extract")
    np.testing.assert_array_equal(found.read([0]), images[[3]])


def test_fields_of_the_file_itself_come_before_those_passed_through(tmp_path: Path, rng: np.random.Generator) -> None:
    own, passthrough, _ = cryosparc_4_job(tmp_path, rng)
    edit(passthrough, ctf__df1_A=np.full(4, 1.0, "<f4"), ctf__bfactor=np.array([30, 10, 20, 0], "<f4"))
    found = read_cs(own, passthrough=passthrough)
    np.testing.assert_array_equal(found.ctf.b_factor, [10, 20, 30])
    assert found.ctf.defocus_u[0] > 17000


# What we write


def test_what_is_written_is_what_cryosparc_means(particles: Particles, table: Path) -> None:
    rows = np.load(table, allow_pickle=False)
    assert [path.decode() for path in rows["blob/path"][[0, 5]]] == [">particles/000.mrcs", ">particles/001.mrcs"]
    np.testing.assert_array_equal(rows["blob/idx"], [0, 1, 2, 0, 1, 2])
    assert (rows["blob/shape"] == SIZE).all()
    assert (rows["blob/sign"] == 1).all()
    np.testing.assert_allclose(rows["blob/psize_A"], 1.31, rtol=1e-7)
    for particle in range(N):
        x, y, z = rows["alignments3D/pose"][particle].astype(float)
        rotation = expm(np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])).T
        np.testing.assert_allclose(rotation, particles.rotations[particle], atol=6e-7)
    np.testing.assert_allclose(rows["alignments3D/shift"] * 1.31, particles.shifts, rtol=1e-6)
    np.testing.assert_allclose(rows["alignments3D/psize_A"], 1.31, rtol=1e-7)
    np.testing.assert_allclose(rows["ctf/df_angle_rad"], particles.ctf.defocus_angle, rtol=1e-6)
    np.testing.assert_allclose(rows["ctf/phase_shift_rad"], particles.ctf.phase_shift, rtol=1e-6)
    np.testing.assert_allclose(rows["ctf/df1_A"], particles.ctf.defocus_u, rtol=1e-6)
    np.testing.assert_array_equal(rows["ctf/exp_group_id"], [2, 1, 2, 2, 1, 2])
    assert (rows["ctf/scale"] == 1).all()
    assert (rows["ctf/anisomag"] == 0).all()
    assert rows["ctf/anisomag"].shape == (N, 4)
    assert set(np.unique(rows["alignments3D/split"])) == {0, 1}
    assert len(np.unique(rows["uid"])) == N


def test_the_round_trip_rounds_once(tmp_path: Path, particles: Particles, table: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first = read_cs(table)
    np.testing.assert_array_equal(first.read(np.arange(N)), particles.read(np.arange(N)))
    np.testing.assert_allclose(first.rotations, particles.rotations, atol=1e-6)
    np.testing.assert_allclose(first.shifts, particles.shifts, rtol=1e-7)
    assert (first.pixel_size, first.sign) == (1.31, -1)
    write_cs(tmp_path / "again.cs", first)
    second = read_cs(tmp_path / "again.cs")
    np.testing.assert_allclose(second.rotations, first.rotations, atol=1e-14)
    np.testing.assert_allclose(second.shifts, first.shifts, rtol=1e-15)
    for name in Ctf.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(second.ctf, name), getattr(first.ctf, name), err_msg=name)
        np.testing.assert_array_equal(getattr(read_cs_ctf(table), name), getattr(first.ctf, name), err_msg=name)


def test_withheld_poses_have_no_fields(tmp_path: Path, rng: np.random.Generator) -> None:
    write_cs(tmp_path / "p.cs", make_particles(tmp_path, rng, rotations=None, shifts=None, sign=1))
    assert not any(name.startswith("alignments") for name in np.load(tmp_path / "p.cs").dtype.names)
    found = read_cs(tmp_path / "p.cs")
    assert found.rotations is None
    assert found.sign == 1


def test_paths_outside_the_folder_are_absolute(tmp_path: Path, particles: Particles) -> None:
    (tmp_path / "tables").mkdir()
    write_cs(tmp_path / "tables" / "p.cs", particles)
    names = {name.decode() for name in np.load(tmp_path / "tables" / "p.cs")["blob/path"]}
    assert names == {(tmp_path / "particles" / f"00{i}.mrcs").as_posix() for i in range(2)}
    np.testing.assert_array_equal(read_cs(tmp_path / "tables" / "p.cs").read([4]), particles.read([4]))


def test_the_bytes_depend_on_the_content_alone(tmp_path: Path, particles: Particles, table: Path) -> None:
    write_cs(tmp_path / "again.cs", particles)
    assert (tmp_path / "again.cs").read_bytes() == table.read_bytes()
    write_cs(tmp_path / "other.cs", make_particles(tmp_path, np.random.default_rng(1)))
    assert not set(np.load(tmp_path / "other.cs")["uid"]) & set(np.load(table)["uid"])


def test_result_group(tmp_path: Path, particles: Particles, table: Path) -> None:
    write_csg(tmp_path / "particles.csg", table, particles)
    lines = (tmp_path / "particles.csg").read_text().splitlines()
    assert [line.strip() for line in lines if line.startswith("  ") and line.endswith(":")] == [
        "alignments3D:", "blob:", "ctf:",
    ]  # fmt: skip
    assert lines.count("    metafile: '>particles.cs'") == 3
    assert lines.count(f"    num_items: {N}") == 3


def test_images_in_memory_cannot_be_named(tmp_path: Path, rng: np.random.Generator) -> None:
    with pytest.raises(TypeError, match="ArrayImages"):
        write_cs(tmp_path / "p.cs", make_particles(tmp_path, rng, images=ArrayImages(np.zeros((N, SIZE, SIZE)))))


# What the numbers do to an image


@pytest.mark.parametrize("size", [32, 33])
def test_stored_shift_centres_and_stored_pose_explains_an_image(
    size: int, tmp_path: Path, rng: np.random.Generator
) -> None:
    """Our forward model makes the images; NumPy and SciPy use the raw fields as cryoSPARC does."""
    pixel_size, width = 2.0, 1.6
    axis = np.arange(size) - size // 2
    blobs = np.array([[0, 0, 0], [5, 1, 0], [-2, 4, 3], [0, -3, -6]], dtype=float)  # no symmetry
    heights = np.array([1.0, 1.5, 0.8, 2.0])

    def gauss(centres: np.ndarray) -> np.ndarray:
        return np.exp(-((axis - centres[..., None]) ** 2) / (2 * width**2))

    volume = np.einsum("b,bz,by,bx->zyx", heights, gauss(blobs[:, 2]), gauss(blobs[:, 1]), gauss(blobs[:, 0]))
    rotations, turn = Rotation.random(N, rng=rng).as_matrix(), rng.uniform(0, 2 * np.pi, N)
    shifts = 3.3 * pixel_size * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    ctf = Ctf.from_columns(N, defocus_u=0.0, defocus_v=0.0, cs_mm=0.0, amplitude_contrast=1.0)  # −1 everywhere
    slices = extract_slices(volume_to_fourier(torch.from_numpy(volume).float()), torch.from_numpy(rotations).float())
    spectra = apply_transfer(slices, ctf, torch.from_numpy(-shifts).float(), pixel_size=pixel_size)
    images = ifft_images(spectra, size).numpy()
    stack = write_stack(tmp_path / "p.mrcs", images, pixel_size)
    particles = Particles(MrcStacks(stack), pixel_size, ctf, rotations, shifts, sign=1)
    write_cs(tmp_path / "p.cs", particles)

    rows = np.load(tmp_path / "p.cs")
    for particle in range(N):
        bright = images[particle] * rows["blob/sign"][particle]
        dx, dy = rows["alignments3D/shift"][particle]
        centred = move(bright, (dy, dx), order=5)
        placed = blobs @ Rotation.from_rotvec(rows["alignments3D/pose"][particle]).as_matrix()  # rows times exp([w]x)
        expected = np.einsum("b,by,bx->yx", heights, gauss(placed[:, 1]), gauss(placed[:, 0]))
        assert np.corrcoef(centred.ravel(), expected.ravel())[0, 1] > 0.995
        assert np.corrcoef(bright.ravel(), expected.ravel())[0, 1] < 0.9


# Damage


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"drop": ("ctf/df1_A", "ctf/cs_mm")}, "lacks ctf/df1_A, ctf/cs_mm;.*passthrough"),
        ({"drop": ("blob/path",)}, "lacks blob/path"),
        ({"drop": ("blob/sign",)}, "lacks blob/sign.*--contrast bright or dark"),
        ({"drop": ("alignments3D/shift",)}, "lacks alignments3D/shift"),
        ({"alignments3D__pose": np.full((N, 3), np.nan, "<f4")}, "alignments3D/pose of particle 0 is .nan nan nan"),
        ({"ctf__df2_A": np.array([1, 2, np.inf, 4, 5, 6], "<f4")}, "ctf/df2_A of particle 2 is inf"),
        ({"ctf__accel_kv": np.zeros(N, "<f4")}, "ctf/accel_kv of particle 0 is 0, expected 10 to 2000 kV"),
        ({"blob__psize_A": np.array([1, 1, 1, 1, 1, 2], "<f4")}, "ranges from 1 to 2; one positive value"),
        ({"blob__psize_A": np.zeros(N, "<f4")}, "ranges from 0 to 0; one positive value"),
        ({"alignments3D__psize_A": np.zeros(N, "<f4")}, "alignments3D/psize_A of particle 0 is 0"),
        ({"blob__sign": np.array([1, 1, 1, -1, 1, 1], "<f4")}, "ranges from -1 to 1; one value is needed"),
        ({"blob__sign": np.zeros(N, "<f4")}, "blob/sign is 0, expected 1 or -1"),
        ({"blob__shape": np.full((N, 2), 7, "<u4")}, "images of 7 x 7 px .particle 0., but .* 5 px"),
        ({"blob__idx": np.full(N, 3, "<u4")}, "image 4 .counted from 1. of .*000.mrcs, which holds 3"),
        ({"blob__idx": np.array([0, 1, -1, 0, 1, 2], "<i4")}, "blob/idx of particle 2 is -1"),
        ({"blob__path": np.array([b">"] * N)}, "blob/path is empty"),
        ({"blob__path": np.array([b"\xff\xfe"] * N)}, "is not text"),
        ({"alignments3D__pose": np.zeros((N, 2), "<f4")}, "entries of shape .2,. .*expected numbers of shape .3,."),
    ],
)
def test_damaged_fields_are_named(table: Path, changes: dict, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        read_cs(edit(table, **changes))


def test_the_sign_can_be_said(table: Path) -> None:
    edit(table, drop=("blob/sign",))
    assert read_cs(table, sign=1).sign == 1


def test_what_we_cannot_honour_is_named(table: Path) -> None:
    edit(table, ctf__tilt_A=np.full((N, 2), 0.5, "<f4"), alignments3D__alpha=np.full(N, 1.2, "<f4"))
    with pytest.warns(UserWarning, match="ctf/tilt_A, alignments3D/alpha that are not part of the image model"):
        read_cs(table)


def test_passthrough_of_another_job(tmp_path: Path, rng: np.random.Generator) -> None:
    own, passthrough, _ = cryosparc_4_job(tmp_path, rng)
    uids = np.load(passthrough)["uid"]
    with pytest.raises(FormatError, match=r"lacks 1 of the 3 particles .*particle 0 \(uid 13864605955862944880\)"):
        read_cs(own, passthrough=edit(passthrough, uid=np.where(uids == 13864605955862944880, 5, uids)))
    with pytest.raises(FormatError, match="lists a uid twice"):
        read_cs(own, passthrough=edit(passthrough, uid=np.full(4, 5, "<u8")))
    with pytest.raises(FormatError, match="has no field uid"):
        read_cs(own, passthrough=edit(passthrough, drop=("uid",)))


def test_files_that_are_no_cs_files(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="does not exist"):
        read_cs(tmp_path / "missing.cs")
    path = tmp_path / "x.cs"
    path.write_bytes(b"_rlnImageName\n")
    with pytest.raises(FormatError, match=r"an array as numpy.save writes it, found one that begins with b.*_rlnI"):
        read_cs(path)
    for version in (b"\x94", b"\x95"):
        path.write_bytes(version + b"CSDAT7\x08")
        with pytest.raises(FormatError, match=r"stream format.*cryosparc-tools"):
            read_cs(path)
    with path.open("wb") as file:
        np.save(file, np.zeros((3, 4)))
    with pytest.raises(FormatError, match="found an array of float64"):
        read_cs(path)
    with path.open("wb") as file:
        np.save(file, np.zeros(0, [("uid", "<u8")]))
    with pytest.raises(FormatError, match="lists no particles"):
        read_cs(path)
    with path.open("wb") as file:
        np.savez(file, uid=np.zeros(3))
    with pytest.raises(FormatError, match="found an archive"):
        read_cs(path)


def test_python_objects_are_never_opened(tmp_path: Path) -> None:
    """A .cs file whose strings are Python objects could run code."""

    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    objects = np.zeros(2, [("uid", "<u8"), ("blob/path", "O")])
    objects["blob/path"] = [Trap(), Trap()]
    with (tmp_path / "x.cs").open("wb") as file:
        np.save(file, objects, allow_pickle=True)
    with pytest.raises(FormatError, match="Python objects in it are never opened"):
        read_cs(tmp_path / "x.cs")
    assert not (tmp_path / "ran").exists()


def test_truncated(table: Path) -> None:
    table.write_bytes(table.read_bytes()[:-100])
    with pytest.raises(FormatError, match=r"cannot be read: its header states an array \(6,\) of .* truncated"):
        read_cs(table)
