"""MRC files: every real mode and byte order, any order of images, damage named, nothing half-written."""

import hashlib
import os
import pickle
import resource
import shutil
import warnings
from pathlib import Path

import mrcfile
import numpy as np
import pytest

from cryobench._errors import FormatError
from cryobench.data import ImageSource, VolumeSource
from cryobench.io.atomic import DiskFull
from cryobench.io.formats import mrc, open_stacks
from cryobench.io.formats.mrc import MrcFolder, MrcStacks, begin_stack, read_volume, write_volume
from cryobench.io.formats.mrc_header import make_header, read_header

DTYPES = {0: "i1", 1: "i2", 2: "f4", 6: "u2", 12: "f2"}


def write_stack(path: Path, images: np.ndarray, pixel_size: float = 1.5) -> Path:
    with begin_stack(path, len(images), images.shape[-1], pixel_size) as writer:
        writer.append(images.astype(np.float32))
    return path


def write_raw(path: Path, values: np.ndarray, mode: int, order: str, *, extended: int = 0, **fields: object) -> Path:
    """An MRC file in any mode and byte order, with header fields overridden."""
    header = make_header(values.shape, 2.0, stack=True).astype(mrc.make_header((1, 1, 1), 1.0, stack=True).dtype)
    header = header.astype(header.dtype.newbyteorder(order))
    header["mode"], header["nsymbt"] = mode, extended
    header["machst"] = (0x44, 0x44, 0, 0) if order == "<" else (0x11, 0x11, 0, 0)
    for name, value in fields.items():
        header[name] = value
    path.write_bytes(header.tobytes() + b"\x07" * extended + values.astype(order + DTYPES[mode]).tobytes())
    return path


def write_pieces(path: Path, n: int, pieces: list[np.ndarray | BaseException]) -> None:
    """Append pieces to a stack; an exception among them is raised there."""
    with begin_stack(path, n, 4, 1.0) as writer:
        for piece in pieces:
            if isinstance(piece, BaseException):
                raise piece
            writer.append(piece)


def small_integers(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.integers(0, 100, shape).astype(np.float32)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("mode", list(DTYPES))
@pytest.mark.parametrize("size", [5, 6])
def test_every_mode_and_byte_order(
    tmp_path: Path, rng: np.random.Generator, mode: int, order: str, size: int
) -> None:
    images = small_integers(rng, (4, size, size)) - (50 if mode != 6 else 0)
    stack = MrcStacks(write_raw(tmp_path / "s.mrcs", images, mode, order, extended=160))
    found = stack.read(np.arange(4))
    assert found.dtype == np.dtype("=f4")
    np.testing.assert_array_equal(found, images)
    assert (len(stack), stack.box_size, stack.pixel_size) == (4, size, 2.0)


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.float32, np.uint16, np.float16])
def test_files_of_mrcfile_are_read(tmp_path: Path, rng: np.random.Generator, dtype: type) -> None:
    images = small_integers(rng, (3, 7, 7)).astype(dtype)
    with mrcfile.new(tmp_path / "s.mrcs") as file:
        file.set_data(images)
        file.set_image_stack()
        file.voxel_size = 1.25
    stack = MrcStacks(tmp_path / "s.mrcs")
    np.testing.assert_array_equal(stack.read(np.arange(3)), images.astype(np.float32))
    assert stack.pixel_size == pytest.approx(1.25)


@pytest.mark.parametrize("size", [5, 6])
def test_our_files_are_valid_and_read_by_mrcfile(tmp_path: Path, rng: np.random.Generator, size: int) -> None:
    images, volume = (rng.normal(size=(n, size, size)).astype(np.float32) for n in (3, size))
    write_stack(tmp_path / "s.mrcs", images, 1.3)
    write_volume(tmp_path / "v.mrc", volume, 1.3)
    for name, values, is_stack in (("s.mrcs", images, True), ("v.mrc", volume, False)):
        assert mrcfile.validate(tmp_path / name)
        with mrcfile.open(tmp_path / name) as file:
            np.testing.assert_array_equal(file.data, values)
            assert file.is_image_stack() == is_stack
            assert file.get_labels() == ["written by cryobench"]
            assert float(file.voxel_size.x) == pytest.approx(1.3)
            assert (int(file.header.mz), int(file.header.ispg)) == ((1, 0) if is_stack else (size, 1))
    found, pixel_size = read_volume(tmp_path / "v.mrc")
    np.testing.assert_array_equal(found, volume)
    assert pixel_size == pytest.approx(1.3)


def test_images_come_in_the_order_asked(tmp_path: Path, rng: np.random.Generator) -> None:
    parts = [rng.normal(size=(n, 6, 6)).astype(np.float32) for n in (4, 1, 5)]
    paths = [write_stack(tmp_path / f"{i}.mrcs", part) for i, part in enumerate(parts)]
    images = np.concatenate(parts)
    stacks = MrcStacks(paths)
    assert isinstance(stacks, ImageSource)
    gaps, repeats = np.array([0, 2, 5, 7, 9]), np.array([5, 5, 6, 3, 9, 3])
    for asked in (np.arange(10), np.arange(10)[::-1], rng.permutation(10), gaps, repeats, np.array([], dtype=int)):
        np.testing.assert_array_equal(stacks.read(asked), images[asked])
    with pytest.raises(IndexError):
        stacks.read(np.array([10]))


def test_entries_choose_reorder_and_repeat_images(tmp_path: Path, rng: np.random.Generator) -> None:
    parts = [rng.normal(size=(4, 5, 5)).astype(np.float32) for _ in range(2)]
    paths = [write_stack(tmp_path / f"{i}.mrcs", part) for i, part in enumerate(parts)]
    file_index, image_index = np.array([1, 0, 1, 1, 0]), np.array([3, 2, 0, 3, 1])
    stacks = MrcStacks(paths, file_index=file_index, image_index=image_index)
    expected = np.stack([parts[f][i] for f, i in zip(file_index, image_index, strict=True)])
    np.testing.assert_array_equal(stacks.read(np.arange(5)), expected)
    np.testing.assert_array_equal(stacks.read(np.array([4, 0])), expected[[4, 0]])
    # Places that go on where another file left off are no neighbours.
    across = MrcStacks(paths, file_index=np.array([0, 1]), image_index=np.array([0, 1]))
    np.testing.assert_array_equal(across.read(np.arange(2)), [parts[0][0], parts[1][1]])


def test_stacks_travel_as_paths(tmp_path: Path, rng: np.random.Generator) -> None:
    images = rng.normal(size=(50, 32, 32)).astype(np.float32)
    stacks = MrcStacks(write_stack(tmp_path / "s.mrcs", images))
    stacks.read(np.arange(3))
    packed = pickle.dumps(stacks)
    assert len(packed) < 5000
    np.testing.assert_array_equal(pickle.loads(packed).read(np.arange(50)), images)


def test_as_many_files_are_open_as_the_process_may_have(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.arange(10 * 4, dtype=np.float32).reshape(10, 1, 2, 2)
    paths = [write_stack(tmp_path / f"{i}.mrcs", images[i]) for i in range(10)]
    monkeypatch.setattr(open_stacks, "_most_open", lambda: 3)
    opened: list[Path] = []
    kind = open_stacks._Stack
    monkeypatch.setattr(open_stacks, "_Stack", lambda header: opened.append(header.path) or kind(header))
    stacks = MrcStacks(paths)
    assert not opened
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else None  # noqa: PTH208
    for _ in range(3):
        np.testing.assert_array_equal(stacks.read(np.arange(10)[::-1]), images[::-1, 0])
    # Three of ten are still open when they are needed again; were the oldest closed instead, none would be.
    assert len(opened) == 10 + 7 + 7
    if before is not None:
        assert len(os.listdir("/proc/self/fd")) <= before + 3  # noqa: PTH208


def test_the_number_of_open_files_follows_the_limit_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    for allowed, expected in ((1024, 256), (2, 1)):
        monkeypatch.setattr(resource, "getrlimit", lambda _, allowed=allowed: (allowed, allowed))
        assert open_stacks._most_open() == expected
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert open_stacks._most_open() > 1024


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<i2", ">i2"])
def test_images_are_the_same_if_a_read_returns_less_than_was_asked_for(
    dtype, tmp_path: Path, rng, monkeypatch
) -> None:
    images = small_integers(rng, (7, 6, 6)).astype(dtype)
    stacks = MrcStacks(write_raw(tmp_path / "s.mrcs", images, 2 if "f" in dtype else 1, dtype[0]))
    order = np.array([5, 1, 2, 3, 0])
    np.testing.assert_array_equal(stacks.read(order), images[order])
    whole = os.preadv
    monkeypatch.setattr(os, "preadv", lambda file, parts, offset: whole(file, [parts[0][:100]], offset))
    np.testing.assert_array_equal(stacks.read(order), images[order])


@pytest.mark.parametrize(("stamp", "word"), [((0x77, 0, 0, 0), "malformed"), ((0x11, 0x11, 0, 0), "wrong")])
def test_a_bad_machine_stamp_is_warned_of_and_overruled(
    tmp_path: Path, rng: np.random.Generator, stamp: tuple[int, ...], word: str
) -> None:
    images = small_integers(rng, (2, 4, 4))
    path = write_raw(tmp_path / "s.mrcs", images, 2, "<", machst=stamp)
    with pytest.warns(UserWarning, match=rf"s\.mrcs has a {word} machine stamp"):
        stacks = MrcStacks(path)
    np.testing.assert_array_equal(stacks.read(np.arange(2)), images)


def test_a_good_file_gives_no_warning(tmp_path: Path) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        stacks = MrcStacks(write_raw(tmp_path / "s.mrcs", np.ones((2, 4, 4)), 2, ">"))
    assert not caught
    np.testing.assert_array_equal(stacks.read(np.arange(2)), np.ones((2, 4, 4)))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("mode", list(DTYPES))
def test_an_absent_machine_stamp_is_no_contradiction(
    tmp_path: Path, rng: np.random.Generator, mode: int, order: str
) -> None:
    images = small_integers(rng, (2, 4, 4))
    path = write_raw(tmp_path / "s.mrcs", images, mode, order, machst=(0, 0, 0, 0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(MrcStacks(path).read(np.arange(2)), images)


@pytest.mark.parametrize("mode", [3, 4, 101])
def test_other_modes_are_refused_by_number(tmp_path: Path, mode: int) -> None:
    path = write_raw(tmp_path / "s.mrcs", np.zeros((2, 4, 4)), 2, "<")
    with path.open("r+b") as file:
        file.seek(12)
        file.write(np.int32(mode).tobytes())
    with pytest.raises(FormatError, match=rf"s\.mrcs stores numbers in MRC mode {mode}"):
        read_header(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x89PNG\r\n\x1a\n" + bytes(2000), "it is a PNG image"),
        (b"\x1f\x8b" + bytes(2000), "gzip archive"),
        (b"version https://git-lfs.github.com/spec/v1", "Git LFS pointer"),
        (b"hello", "it has 5 bytes"),
        (b"", "it has 0 bytes"),
        (b"data_particles\nloop_\n" * 100, "header would imply a size of"),
        (bytes(2000), r"size of \(0, 0, 0\)"),
    ],
)
def test_other_files_are_told_what_they_are(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "s.mrcs").write_bytes(content)
    with pytest.raises(FormatError, match=rf"s\.mrcs is not an MRC file: .*{message}"):
        MrcStacks(tmp_path / "s.mrcs")


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"none\.mrcs does not exist"):
        MrcStacks([tmp_path / "none.mrcs"])
    with pytest.raises(FormatError, match="is a folder"):
        read_volume(tmp_path)
    with pytest.raises(FormatError, match=r"holds no \.mrc volumes"):
        MrcFolder.from_folder(tmp_path)


def test_a_truncated_stack_says_what_it_lacks(tmp_path: Path) -> None:
    path = write_stack(tmp_path / "s.mrcs", np.zeros((5, 8, 8)))
    os.truncate(path, 1024 + 3 * 256 + 100)
    with pytest.raises(FormatError, match=r"s\.mrcs is truncated: its header states 5 .* \(3 whole sections\)"):
        MrcStacks(path)


def test_a_stack_that_shrinks_after_opening_is_noticed(tmp_path: Path) -> None:
    stacks = MrcStacks(write_stack(tmp_path / "s.mrcs", np.zeros((5, 8, 8))))
    os.truncate(tmp_path / "s.mrcs", 2000)
    with pytest.raises(FormatError, match=r"s\.mrcs has become shorter"):
        stacks.read(np.array([0]))
    opened = MrcStacks(write_stack(tmp_path / "t.mrcs", np.zeros((5, 8, 8))))
    opened.read(np.array([0]))
    os.truncate(tmp_path / "t.mrcs", 2000)
    with pytest.raises(FormatError, match=r"t\.mrcs has become shorter"):
        opened.read(np.array([4]))


def test_images_that_are_not_square_are_refused(tmp_path: Path) -> None:
    path = write_raw(tmp_path / "s.mrcs", np.zeros((2, 4, 6)), 2, "<")
    with pytest.raises(FormatError, match=r"s\.mrcs: images are 6 x 4 px \(x, y\)"):
        MrcStacks(path)


def test_stacks_of_different_sizes_are_refused(tmp_path: Path) -> None:
    paths = [write_stack(tmp_path / f"{size}.mrcs", np.zeros((2, size, size))) for size in (4, 6)]
    with pytest.raises(FormatError, match=r"6\.mrcs holds images of 6 px, .*4\.mrcs of 4 px"):
        MrcStacks(paths)


def test_entries_beyond_the_stack_are_refused(tmp_path: Path) -> None:
    path = write_stack(tmp_path / "s.mrcs", np.zeros((3, 4, 4)))
    zeros = np.zeros(2, dtype=int)
    with pytest.raises(FormatError, match=r"particle 1 is image 4 \(counted from 1\) of .*s\.mrcs, which holds 3"):
        MrcStacks(path, file_index=zeros, image_index=np.array([0, 3]))
    with pytest.raises(FormatError, match="particle 0 is image 0"):
        MrcStacks(path, file_index=zeros, image_index=np.array([-1, 0]))
    with pytest.raises(ValueError, match=r"file index 1 \(entry 1\) but there are 1 stacks"):
        MrcStacks(path, file_index=np.array([0, 1]), image_index=zeros)
    with pytest.raises(ValueError, match="or neither"):
        MrcStacks(path, file_index=zeros)
    with pytest.raises(ValueError, match="one entry of each"):
        MrcStacks(path, file_index=zeros, image_index=np.zeros(3, dtype=int))
    with pytest.raises(ValueError, match="no stack"):
        MrcStacks([])


def test_a_volume_must_be_a_cube_with_cubic_voxels(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"s\.mrc is 4 x 4 x 3 \(x, y, z\), expected a cubic volume"):
        read_volume(write_stack(tmp_path / "s.mrc", np.zeros((3, 4, 4))))
    cell = np.array((4.0, 4.0, 8.0), dtype=make_header((1, 1, 1), 1.0, stack=False)["cella"].dtype)
    path = write_raw(tmp_path / "v.mrc", np.zeros((4, 4, 4)), 2, "<", cella=cell, mz=4)
    with pytest.raises(FormatError, match=r"v\.mrc has voxels of 1 x 1 x 2 Å"):
        read_volume(path)
    with pytest.raises(ValueError, match=r"must be a cube .* \(3, 4, 4\)"):
        write_volume(tmp_path / "w.mrc", np.zeros((3, 4, 4), np.float32), 1.0)
    with pytest.raises(ValueError, match="pixel_size must be positive"):
        write_volume(tmp_path / "w.mrc", np.zeros((4, 4, 4), np.float32), 0.0)
    assert not (tmp_path / "w.mrc").exists()


@pytest.mark.parametrize("axes", [(1, 2, 3), (3, 2, 1), (2, 3, 1), (3, 1, 2), (2, 1, 3)])
def test_permuted_axes_are_turned_to_z_y_x(tmp_path: Path, rng: np.random.Generator, axes: tuple[int, ...]) -> None:
    volume = rng.normal(size=(5, 5, 5)).astype(np.float32)
    # Store so that columns (last axis) run along axes[0], rows along axes[1], sections along axes[2].
    stored = volume.transpose([3 - axes[2], 3 - axes[1], 3 - axes[0]])
    path = write_raw(tmp_path / "v.mrc", stored, 2, "<", mapc=axes[0], mapr=axes[1], maps=axes[2])
    np.testing.assert_array_equal(read_volume(path)[0], volume)


def test_a_folder_of_volumes(tmp_path: Path, rng: np.random.Generator) -> None:
    volumes = rng.normal(size=(3, 6, 6, 6)).astype(np.float32)
    for i, volume in enumerate(volumes):
        write_volume(tmp_path / f"{i:03d}.mrc", volume, 2.5)
    source = pickle.loads(pickle.dumps(MrcFolder.from_folder(tmp_path)))
    assert isinstance(source, VolumeSource)
    assert (len(source), source.box_size, source.pixel_size) == (3, 6, 2.5)
    np.testing.assert_array_equal([source.read(i) for i in (2, 0, 1)], volumes[[2, 0, 1]])
    write_volume(tmp_path / "001.mrc", np.zeros((5, 5, 5), np.float32), 2.5)
    with pytest.raises(FormatError, match=r"001\.mrc has 5 voxels a side, but .*000\.mrc has 6"):
        source.read(1)
    (tmp_path / "002.mrc").unlink()
    with pytest.raises(FormatError, match=r"002\.mrc does not exist"):
        source.read(2)


def test_the_pieces_do_not_show_in_a_stack(tmp_path: Path, rng: np.random.Generator) -> None:
    images = rng.normal(size=(10, 5, 5)).astype(np.float32)
    digests = set()
    for size in (1, 3, 10):
        (tmp_path / "s.mrcs").unlink(missing_ok=True)
        with begin_stack(tmp_path / "s.mrcs", 10, 5, 3.0) as writer:
            for start in range(0, 10, size):
                writer.append(images[start : start + size])
            writer.append(images[:0])
            assert not (tmp_path / "s.mrcs").exists()
        digests |= {writer.sha256, hashlib.sha256((tmp_path / "s.mrcs").read_bytes()).hexdigest()}
    assert len(digests) == 1


def test_an_unfinished_stack_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "s.mrcs"
    images = np.zeros((2, 4, 4), np.float32)
    with (
        pytest.raises(ValueError, match=r"s\.mrcs expects 3 images, but only 2"),
        begin_stack(path, 3, 4, 1.0) as writer,
    ):
        writer.append(images)
    with pytest.raises(ValueError, match="is not finished"):
        writer.sha256  # noqa: B018
    with pytest.raises(ValueError, match="expects 3 images; 2 are written, and 2 more were given"):
        write_pieces(path, 3, [images, images])
    with pytest.raises(KeyboardInterrupt):
        write_pieces(path, 3, [images, KeyboardInterrupt()])
    with pytest.raises(ValueError, match=r"must have shape \(m, 4, 4\)"), begin_stack(path, 3, 4, 1.0) as writer:
        writer.append(np.zeros((2, 4, 5), np.float32))
    with pytest.raises(ValueError, match="at least one image"), begin_stack(path, 0, 4, 1.0):
        pytest.fail("the block must not be entered")
    assert list(tmp_path.iterdir()) == []


def test_a_stack_that_does_not_fit_is_not_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9 - 5000, 5000))
    with (
        pytest.raises(DiskFull, match=r"s\.mrcs needs 5,120 bytes, 5,000 bytes are free"),
        begin_stack(tmp_path / "s.mrcs", 16, 8, 1.0),
    ):
        pytest.fail("the block must not be entered")
    assert list(tmp_path.iterdir()) == []
