"""True volumes and masks of adopted particles: their order and grid, and which are refused."""

from pathlib import Path

import numpy as np
import pytest

from adoptable import SIZE, STATES
from cryobench import adopt
from cryobench._errors import FormatError
from cryobench.data import Dataset
from cryobench.io.formats.mrc import read_volume, write_volume


def test_volumes_count_as_people_do(home: Path, labels: Path, maps: Path, tmp_path: Path) -> None:
    dataset = adopt(home / "toy" / "particles.star", tmp_path / "mine", labels=labels, volumes=maps)
    assert dataset.truth is not None
    assert dataset.truth.volumes is not None
    assert [dataset.truth.volumes.read(state).mean() for state in (2, 10, 11)] == [2, 10, 11]


def test_finer_volumes_are_cropped_to_the_grid_of_the_images(home: Path, labels: Path, tmp_path: Path) -> None:
    """A wide Gaussian off the centre: half the grid holds the same function at every other point."""

    def gaussian(size: int, voxel: float) -> np.ndarray:
        axis = voxel * (np.arange(size) - size // 2)
        along = [np.exp(-((axis - centre) ** 2) / (2 * 7.0**2)) for centre in (4.0, -8.0, 6.0)]
        return np.einsum("z,y,x->zyx", *along).astype(np.float32)

    for state in range(STATES):
        write_volume(tmp_path / "maps" / f"{state}.mrc", gaussian(2 * SIZE, 2.0), 2.0)
    dataset = adopt(home / "toy" / "particles.star", tmp_path / "mine", labels=labels, volumes=tmp_path / "maps")
    assert dataset.truth is not None
    np.testing.assert_allclose(dataset.truth.volume_of(0), gaussian(SIZE, 4.0), atol=2e-3)
    assert dataset.card["notes"] == ["volumes Fourier-cropped from 32 to 16 voxels a side, 2 times coarser"]
    assert read_volume(tmp_path / "mine" / "truth" / "volumes" / "000.mrc")[1] == 4.0


@pytest.mark.parametrize(
    ("size", "voxel", "count", "message"),
    [
        (24, 4.0, 3, "24 voxels a side, but the images have 16 px: only volumes on the grid of the images, or finer"),
        (8, 8.0, 3, "8 voxels a side, but the images have 16 px"),
        (16, 3.0, 3, "voxels of 3 Å, but the images have pixels of 4 Å"),
        (32, 4.0, 3, "voxels of 4 Å, but the images have pixels of 2 Å|they are on different grids"),
        (16, 4.0, 2, "states 0 to 2, but .* holds 2 volumes .0.mrc to 1.mrc."),
        (16, 4.0, 0, "holds no .mrc volumes"),
    ],
)
def test_volumes_that_do_not_fit(
    home: Path, labels: Path, tmp_path: Path, size: int, voxel: float, count: int, message: str
) -> None:
    (tmp_path / "maps").mkdir()
    for state in range(count):
        write_volume(tmp_path / "maps" / f"{state}.mrc", np.zeros((size,) * 3, np.float32), voxel)
    with pytest.raises(FormatError, match=message):
        adopt(home / "toy" / "particles.star", tmp_path / "mine", labels=labels, volumes=tmp_path / "maps")
    assert not (tmp_path / "mine").exists()


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.ones((8, 8, 8)), "8 voxels a side, but the images have 16 px. Resample the mask onto 16 voxels of 4 Å"),
        (np.full((16, 16, 16), 7.0), "is not a mask: its values range from 7 to 7"),
        (np.zeros((16, 16, 16)), "mask.mrc is almost empty: its values sum to 0 voxels, expected at least 64"),
    ],
)
def test_masks_that_do_not_fit(home: Path, tmp_path: Path, mask: np.ndarray, message: str) -> None:
    write_volume(tmp_path / "mask.mrc", mask.astype(np.float32), 4.0)
    with pytest.raises(FormatError, match=message):
        adopt(home / "toy" / "particles.star", tmp_path / "mine", mask=tmp_path / "mask.mrc")


def test_a_mask_beside_the_molecule_is_refused(home: Path, labels: Path, tmp_path: Path, original: Dataset) -> None:
    corner = np.zeros((SIZE,) * 3, np.float32)
    corner[:4, :4, :4] = 1
    write_volume(tmp_path / "mask.mrc", corner, 4.0)
    given = {"labels": labels, "mask": tmp_path / "mask.mrc"}
    with pytest.raises(FormatError, match=r"mask.mrc holds .* of the power of the true volumes, expected at least"):
        adopt(home / "toy" / "particles.star", tmp_path / "mine", volumes=home / "toy/truth/volumes", **given)
    adopt(home / "toy" / "particles.star", tmp_path / "mine", **given)  # nothing is known that it should hold
