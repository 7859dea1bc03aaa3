"""Which file is which state: counted by names, or refused; other maps do not shift the count."""

from pathlib import Path

import numpy as np
import pytest

from cryobench import adopt
from cryobench._errors import FormatError
from cryobench.io.adoption.state_volumes import choose_volumes, list_volumes
from cryobench.io.formats.mrc import write_volume
from foreign import SIZE, write_table


def touch(folder: Path, names: list[str]) -> Path:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


@pytest.mark.parametrize(
    ("names", "chosen", "note"),
    [
        (["0.mrc", "1.mrc"], ["0.mrc", "1.mrc"], None),
        (["v_9.map", "v_10.map"], ["v_9.map", "v_10.map"], None),
        ([f"state_{i}_of_12.mrc" for i in range(12)], [f"state_{i}_of_12.mrc" for i in range(12)], None),
        (["consensus.mrc", "vol_000.mrc", "vol_001.mrc"], ["vol_000.mrc", "vol_001.mrc"], "not used: consensus.mrc"),
        (["mask.mrc", "vol_1.map", "vol_2.map"], ["vol_1.map", "vol_2.map"], "0 = vol_1.map, 1 = vol_2.map"),
        (["closed.mrc", "open.mrc"], ["closed.mrc", "open.mrc"], "0 = closed.mrc, 1 = open.mrc"),
        (["vol_0.mrc", "mean.mrc"], ["mean.mrc", "vol_0.mrc"], "0 = mean.mrc, 1 = vol_0.mrc"),
    ],
)
def test_states_are_counted_by_names(tmp_path: Path, names: list[str], chosen: list[str], note: str | None) -> None:
    folder, notes = touch(tmp_path / "maps", names), []
    found = choose_volumes(list_volumes(folder), 2, folder, notes)
    assert [path.name for path in found] == chosen
    assert len(notes) == (note is not None)
    if note:
        assert note in notes[0]


@pytest.mark.parametrize(
    "names",
    [
        [f"run_it{i:03d}_class{k:03d}.mrc" for i in (0, 25) for k in (1, 2)],
        [f"class{k}_half_{half}.mrc" for k in (1, 2) for half in "AB"],
        ["a.mrc", "b.mrc", "c.mrc"],
        ["vol_0.mrc", "vol_1.mrc", "vol_2.mrc", "mask.mrc"],
        ["vol_0.mrc", "vol_1.mrc", "vol_3.mrc"],
    ],
)
def test_names_that_do_not_say_which_are_refused(tmp_path: Path, names: list[str]) -> None:
    folder = touch(tmp_path / "maps", names)
    with pytest.raises(
        FormatError, match=rf"holds {len(names)} volumes for 2 states, .* do not show which are meant"
    ):
        choose_volumes(list_volumes(folder), 2, folder, [])


def test_maps_of_the_emdb_and_packed_ones(tmp_path: Path) -> None:
    table = write_table(tmp_path)
    np.save(tmp_path / "labels.npy", np.arange(6) % 2)
    for state in range(2):
        volume = np.full((SIZE,) * 3, state + 1, np.float32)
        write_volume(tmp_path / "maps" / f"emd_{state + 7}.map", volume, 4.0)
    truth = adopt(table, tmp_path / "m", labels=tmp_path / "labels.npy", volumes=tmp_path / "maps").truth
    assert truth is not None
    assert truth.volumes is not None
    assert [truth.volumes.read(state).mean() for state in range(2)] == [1, 2]
    with pytest.raises(FormatError, match=r"holds no .mrc volumes .* Unpack emd_1.map.gz"):
        list_volumes(touch(tmp_path / "packed", ["emd_1.map.gz"]))


def test_labels_from_one_do_not_fit_volumes(tmp_path: Path) -> None:
    folder = touch(tmp_path / "maps", ["1.mrc", "2.mrc"])
    with pytest.raises(FormatError, match=r"states 0 to 2, but .* holds 2 volumes .*; labels count from 0"):
        choose_volumes(list_volumes(folder), 3, folder, [])


# Without volumes, states are counted without gaps


@pytest.mark.parametrize(
    ("labels", "states", "names"),
    [
        ([1, 2, 1, 2, 1, -1], [0, 1, 0, 1, 0, -1], ("1", "2")),
        ([5, 1_000_005, 5, 5, -1, 5], [0, 1, 0, 0, -1, 0], ("5", "1000005")),
        ([99_999, 7, 3, 0, 12, 40], [5, 2, 1, 0, 3, 4], ("0", "3", "7", "12", "40", "99999")),
        ([0, 1, 2, 2, -1, 0], [0, 1, 2, 2, -1, 0], None),
        ([-1] * 6, [-1] * 6, None),
    ],
)
def test_states_are_counted_without_gaps(tmp_path: Path, labels: list, states: list, names: tuple | None) -> None:
    np.save(tmp_path / "labels.npy", labels)
    dataset = adopt(write_table(tmp_path), tmp_path / "mine", labels=tmp_path / "labels.npy")
    assert dataset.truth is not None
    np.testing.assert_array_equal(dataset.truth.states, states)
    assert dataset.truth.state_names == names
    assert dataset.truth.n_states == max(states) + 1 == dataset.card["n_states"]
    said = [note for note in dataset.card["notes"] if "named by their labels" in note]
    assert len(said) == (names is not None)
