"""Plain files of a program that is not known: rows that are the right particles, maps on the right grid."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cryobench import adopt
from cryobench._errors import FormatError
from cryobench.data import Dataset, Priors
from cryobench.importers import get_importer
from cryobench.importers.bring_in import examine, import_results
from cryobench.importers.documentation import describe_importers
from cryobench.io.formats.mrc import write_volume
from cryobench.io.formats.pickles import write_pickle
from cryobench.io.programs.relion import write_pose_star
from cryobench.runs.score import score_run
from cryobench.testing import check_importer
from cryobench.testing.toy import toy_dataset
from cryobench.volumes import mirror_volume
from cryobench.volumes.regrid import regrid_volume
from foreign import cs_columns, save_cs, write_stack
from stored import store_dataset


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return toy_dataset(size=16, n=90, n_queries=3)


@pytest.fixture
def latents(dataset: Dataset) -> np.ndarray:
    return np.random.default_rng(1).standard_normal((len(dataset.particles), 4)).astype(np.float32)


def write_maps(folder: Path, dataset: Dataset, names: list[str], voxel: float | None = None) -> Path:
    """The true volumes of the query particles."""
    folder.mkdir()
    for query, name in zip(dataset.queries, names, strict=True):
        write_volume(folder / name, true_volume(dataset, int(query)), voxel or dataset.particles.pixel_size)
    return folder


def true_volume(dataset: Dataset, particle: int) -> np.ndarray:
    assert dataset.truth is not None
    assert dataset.truth.volumes is not None
    return dataset.truth.volumes.read(int(dataset.truth.states[particle]))


def read(dataset: Dataset, **options: object):
    return get_importer("files").open(None, options).read(dataset)


@pytest.mark.parametrize("suffix", ["npy", "npz", "csv", "parquet", "pkl", "txt"])
def test_latents_of_every_kind_of_file(suffix: str, dataset: Dataset, latents: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / f"z.{suffix}"
    table = pd.DataFrame(latents, columns=[f"z{axis}" for axis in range(4)])
    writers = {
        "npy": lambda: np.save(path, latents),
        "npz": lambda: np.savez(path, z=latents, other=np.zeros(3)),
        "csv": lambda: table.to_csv(path, index=False, float_format="%.9g"),
        "parquet": lambda: table.to_parquet(path),
        "pkl": lambda: write_pickle(path, latents),
        "txt": lambda: np.savetxt(path, latents, fmt="%.9g"),
    }
    writers[suffix]()
    np.testing.assert_array_equal(read(dataset, latents=path).latents, latents)


def test_rows_that_name_their_particle_may_come_in_any_order(
    dataset: Dataset, latents: np.ndarray, tmp_path: Path
) -> None:
    order = np.random.default_rng(2).permutation(90)[:70]
    pd.DataFrame({"particle": order, "x": latents[order, 0], "y": latents[order, 1]}).to_csv(
        tmp_path / "z.csv", index=False, float_format="%.9g"
    )
    found = read(dataset, latents=tmp_path / "z.csv")
    assert found.latents is not None
    np.testing.assert_array_equal(found.latents[order], latents[order, :2])
    assert np.isnan(np.delete(found.latents, order, axis=0)).all()
    assert "20 particles have none" in found.notes[0]


def test_another_number_of_rows_is_refused_with_the_way_out(
    dataset: Dataset, latents: np.ndarray, tmp_path: Path
) -> None:
    np.save(tmp_path / "z.npy", latents[:50])
    with pytest.raises(FormatError, match=r"has 50 rows, and .* has 90 particles.*--indices FILE"):
        read(dataset, latents=tmp_path / "z.npy")
    np.save(tmp_path / "chosen.npy", np.arange(40, 90))
    found = read(dataset, latents=tmp_path / "z.npy", indices=tmp_path / "chosen.npy")
    assert found.latents is not None
    np.testing.assert_array_equal(found.latents[40:], latents[:50])


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_the_default_index_of_a_data_frame_says_nothing_of_particles(
    suffix: str, dataset: Dataset, latents: np.ndarray, tmp_path: Path
) -> None:
    """It is stored as 0, 1, 2, … whichever particles the rows are."""
    chosen = np.arange(40, 90)
    np.save(tmp_path / "chosen.npy", chosen)
    path, frame = tmp_path / f"z.{suffix}", pd.DataFrame(latents[chosen])
    frame.columns = [f"z{axis}" for axis in frame]
    frame.to_csv(path, float_format="%.9g") if suffix == "csv" else frame.to_parquet(path)
    with pytest.raises(FormatError, match=r"has 50 rows, and .* has 90 particles.*--indices FILE"):
        read(dataset, latents=path)
    found = read(dataset, latents=path, indices=tmp_path / "chosen.npy")
    assert found.latents is not None
    np.testing.assert_array_equal(found.latents[chosen], latents[chosen])
    assert np.isnan(found.latents[:40]).all()


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_labels_without_a_column_of_particles_follow_the_selection(
    suffix: str, dataset: Dataset, tmp_path: Path
) -> None:
    assert dataset.truth is not None
    order = np.random.default_rng(3).permutation(len(dataset.particles))
    np.save(tmp_path / "order.npy", order)
    path, frame = tmp_path / f"labels.{suffix}", pd.DataFrame({"state": dataset.truth.states[order]})
    frame.to_csv(path, index=False) if suffix == "csv" else frame.to_parquet(path)
    found = read(dataset, labels=path, indices=tmp_path / "order.npy")
    assert found.posteriors is not None
    np.testing.assert_array_equal(found.posteriors.argmax(axis=1), dataset.truth.states)
    assert f"{path.name}: rows are particles by order.npy." in found.notes


def test_a_column_of_particles_that_contradicts_the_selection_is_shown(
    dataset: Dataset, latents: np.ndarray, tmp_path: Path
) -> None:
    np.save(tmp_path / "chosen.npy", np.arange(40, 90))
    pd.DataFrame({"particle": np.arange(50), "x": latents[:50, 0]}).to_csv(tmp_path / "z.csv", index=False)
    with pytest.raises(FormatError, match=r"z\.csv and .*chosen\.npy contradict one another: particle 0 is row 0"):
        read(dataset, latents=tmp_path / "z.csv", indices=tmp_path / "chosen.npy")


@pytest.mark.parametrize(
    ("option", "values", "said"),
    [
        ("latents", np.zeros((4, 90)), r"shape \(4, 90\), and toy has 90 particles: expected a row for each"),
        (
            "labels",
            np.full((90, 3), 0.9),
            r"results cannot be used, in .*wrong\.npy: posteriors of particle 0 sum to 2\.69",
        ),
        ("poses", np.tile(2 * np.eye(3), (90, 1, 1)), r"wrong\.npy: the rotation of particle 0 is not a proper"),
    ],
)
def test_numbers_that_are_no_such_results_are_refused_before_anything_is_written(
    option: str, values: np.ndarray, said: str, dataset: Dataset, tmp_path: Path
) -> None:
    np.save(tmp_path / "wrong.npy", values)
    options = {option: tmp_path / "wrong.npy"}
    with pytest.raises(FormatError, match=said):
        examine("files", None, dataset, options=options)
    with pytest.raises(FormatError, match=said):
        import_results("files", None, dataset, tmp_path / "run", options=options)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("kind", ["star", "fraction", "pixel", "npy"])
def test_poses_are_taken_in_the_unit_of_their_file(kind: str, dataset: Dataset, tmp_path: Path) -> None:
    rotations, shifts = dataset.particles.rotations, dataset.particles.shifts
    assert rotations is not None
    assert shifts is not None
    pixel, size = dataset.particles.pixel_size, dataset.particles.box_size
    path = tmp_path / f"poses.{kind if kind in ('star', 'npy') else 'pkl'}"
    options: dict[str, object] = {"poses": path}
    if kind == "star":
        write_pose_star(path, rotations, shifts)
    elif kind == "npy":
        np.save(path, rotations)
    else:
        write_pickle(path, (rotations, shifts / pixel / (size if kind == "fraction" else 1)))
        options["shift_unit"] = kind
    found = read(dataset, **options)
    np.testing.assert_allclose(found.rotations, rotations, atol=1e-6)
    np.testing.assert_allclose(found.shifts, 0 * shifts if kind == "npy" else shifts, atol=1e-5)
    assert np.abs(shifts).max() > 1
    assert found.poses == "estimated"


def test_a_pickle_of_a_dictionary_is_refused_with_what_it_holds(dataset: Dataset, tmp_path: Path) -> None:
    write_pickle(tmp_path / "z.pkl", {"z_mu": np.zeros((90, 2))})
    with pytest.raises(FormatError, match="holds a dictionary of z_mu, expected an array of latents"):
        read(dataset, latents=tmp_path / "z.pkl")


def test_a_run_cannot_be_put_into_a_file(dataset: Dataset, latents: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "z.npy", latents)
    with pytest.raises(FormatError, match="is a file, expected a new folder for the run"):
        import_results("files", None, dataset, tmp_path / "z.npy", options={"latents": tmp_path / "z.npy"})


def test_a_map_and_a_folder_without_maps_are_no_maps(dataset: Dataset, tmp_path: Path) -> None:
    folder = write_maps(tmp_path / "maps", dataset, ["a.mrc", "b.mrc", "c.mrc"])
    with pytest.raises(FormatError, match=r"a\.mrc is a file, expected a folder of \.mrc volumes: give "):
        read(dataset, volumes=folder / "a.mrc")
    with pytest.raises(FormatError, match=r"holds no \.mrc volumes \(nor \.map\)"):
        read(dataset, volumes=tmp_path)


def test_labels_say_by_what_their_rows_are_known(dataset: Dataset, tmp_path: Path) -> None:
    assert dataset.truth is not None
    states = dataset.truth.states
    np.save(tmp_path / "labels.npy", states)
    assert read(dataset, labels=tmp_path / "labels.npy").notes == (
        "labels.npy: rows are particles by their order alone.",
    )
    np.savetxt(tmp_path / "labels.txt", states, fmt="%d")
    found = read(dataset, labels=tmp_path / "labels.txt")
    assert found.posteriors is not None
    np.testing.assert_array_equal(found.posteriors.argmax(axis=1), states)
    gaps = np.where(states == 1, 7, states)
    gaps[:4] = -1
    np.savetxt(tmp_path / "gaps.txt", gaps, fmt="%d")
    found = read(dataset, labels=tmp_path / "gaps.txt")
    assert found.posteriors is not None
    assert np.isnan(found.posteriors[:4]).all()
    expected = np.eye(3)[np.searchsorted([0, 2, 7], gaps[4:])]
    np.testing.assert_array_equal(found.posteriors[4:], expected)
    np.savetxt(tmp_path / "halves.txt", states + 0.5)
    with pytest.raises(FormatError, match=r"halves\.txt: a label is [0-9]\.5, expected whole numbers"):
        read(dataset, labels=tmp_path / "halves.txt")
    np.savetxt(tmp_path / "large.txt", 2**24 + states, fmt="%d")  # more digits than a float32 has
    found = read(dataset, labels=tmp_path / "large.txt")
    assert found.posteriors is not None
    np.testing.assert_array_equal(found.posteriors.argmax(axis=1), states)
    order = np.random.default_rng(3).permutation(len(states))
    pd.DataFrame({"particle": order, "class": states[order]}).to_csv(tmp_path / "labels.csv", index=False)
    found = read(dataset, labels=tmp_path / "labels.csv")
    assert found.notes == ("labels.csv: rows are particles by a column of labels.csv.",)
    assert found.posteriors is not None
    np.testing.assert_array_equal(found.posteriors.argmax(axis=1), states)


def test_uids_of_the_adopted_cs_file_identify_particles(tmp_path: Path) -> None:
    n, order = 6, np.array([4, 0, 5, 2, 1, 3])
    vectors = np.random.default_rng(0).uniform(-1, 1, (n, 3)).astype("<f4")
    columns = cs_columns(n) | {
        "alignments3D/pose": vectors,
        "alignments3D/shift": np.zeros((n, 2), "<f4"),
        "alignments3D/psize_A": np.full(n, 4, "<f4"),
    }
    write_stack(tmp_path / "particles.mrcs", np.random.default_rng(1).normal(size=(n, 8, 8)))
    dataset = adopt(save_cs(tmp_path / "p.cs", columns), tmp_path / "mine")
    later = save_cs(tmp_path / "later.cs", {name: values[order] for name, values in columns.items()})
    np.testing.assert_allclose(read(dataset, poses=later).rotations, dataset.particles.rotations, atol=1e-6)
    np.save(tmp_path / "z.npy", order[:, None])
    found = read(dataset, latents=tmp_path / "z.npy", images=later)
    np.testing.assert_array_equal(found.latents, np.arange(n)[:, None])
    pd.DataFrame({"uid": columns["uid"][order], "state": order % 3}).to_csv(tmp_path / "l.csv", index=False)
    found = read(dataset, labels=tmp_path / "l.csv")
    assert found.posteriors is not None
    np.testing.assert_array_equal(found.posteriors.argmax(axis=1), np.arange(n) % 3)
    renumbered = save_cs(tmp_path / "renumbered.cs", {**columns, "uid": columns["uid"] + np.uint64(1)})
    with pytest.raises(FormatError, match=r"no uid of .*renumbered\.cs is in particles\.cs of .*particles\.csg"):
        read(dataset, latents=tmp_path / "z.npy", images=renumbered)


def test_images_of_another_stack_that_counts_alike_are_not_taken_for_these(tmp_path: Path) -> None:
    """Both name theirs 000001@particles.mrcs and so on."""
    theirs = store_dataset(toy_dataset(size=16, n=60, n_queries=3), tmp_path / "theirs")
    dataset = store_dataset(toy_dataset(size=16, n=90, n_queries=3), tmp_path / "data")
    np.save(tmp_path / "z.npy", np.zeros((60, 2)))
    assert theirs.path is not None
    given = {"latents": tmp_path / "z.npy", "images": theirs.path / "particles.star"}
    with pytest.raises(FormatError, match=r"theirs/particles\.mrcs, which is another stack than .*data/particles"):
        read(dataset, **given)
    (theirs.path / "particles.mrcs").unlink()  # a table alone, as it comes with a job that was copied from elsewhere
    assert "30 particles have none" in read(dataset, **given).notes[0]


def test_two_sources_that_contradict_one_another_are_both_shown(tmp_path: Path, latents: np.ndarray) -> None:
    dataset = store_dataset(toy_dataset(size=16, n=90, n_queries=3), tmp_path / "data")
    n = len(dataset.particles)
    pd.DataFrame({"particle": np.arange(n)[::-1], "x": latents[:n, 0]}).to_csv(tmp_path / "z.csv", index=False)
    assert dataset.path is not None
    with pytest.raises(FormatError, match=r"z\.csv and .*particles\.star contradict one another: particle 0"):
        read(dataset, latents=tmp_path / "z.csv", images=dataset.path / "particles.star")


def test_maps_are_given_to_query_particles_by_number_by_order_or_by_a_table(dataset: Dataset, tmp_path: Path) -> None:
    by_number = write_maps(tmp_path / "number", dataset, [f"vol_{query:04d}.mrc" for query in dataset.queries])
    in_order = write_maps(tmp_path / "order", dataset, [f"vol_{place:03d}.mrc" for place in (1, 2, 3)])
    listed = write_maps(tmp_path / "table", dataset, ["b.mrc", "c.mrc", "a.mrc"])
    pd.DataFrame({"particle": dataset.queries, "file": ["b.mrc", "c.mrc", "a.mrc"]}).to_csv(
        listed / "volumes.csv", index=False
    )
    for folder in (by_number, in_order, listed):
        volumes = read(dataset, volumes=folder).volumes
        assert volumes is not None
        for item, query in enumerate(dataset.queries):
            np.testing.assert_array_equal(volumes.read(item), true_volume(dataset, int(query)))
    assert listed / "volumes.csv" in read(dataset, volumes=listed).files
    unknown = write_maps(tmp_path / "unknown", dataset, ["x7.mrc", "y91.mrc", "z5.mrc"])
    with pytest.raises(FormatError, match="names do not identify particles"):
        read(dataset, volumes=unknown)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (["000002,b.mrc", "10,c.mrc", "36,a.mrc"], None),
        (["2,b.mrc", "10,c.mrc", "36,a.mrc", "2,c.mrc"], r"names two maps of particle 2, b\.mrc and c\.mrc"),
        (["2,b.mrc", "10,c.mrc", "last,a.mrc"], "names the particle 'last', expected an index"),
        (["2,b.mrc", "10,c.mrc"], r"names no map of query particle 36 \(1 of 3\)"),
    ],
)
def test_a_table_of_maps_names_each_particle_once(
    rows: list[str], said: str | None, dataset: Dataset, tmp_path: Path
) -> None:
    assert dataset.queries.tolist() == [2, 10, 36]
    folder = write_maps(tmp_path / "maps", dataset, ["b.mrc", "c.mrc", "a.mrc"])
    (folder / "volumes.csv").write_text("\n".join(["particle,file", *rows]) + "\n")
    if said is None:
        assert [path.name for path in read(dataset, volumes=folder).files[-3:]] == ["b.mrc", "c.mrc", "a.mrc"]
        return
    with pytest.raises(FormatError, match=said):
        read(dataset, volumes=folder)


def test_an_import_follows_a_table_of_maps_that_was_corrected(dataset: Dataset, tmp_path: Path) -> None:
    folder = write_maps(tmp_path / "maps", dataset, ["b.mrc", "c.mrc", "a.mrc"])
    for order in ("abc", "bca"):
        rows = [f"{query},{name}.mrc" for query, name in zip(dataset.queries, order, strict=True)]
        (folder / "volumes.csv").write_text("\n".join(["particle,file", *rows]) + "\n")
        if order == "abc":
            import_results("files", None, dataset, tmp_path / "run", options={"volumes": folder})
    with pytest.raises(FormatError, match="is not this import"):
        import_results("files", None, dataset, tmp_path / "run", options={"volumes": folder})


def test_maps_of_classes_go_to_the_particles_of_each(dataset: Dataset, tmp_path: Path) -> None:
    assert dataset.truth is not None
    assert dataset.truth.volumes is not None
    folder = tmp_path / "maps"
    for state in range(3):
        write_volume(folder / f"class_{state + 1}.mrc", dataset.truth.volumes.read(state), 4.0)
    np.save(tmp_path / "labels.npy", dataset.truth.states)
    found = read(dataset, volumes=folder, labels=tmp_path / "labels.npy", volumes_of="classes")
    assert found.volumes is not None
    assert found.posteriors is not None
    np.testing.assert_array_equal(found.posteriors.argmax(axis=1), dataset.truth.states)
    for item, query in enumerate(dataset.queries):
        np.testing.assert_array_equal(found.volumes.read(item), true_volume(dataset, int(query)))


@pytest.mark.parametrize(
    ("classes", "maps", "assigned"),
    [
        ([1, 2, 4], [1, 2, 3, 4], [1, 2, 4]),  # both count from 1, and class 3 is empty
        ([0, 1, 3], [1, 2, 3, 4], [1, 2, 4]),
        ([0, 1, 2], [0, 1, 2, 3], [0, 1, 2]),
        ([1, 2, 4], [1, 2, 4], [1, 2, 4]),  # its map was removed
        ([1, 2, 3], [0, 1, 2], [0, 1, 2]),
        ([1, 2, 3], [1, 2, 3, 4], None),  # the first or the last may be empty
        ([0, 1, 2], [5, 6, 7], None),
    ],
)
def test_maps_of_empty_classes_are_not_used(
    classes: list[int], maps: list[int], assigned: list[int] | None, dataset: Dataset, tmp_path: Path
) -> None:
    assert dataset.truth is not None
    states, folder = dataset.truth.states, tmp_path / "maps"
    for number in maps:
        write_volume(folder / f"class{number:03d}.mrc", np.full((16, 16, 16), number, np.float32), 4.0)
    np.save(tmp_path / "labels.npy", np.array(classes)[states])
    options = {"volumes": folder, "labels": tmp_path / "labels.npy", "volumes_of": "classes"}
    if assigned is None:
        with pytest.raises(FormatError, match="expected one each, counted by the last number in its name"):
            read(dataset, **options)
        return
    found = read(dataset, **options)
    assert found.volumes is not None
    assert [int(found.volumes.read(item)[0, 0, 0]) for item in range(len(dataset.queries))] == [
        assigned[states[query]] for query in dataset.queries
    ]
    assert f"class {classes[0]} is class{assigned[0]:03d}.mrc" in found.notes[-1]


def test_maps_of_another_grid_are_resampled_and_wrong_headers_set_aside(dataset: Dataset, tmp_path: Path) -> None:
    pixel, fine = dataset.particles.pixel_size, tmp_path / "fine"
    for query in dataset.queries:
        volume = regrid_volume(true_volume(dataset, int(query)), pixel, box_size=32, new_pixel_size=pixel / 2)
        write_volume(fine / f"{query:04d}.mrc", volume, 1.0)  # as many programs do
    found = read(dataset, volumes=fine)
    assert found.volumes is not None
    assert any("resampled in Fourier space to 16 of 4 Å" in note for note in found.notes)
    for item, query in enumerate(dataset.queries):
        expected = true_volume(dataset, int(query))
        assert np.corrcoef(found.volumes.read(item).ravel(), expected.ravel())[0, 1] > 0.99


@pytest.mark.parametrize("voxel", [1.0, 5.0])
def test_a_voxel_size_that_is_given_outweighs_box_and_headers(voxel: float, dataset: Dataset, tmp_path: Path) -> None:
    """1 Å too, which in a header means that none was set."""
    folder = write_maps(tmp_path / "maps", dataset, [f"{query:04d}.mrc" for query in dataset.queries])
    found = read(dataset, volumes=folder, voxel_size=voxel)
    expected = regrid_volume(true_volume(dataset, int(dataset.queries[0])), voxel, box_size=16, new_pixel_size=4.0)
    assert found.volumes is not None
    np.testing.assert_allclose(found.volumes.read(0), expected, atol=1e-6)
    with pytest.raises(ValueError, match="--voxel-size must be positive, in Å, got 0"):
        read(dataset, volumes=folder, voxel_size=0.0)


@pytest.mark.parametrize(("change", "said"), [(lambda v: -v, "--invert"), (mirror_volume, "--mirror")])
def test_contrast_and_hand_are_said_and_not_changed(change, said: str, tmp_path: Path) -> None:
    dataset = toy_dataset(size=24, n=300, n_queries=3, snr=2)
    folder = tmp_path / "maps"
    for query in dataset.queries:
        write_volume(folder / f"{query:04d}.mrc", change(true_volume(dataset, int(query))), 4.0)
    found, account = examine("files", None, dataset, options={"volumes": folder})
    # Importers of programs, whose maps are judged too, do not take the option.
    assert sum(f"import files --volumes with {said}" in note for note in account["notes"]) == 1
    assert found.volumes is not None
    np.testing.assert_array_equal(found.volumes.read(0), change(true_volume(dataset, int(dataset.queries[0]))))
    turned, account = examine("files", None, dataset, options={"volumes": folder, said.removeprefix("--"): True})
    assert not any(said in note for note in account["notes"])
    assert turned.volumes is not None
    np.testing.assert_allclose(turned.volumes.read(0), true_volume(dataset, int(dataset.queries[0])), atol=1e-6)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        # Mirrored along x, as relion_image_handler --invert_hand does.
        (lambda v: np.roll(v[:, :, ::-1], 1, axis=2), r", mirrored, at 0\.\d+ after a rotation by 1[78]\d°"),
        (lambda v: np.rot90(v, axes=(1, 2)), r"and at 0\.\d+ after a rotation by \d+°"),
        (lambda v: np.roll(v, 5, axis=0), r"and at 0\.\d+ after .* a shift by (19|20|21) Å"),
    ],
)
def test_maps_in_another_frame_than_the_poses_are_reported(change, said: str, tmp_path: Path) -> None:
    dataset = toy_dataset(size=24, n=300, n_queries=3, snr=2)
    folder = tmp_path / "maps"
    for query in dataset.queries:
        write_volume(folder / f"{query:04d}.mrc", change(true_volume(dataset, int(query))), 4.0)
    _, account = examine("files", None, dataset, options={"volumes": folder})
    (note,) = (note for note in account["notes"] if "not in the frame of the given poses" in note)
    assert re.search(said, note), note
    assert "--align reconstruction" in note


def test_an_option_that_was_wrong_is_to_be_left_out(tmp_path: Path) -> None:
    dataset = toy_dataset(size=24, n=300, n_queries=3, snr=2)
    folder = tmp_path / "maps"
    for query in dataset.queries:
        write_volume(folder / f"{query:04d}.mrc", true_volume(dataset, int(query)), 4.0)
    _, account = examine("files", None, dataset, options={"volumes": folder, "invert": True})
    assert [note for note in account["notes"] if "If so, leave out --invert." in note]


def test_a_map_that_is_missing_is_named(dataset: Dataset, tmp_path: Path) -> None:
    folder = write_maps(tmp_path / "maps", dataset, [f"{query:04d}.mrc" for query in dataset.queries])
    (folder / f"{dataset.queries[1]:04d}.mrc").unlink()
    with pytest.raises(FormatError, match=rf"none has the number of query particle {dataset.queries[1]} \(1 have no"):
        read(dataset, volumes=folder)


def test_a_selection_by_true_and_false_is_refused(dataset: Dataset, latents: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "z.npy", latents[:50])
    np.save(tmp_path / "chosen.npy", np.arange(90) < 50)
    with pytest.raises(FormatError, match="holds True and False, expected indices of particles"):
        read(dataset, latents=tmp_path / "z.npy", indices=tmp_path / "chosen.npy")


def test_poses_without_shifts_are_said_to_be_scored_as_such(dataset: Dataset, tmp_path: Path) -> None:
    np.save(tmp_path / "rotations.npy", dataset.particles.rotations)
    assert (
        "rotations.npy: it has no shifts, or all are 0, and is scored as such."
        in read(dataset, poses=tmp_path / "rotations.npy").notes
    )


def test_a_wide_row_is_shown_in_part(dataset: Dataset, latents: np.ndarray, tmp_path: Path) -> None:
    wide = latents.T.copy()
    wide[0, 5] = np.nan
    np.save(tmp_path / "z.npy", wide)
    with pytest.raises(FormatError) as raised:
        read(dataset, latents=tmp_path / "z.npy")
    assert len(str(raised.value)) < 400


def test_a_map_with_a_voxel_that_is_not_finite_is_refused_before_anything_is_written(
    dataset: Dataset, tmp_path: Path
) -> None:
    maps = write_maps(tmp_path / "maps", dataset, ["0.mrc", "1.mrc", "2.mrc"])
    damaged = true_volume(dataset, 0).copy()
    damaged[3, 4, 5:7] = np.nan, np.inf
    write_volume(maps / "1.mrc", damaged, dataset.particles.pixel_size)
    with pytest.raises(FormatError, match=r"1\.mrc: 2 of 4,096 voxels are NaN or infinite"):
        import_results("files", None, dataset, tmp_path / "run", options={"volumes": maps})
    assert not (tmp_path / "run").exists()


def test_an_array_of_maps_is_no_folder(dataset: Dataset, tmp_path: Path) -> None:
    np.save(tmp_path / "volumes.npy", np.zeros((3, 16, 16, 16)))
    with pytest.raises(FormatError, match=r"volumes\.npy is a file, expected a folder of .* one file each"):
        read(dataset, volumes=tmp_path / "volumes.npy")


@pytest.mark.parametrize("size", [15, 16])
def test_the_mirror_image_keeps_the_centre_voxel(size: int, rng: np.random.Generator) -> None:
    volume = rng.standard_normal((size, size, size)).astype(np.float32)
    flipped = mirror_volume(volume)
    np.testing.assert_array_equal(flipped[size // 2], volume[size // 2])
    np.testing.assert_array_equal(flipped[size // 2 + 3], volume[size // 2 - 3])


def test_laws(dataset: Dataset, latents: np.ndarray, tmp_path: Path) -> None:
    job = tmp_path / "job"
    write_maps(job, dataset, [f"{query:04d}.mrc" for query in dataset.queries])
    write_pickle(job / "z.pkl", latents)
    check_importer(
        get_importer("files"),
        job,
        dataset,
        tmp_path / "scratch",
        options=lambda folder: {"latents": folder / "z.pkl", "volumes": folder, "method": "mine"},
        takes_folder=False,
    )


def test_an_imported_run_is_scored_as_any_other(tmp_path: Path) -> None:
    dataset = store_dataset(toy_dataset(size=16, n=90, n_queries=3), tmp_path / "data")
    assert dataset.truth is not None
    np.save(tmp_path / "z.npy", dataset.truth.embedding)
    maps = tmp_path / "maps"
    for query in dataset.queries:
        write_volume(maps / f"{query:06d}.mrc", true_volume(dataset, int(query)), dataset.particles.pixel_size)
    options = {"latents": tmp_path / "z.npy", "volumes": maps, "method": "the truth"}
    import_results("files", None, dataset, tmp_path / "run", options=options)
    run, scores = score_run(tmp_path / "run", metrics=["per-image-fsc", "decodability"])
    assert run.name == "the truth"
    assert scores.scores["fsc-auc"].value > 0.43  # of 0.4375 at 16 px
    assert run.record.priors == Priors("unknown", "unknown", "unknown", volumes="files")


def test_volumes_left_by_a_process_that_was_killed_at_the_end_are_removed(
    dataset: Dataset, latents: np.ndarray, tmp_path: Path
) -> None:
    np.save(tmp_path / "z.npy", latents)
    for _ in range(2):
        import_results("files", None, dataset, tmp_path / "run", options={"latents": tmp_path / "z.npy"})
        assert not (tmp_path / "run" / "checkpoint").exists()
        (tmp_path / "run" / "checkpoint" / "volumes").mkdir(parents=True)


def test_the_page_of_importers_is_current() -> None:
    page = Path(__file__).parents[3] / "docs" / "importers.md"
    assert page.read_text(encoding="utf-8") == describe_importers()
