"""Jobs of cryoDRGN's programs and drgnai: what they left on disk is what is scored, and their volumes are ours.

The fixtures are outputs of the programs themselves (provenance.txt beside each).
"""

import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cryobench._errors import FormatError
from cryobench.data import Dataset
from cryobench.importers import get_importer, recognise
from cryobench.importers.bring_in import examine, import_results
from cryobench.importers.maps import ForeignMaps
from cryobench.io.formats.mrc import MrcStacks, read_volume, write_volume
from cryobench.io.programs.relion import write_star
from cryobench.testing import check_importer
from cryobench.testing.toy import toy_dataset
from stored import store_dataset

JOBS = Path(__file__).parents[2] / "fixtures" / "imports"
ROWS = (0, 7)
PROGRAMS = sorted(path.name for path in JOBS.iterdir() if path.is_dir())


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    """48 particles of 16 px, as those of the jobs; rows are known by their order alone."""
    made = toy_dataset(size=16, n=48, n_queries=2)
    return Dataset(made.particles, made.truth, np.array(ROWS), made.card)


def saved(program: str) -> Path:
    """The file of latents of a job."""
    return next(path for path in (JOBS / program).glob("*.pkl") if path.name.startswith(("z.", "conf.")))


@pytest.mark.parametrize("program", PROGRAMS)
def test_latents_are_those_that_the_program_saved(program: str, dataset: Dataset) -> None:
    found = get_importer("cryodrgn").open(JOBS / program, {}).read(dataset)
    with saved(program).open("rb") as file:
        expected = np.asarray(pickle.load(file), dtype=np.float32)
    assert found.latents is not None
    np.testing.assert_array_equal(found.latents, expected)
    assert program.split("-")[0] in found.tool


@pytest.mark.parametrize("program", PROGRAMS)
def test_volumes_are_those_of_the_program(program: str, dataset: Dataset, tmp_path: Path) -> None:
    """Inside the trained ball, but for the zero frequency and, of drgnai and abinit, the line kx = ky = 0."""
    run = import_results("cryodrgn", JOBS / program, dataset, tmp_path / "run")
    assert run.volumes is not None
    full = np.fft.fftfreq(16) * 16
    radius = np.sqrt(full[:, None, None] ** 2 + full[:, None] ** 2 + full**2)
    # drgnai cuts its sections to circles of a whole radius, the last shell in part.
    compared = (radius > 0) & (radius < 7 if program in ("drgnai", "abinit") else radius < 8)
    if program in ("drgnai", "abinit"):
        compared &= ~((full[:, None] == 0) & (full == 0))[None]
    for item, row in enumerate(ROWS):
        theirs = np.fft.fftn(np.fft.ifftshift(read_volume(JOBS / program / f"map-of-row-{row}.mrc")[0]))[compared]
        ours = np.fft.fftn(np.fft.ifftshift(run.volumes.read(item)))[compared]
        assert np.abs(ours - theirs).max() < 1e-4 * np.abs(theirs).max()


def test_volumes_of_an_analysis_are_taken_where_they_are_of_the_query_particles(dataset: Dataset, tmp_path) -> None:
    job = Path(shutil.copytree(JOBS / "train_vae", tmp_path / "job"))
    folder = job / "analyze.2" / "kmeans2"
    folder.mkdir(parents=True)
    volumes = np.random.default_rng(0).standard_normal((2, 16, 16, 16)).astype(np.float32)
    # Centres are in the order of the files, and headers state half the voxel size.
    (folder / "centers_ind.txt").write_text("".join(f"{row}\n" for row in ROWS[::-1]))
    for number, volume in enumerate(volumes):
        write_volume(folder / f"vol_{number:03d}.mrc", volume, dataset.particles.pixel_size / 2)
    found = get_importer("cryodrgn").open(job, {}).read(dataset)
    assert found.volumes is not None
    for place, number in enumerate((1, 0)):
        np.testing.assert_array_equal(found.volumes.read(place), volumes[number])
    advice = f"--voxel-size {dataset.particles.pixel_size / 2:.4g}"
    assert any(advice in note for note in found.notes)
    smaller = get_importer("cryodrgn").open(job, {"voxel_size": dataset.particles.pixel_size / 2}).read(dataset)
    assert isinstance(smaller.volumes, ForeignMaps)
    assert smaller.volumes.voxel_size == dataset.particles.pixel_size / 2
    assert any("resampled" in note for note in smaller.notes)
    (folder / "centers_ind.txt").write_text("3\n7\n")
    assert get_importer("cryodrgn").open(job, {}).read(dataset).volumes is None


@pytest.mark.parametrize("program", PROGRAMS)
def test_laws(program: str, dataset: Dataset, tmp_path: Path) -> None:
    check_importer(get_importer("cryodrgn"), JOBS / program, dataset, tmp_path)


@pytest.mark.parametrize("program", [name for name in PROGRAMS if name.startswith("abinit")])
def test_shifts_that_were_found_are_in_angstrom(program: str, dataset: Dataset) -> None:
    """Fractions of the box of D + 1 in one, pixels in the other."""
    found = get_importer("cryodrgn").open(JOBS / program, {}).read(dataset)
    with next((JOBS / program).glob("pose.*.pkl")).open("rb") as file:
        rotations, stored = pickle.load(file)
    assert found.rotations is not None
    assert found.shifts is not None
    scale = dataset.particles.pixel_size * (17 if program == "abinit_het_old" else 1)
    np.testing.assert_allclose(found.rotations, rotations, atol=1e-6)
    np.testing.assert_allclose(found.shifts, scale * np.asarray(stored, dtype=np.float64), atol=1e-6)
    assert np.abs(stored).max() > 0
    assert found.poses == "estimated"


def test_a_job_is_recognised_by_its_files(tmp_path: Path) -> None:
    assert recognise(JOBS / "train_vae")[0] == "cryodrgn"
    with pytest.raises(FormatError, match="is not of a known program"):
        recognise(tmp_path)


def test_an_epoch_that_is_not_there_is_refused_with_those_that_are(dataset: Dataset) -> None:
    with pytest.raises(FormatError, match="no latents of epoch 7: it has those of 2"):
        get_importer("cryodrgn").open(JOBS / "train_vae", {"epoch": 7}).read(dataset)


def test_the_table_of_latents_is_that_of_the_weights(dataset: Dataset) -> None:
    found = get_importer("cryodrgn").open(JOBS / "abinit", {"latents_from": "table"}).read(dataset)
    weights = torch.load(next((JOBS / "abinit").glob("weights.*.pkl")), weights_only=True)
    expected = weights["model_state_dict"]["conf_table.table_conf"].numpy()
    np.testing.assert_array_equal(found.latents, expected)
    with pytest.raises(FormatError, match="no table of latents"):
        get_importer("cryodrgn").open(JOBS / "train_vae", {"latents_from": "table"}).read(dataset)


def test_a_selection_of_particles_leaves_the_others_without_a_latent(tmp_path: Path) -> None:
    made = toy_dataset(size=16, n=60, n_queries=2)
    chosen = np.random.default_rng(0).permutation(60)[:48]
    np.save(tmp_path / "chosen.npy", chosen)
    dataset = Dataset(made.particles, made.truth, chosen[:2], made.card)
    found = get_importer("cryodrgn").open(JOBS / "train_vae", {"indices": tmp_path / "chosen.npy"}).read(dataset)
    with (JOBS / "train_vae" / "z.2.pkl").open("rb") as file:
        expected = pickle.load(file)
    assert found.latents is not None
    np.testing.assert_array_equal(found.latents[chosen], expected)
    left = np.setdiff1d(np.arange(60), chosen)
    assert np.isnan(found.latents[left]).all()


def test_a_query_particle_that_was_left_out_has_no_volume(tmp_path: Path) -> None:
    made = toy_dataset(size=16, n=60, n_queries=2)
    np.save(tmp_path / "chosen.npy", np.arange(48))
    dataset = Dataset(made.particles, made.truth, np.array([3, 55]), made.card)
    given = {"options": {"indices": tmp_path / "chosen.npy"}}
    with pytest.raises(FormatError, match="query particle 55 was left out"):
        import_results("cryodrgn", JOBS / "train_vae", dataset, tmp_path / "run", **given)
    # As the message says, and into the same folder: the first attempt left nothing there.
    run = import_results("cryodrgn", JOBS / "train_vae", dataset, tmp_path / "run", volumes_by="none", **given)
    assert run.volumes is None


def test_poses_of_some_particles_alone_can_be_left_out(tmp_path: Path) -> None:
    made = toy_dataset(size=16, n=60, n_queries=2)
    dataset = Dataset(made.particles, made.truth, np.array(ROWS), made.card)
    np.save(tmp_path / "chosen.npy", np.arange(48))
    options = {"indices": tmp_path / "chosen.npy"}
    with pytest.raises(FormatError, match=r"no pose of particle 48 and 11 others.*--poses none"):
        examine("cryodrgn", JOBS / "abinit", dataset, options=options)
    found, account = examine("cryodrgn", JOBS / "abinit", dataset, options=options | {"poses": "none"})
    assert found.rotations is None
    assert found.poses == "estimated"
    assert not any("pose.2.pkl" in file for file in account["files"])


def test_the_table_of_images_is_looked_for_from_where_the_program_was_called(tmp_path: Path) -> None:
    """Not from where this one is, where another may lie under the same name."""
    made = toy_dataset(size=16, n=48, n_queries=2)
    dataset = store_dataset(Dataset(made.particles, made.truth, np.array(ROWS), made.card), tmp_path / "set")
    job = shutil.copytree(JOBS / "train_vae", tmp_path / "work" / "train_vae")
    found, _ = examine("cryodrgn", job, dataset)
    assert "config.yaml names data/particles.star as the table of images, which does not exist" in found.notes[0]
    order = np.random.default_rng(0).permutation(48)
    assert dataset.path is not None
    zeros = np.zeros(48, dtype=np.int64)
    images = MrcStacks(dataset.path / "particles.mrcs", file_index=zeros, image_index=order)
    listed = replace(dataset.particles.select(order), images=images)
    write_star(tmp_path / "work" / "data" / "particles.star", listed)
    permuted, account = examine("cryodrgn", job, dataset)
    assert found.latents is not None
    assert permuted.latents is not None
    np.testing.assert_array_equal(permuted.latents[order], found.latents)
    assert str(tmp_path / "work" / "data" / "particles.star") in account["files"]


def test_weights_of_another_program_are_not_taken_for_these(dataset: Dataset, tmp_path: Path) -> None:
    """Those of train_dec have a decoder of the very same sizes."""
    job = shutil.copytree(JOBS / "train_vae", tmp_path / "job")
    shutil.copy(JOBS / "train_dec" / "weights.2.pkl", job)
    with pytest.raises(FormatError, match=r"weights\.2\.pkl has no encoder"):
        examine("cryodrgn", job, dataset)


@pytest.mark.parametrize("tool", ["auto", "cryodrgn"])
def test_paths_near_a_job_are_refused_with_the_job(tool: str, dataset: Dataset) -> None:
    with pytest.raises(FormatError, match=r"is a file: give the folder of the job, .*train_vae"):
        examine(tool, JOBS / "train_vae" / "z.2.pkl", dataset)
    with pytest.raises(FormatError, match="abinit, abinit_het_old, drgnai, train_dec"):
        examine(tool, JOBS, dataset)


@pytest.mark.parametrize(("file", "what"), [("run.json", "run of cryobench"), ("dataset.json", "data set")])
def test_folders_of_this_package_are_no_jobs(file: str, what: str, tmp_path: Path) -> None:
    (tmp_path / file).write_text("{}")
    with pytest.raises(FormatError, match=f"is a {what}"):
        recognise(tmp_path)


def test_an_import_that_was_stopped_decodes_what_is_missing(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = import_results("cryodrgn", JOBS / "train_vae", dataset, tmp_path / "whole")
    from cryobench.importers import bring_in

    written: list[str] = []
    write = bring_in.write_volume

    def stop_at_the_second(path: Path, *arguments: object) -> None:
        if written:
            raise KeyboardInterrupt
        written.append(path.name)
        write(path, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(bring_in, "write_volume", stop_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        import_results("cryodrgn", JOBS / "train_vae", dataset, tmp_path / "run")
    monkeypatch.setattr(bring_in, "write_volume", lambda path, *rest: (written.append(path.name), write(path, *rest)))
    run = import_results("cryodrgn", JOBS / "train_vae", dataset, tmp_path / "run")
    assert written == ["000000.mrc", "000001.mrc"]
    assert whole.volumes is not None
    assert run.volumes is not None
    for item in range(2):
        np.testing.assert_array_equal(run.volumes.read(item), whole.volumes.read(item))


def test_a_dry_run_says_what_would_be_imported_and_writes_nothing(dataset: Dataset, tmp_path: Path) -> None:
    job = shutil.copytree(JOBS / "train_vae", tmp_path / "job")
    before = sorted(tmp_path.rglob("*"))
    found, account = examine("auto", job, dataset)
    assert sorted(tmp_path.rglob("*")) == before
    assert account["found"] == {"latents": [48, 2], "decoder": "coordinate-network"}
    assert set(account["files"]) == {str(file) for file in found.files}
    assert account["recognised_by"] == "config.yaml beside z.2.pkl"


def test_volumes_by_kernel_regression_need_no_model_of_the_program(tmp_path: Path) -> None:
    made = toy_dataset(size=16, n=240, n_queries=2)
    np.save(tmp_path / "z.npy", made.truth.embedding if made.truth is not None else None)
    given = {"options": {"latents": tmp_path / "z.npy"}, "volumes_by": "kernel-regression"}
    run = import_results("files", None, made, tmp_path / "run", **given)
    assert run.record.priors.volumes == "kernel-regression"
    assert run.volumes is not None
    assert made.truth is not None
    assert made.truth.volumes is not None
    for item, query in enumerate(run.queries):
        truth = made.truth.volumes.read(int(made.truth.states[query]))
        assert np.corrcoef(truth.ravel(), run.volumes.read(item).ravel())[0, 1] > 0.7
