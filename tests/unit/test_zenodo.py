"""Published archives are opened as they are: right images, poses, CTF and truth, whatever is missing or odd."""

import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cryobench._errors import FormatError
from cryobench.compute import Compute
from cryobench.data import Dataset, Particles
from cryobench.io.formats.xtc import write_frames
from cryobench.io.published.zenodo_frames import PublishedFrames
from cryobench.io.store import load_dataset
from cryobench.recipes.simulate import simulate
from cryobench.reconstruction.engine import Passes
from cryobench.reconstruction.statistics import backproject
from cryobench.report.pages.report import write_report
from cryobench.runs.run import run
from cryobench.runs.score import score_run
from published_archive import ctf_table, in_order, write_archive, write_mrc, write_pickle, write_star
from toy import PIXEL_SIZE, permuted, toy_dataset

SMALL = {"box_size": 24, "pixel_size": 16, "resolution": 16, "n_states": 4, "images_per_state": 80, "snr": 1.0}


@pytest.fixture(scope="module")
def original() -> Dataset:
    return in_order(toy_dataset())


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, original: Dataset) -> Path:
    root = tmp_path_factory.mktemp("published") / "IgG-1D"
    write_archive(root, original)
    return root


@pytest.fixture
def archive(template: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(template, tmp_path / "IgG-1D"))


def fidelity(particles: Particles, dataset: Dataset) -> float:
    """Smallest correlation of a state's back-projection with its true volume."""
    truth = dataset.truth
    assert truth is not None
    assert truth.volumes is not None
    made = backproject(Passes(particles, Compute()), np.eye(len(truth.volumes), dtype=np.float32)[truth.states])
    true = [truth.volumes.read(state) for state in range(len(truth.volumes))]
    return min(float(np.corrcoef(a.ravel(), b.ravel())[0, 1]) for a, b in zip(made, true, strict=True))


def changed(particles: Particles, **parts: object) -> Particles:
    names = ("images", "pixel_size", "ctf", "rotations", "shifts", "sign", "mask")
    return Particles(**{name: getattr(particles, name) for name in names} | parts)


def test_everything_is_read_as_it_was_made(template: Path, original: Dataset) -> None:
    found = load_dataset(template)
    old = original.particles
    everything = np.arange(len(old))
    np.testing.assert_array_equal(found.particles.read(everything), old.read(everything))
    assert found.particles.sign == -1
    assert found.particles.pixel_size == pytest.approx(PIXEL_SIZE)
    np.testing.assert_allclose(found.particles.rotations, old.rotations, atol=1e-6)
    np.testing.assert_allclose(found.particles.shifts, old.shifts, atol=1e-5)
    for name in ("defocus_u", "defocus_v", "defocus_angle", "voltage_kv", "cs_mm", "amplitude_contrast"):
        np.testing.assert_allclose(getattr(found.particles.ctf, name), getattr(old.ctf, name), rtol=1e-6)
    np.testing.assert_array_equal(found.particles.mask, old.mask)
    assert found.truth is not None
    assert original.truth is not None
    np.testing.assert_array_equal(found.truth.states, original.truth.states)
    for state in range(3):
        np.testing.assert_array_equal(found.truth.volumes.read(state), original.truth.volumes.read(state))
    np.testing.assert_allclose(found.truth.embedding, original.truth.embedding, atol=1e-9)
    np.testing.assert_array_equal(found.queries, np.arange(0, 360, 3))
    assert (found.name, found.path) == ("igg-1d", template)


def test_sign_hand_and_shifts_are_right(template: Path) -> None:
    """Back-projection finds the volumes, and does not if any convention were another."""
    dataset = load_dataset(template)
    particles = dataset.particles
    rotations, shifts = particles.rotations, particles.shifts
    assert rotations is not None
    assert shifts is not None
    right = fidelity(particles, dataset)
    mirrored = rotations * np.outer([1, 1, -1], [1, 1, -1])
    wrong = {
        "contrast": changed(particles, sign=1),
        "direction of rotations": changed(particles, rotations=rotations.swapaxes(1, 2)),
        "hand": changed(particles, rotations=mirrored),
        "direction of shifts": changed(particles, shifts=-shifts),
        "order of shifts": changed(particles, shifts=shifts[:, ::-1]),
        "grid of the shifts": changed(particles, shifts=shifts * 2),
        "grid of the CTF": changed(particles, pixel_size=PIXEL_SIZE / 2, shifts=shifts / 2),
    }
    found = {name: fidelity(each, dataset) for name, each in wrong.items()}
    assert right > 0.9
    assert max(found.values()) < right - 0.05, found


def test_a_simulated_set_written_the_published_way_comes_back(tmp_path: Path) -> None:
    """The same through this package's own simulator: what it calls sign, shift and CTF is what the archives hold."""
    made = simulate("igg-1d", tmp_path / "made", preset="tiny", seed=3, settings=SMALL)
    write_archive(tmp_path / "IgG-1D", in_order(made))
    found = load_dataset(tmp_path / "IgG-1D")
    assert found.truth is not None
    assert found.truth.state_names is None
    assert fidelity(found.particles, found) > 0.8
    assert fidelity(changed(found.particles, sign=1), found) < -0.8
    np.testing.assert_allclose(found.truth.variables["turn"].values, 2 * np.pi * found.truth.states / 4)


def test_unequal_counts_images_in_one_folder_and_names(tmp_path: Path) -> None:
    """As Ribosembly: images in images/ itself. As Tomotwin-100: structures with names."""
    whole = replace(in_order(toy_dataset(n_states=11, n=220)), queries=np.array([0]))
    kept = np.flatnonzero(np.arange(220) % 20 <= whole.truth.states)
    dataset = permuted(whole, kept)
    names = [f"8c{number:02d}" for number in range(11)]
    write_archive(tmp_path / "Ribosembly", dataset, images=["images"], names=names)
    found = load_dataset(tmp_path / "Ribosembly")
    np.testing.assert_array_equal(np.bincount(found.truth.states), np.bincount(dataset.truth.states))
    assert len(set(np.bincount(found.truth.states))) > 5
    assert found.truth.state_names == tuple(names)
    assert found.truth.embedding is None
    np.testing.assert_array_equal(found.truth.volumes.read(10), dataset.truth.volumes.read(10))
    np.testing.assert_array_equal(found.particles.read([50]), dataset.particles.read([50]))


def test_without_list_stacks_are_in_the_order_of_their_numbers(archive: Path, original: Dataset) -> None:
    images = archive / "images" / "snr0.01"
    (images / "sorted_particles.24.txt").unlink()
    for state, name in enumerate(["9_particles.mrcs", "10_particles.mrcs", "11_particles.mrcs"]):
        (images / f"{state:03d}_particles_24.mrcs").rename(images / name)
    found = load_dataset(archive)
    np.testing.assert_array_equal(found.particles.read(np.arange(360)), original.particles.read(np.arange(360)))


def test_images_of_several_snrs_are_chosen_by_their_folder(tmp_path: Path, original: Dataset) -> None:
    root = tmp_path / "IgG-1D"
    write_archive(root, original, images=["images/snr0.01", "images/snr0.005"])
    with pytest.raises(FormatError, match=r"several sets of images.*snr0\.005, snr0\.01\. Give the folder of one"):
        load_dataset(root)
    found = [load_dataset(root / "images" / name) for name in ("snr0.01", "snr0.005")]
    assert [each.card["images"] for each in found] == ["images/snr0.01", "images/snr0.005"]
    assert found[0].card["sha256"] != found[1].card["sha256"]
    assert found[0].path == root / "images" / "snr0.01"
    assert load_dataset(root / "images" / "snr0.01").card == found[0].card


def test_what_is_missing_is_not_known(archive: Path, original: Dataset) -> None:
    def drop(name: str) -> Dataset:
        path = archive / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        return load_dataset(archive)

    assert drop("init_mask").particles.mask is None
    without_volumes = drop("vols")
    assert without_volumes.truth is not None
    assert without_volumes.truth.volumes is None
    np.testing.assert_array_equal(without_volumes.truth.states, original.truth.states)
    without_labels = drop("gt_latents.pkl")
    np.testing.assert_array_equal(without_labels.truth.states, original.truth.states)  # the stacks tell
    without_poses = drop("combined_poses.pkl")
    assert without_poses.particles.rotations is None
    assert without_poses.truth.rotations is None
    with pytest.raises(FormatError, match=r"has no CTF: combined_ctfs\.pkl is missing"):
        drop("combined_ctfs.pkl")


def test_one_stack_and_a_star_file_alone(tmp_path: Path, original: Dataset) -> None:
    """As Spike-MD, whose tables may be the STAR file's alone; images of one stack tell no structures."""
    images = tmp_path / "Spike-MD" / "images" / "snr0.1"
    images.mkdir(parents=True)
    write_mrc(images / "particles.mrcs", -original.particles.read(np.arange(360)), PIXEL_SIZE)
    write_star(images / "whole.star", original, "elsewhere/particles.mrcs")
    (images / "whole_000.star").write_text("of one structure, as some copies have")
    write_pickle(tmp_path / "Spike-MD" / "gt_latents.pkl", np.arange(360))
    found = load_dataset(tmp_path / "Spike-MD")
    assert (found.name, found.card["ctf"]) == ("spike-md", "whole.star")
    np.testing.assert_array_equal(found.particles.read(np.arange(360)), original.particles.read(np.arange(360)))
    np.testing.assert_allclose(found.particles.rotations, original.particles.rotations, atol=1e-6)
    np.testing.assert_allclose(found.particles.shifts, original.particles.shifts, atol=1e-6)
    np.testing.assert_array_equal(found.truth.states, np.arange(360))
    assert found.truth.volumes is None
    (tmp_path / "Spike-MD" / "gt_latents.pkl").unlink()
    assert load_dataset(tmp_path / "Spike-MD").truth is None


@pytest.mark.parametrize("per_structure", [True, False])
def test_labels_that_are_coordinates_become_the_embedding(
    archive: Path, original: Dataset, per_structure: bool
) -> None:
    states = original.truth.states
    coordinates = np.array([[0.5, 1.0], [1.5, 7.0], [2.5, 3.0]])
    write_pickle(archive / "gt_latents.pkl", coordinates if per_structure else coordinates[states])
    truth = load_dataset(archive).truth
    np.testing.assert_array_equal(truth.states, states)
    np.testing.assert_array_equal(truth.embedding, coordinates[states])
    assert truth.variables == {}


def test_masks_and_volumes_of_another_size_are_left_out_and_said(archive: Path) -> None:
    for name in ("mask.mrc", "mask_12.mrc"):
        write_mrc(archive / "init_mask" / name, np.ones((12, 12, 12)), 8.0)
    write_mrc(archive / "vols" / "12_org" / "000.mrc", np.ones((12, 12, 12)), 8.0)
    found = load_dataset(archive)
    assert found.particles.mask is None
    assert found.truth.volumes.box_size == 24
    assert found.card["notes"] == [
        "volumes in vols/12_org are not of 24 px: not used",
        "init_mask/mask.mrc is of 12 px, the images are of 24 px: not used",
        "init_mask/mask_12.mrc is of 12 px, the images are of 24 px: not used",
    ]


def test_volumes_that_state_another_pixel_size_are_warned_of(archive: Path, original: Dataset) -> None:
    table = ctf_table(original, box_size=48, pixel_size=1.5)
    write_pickle(archive / "combined_ctfs.pkl", table)
    with pytest.warns(
        UserWarning, match=r"000\.mrc has voxels of 4 Å, but combined_ctfs\.pkl gives .* 3 Å per pixel"
    ):
        found = load_dataset(archive)
    assert found.particles.pixel_size == pytest.approx(3.0)


DAMAGE = {
    "poses of another set": (
        lambda a: write_pickle(a / "combined_poses.pkl", (np.tile(np.eye(3), (9, 1, 1)), np.zeros((9, 2)))),
        r"combined_poses\.pkl describes 9 particles, but the 3 stacks .* hold 360 images",
    ),
    "stack missing": (
        lambda a: (a / "images" / "snr0.01" / "001_particles_24.mrcs").unlink(),
        r"sorted_particles\.24\.txt names the stack 001_particles_24\.mrcs, which is missing",
    ),
    "stack cut": (
        lambda a: (a / "images" / "snr0.01" / "001_particles_24.mrcs").write_bytes(b"\0" * 9),
        r"001_particles_24\.mrcs is not an MRC file",
    ),
    "volume missing": (lambda a: (a / "vols" / "24_org" / "001.mrc").unlink(), r"number 001 is 002\.mrc"),
    "too few volumes": (lambda a: (a / "vols" / "24_org" / "002.mrc").unlink(), r"structures 0 to 2, .* 0 to 1"),
    "labels in another order": (
        lambda a: write_pickle(a / "gt_latents.pkl", np.arange(360) % 3),
        r"gives the images of 000_particles_24\.mrcs to different structures",
    ),
    "labels too short": (lambda a: write_pickle(a / "gt_latents.pkl", np.zeros(7)), r"describes 7 particles"),
    "labels that are no numbers": (lambda a: write_pickle(a / "gt_latents.pkl", {"a": 1}), r"array of numbers"),
    "a pickle that runs code": (
        lambda a: (a / "gt_latents.pkl").write_bytes(b"cos\nsystem\n(S'touch /tmp/never'\ntR."),
        r"asks for os\.system, which is refused",
    ),
    "no images": (lambda a: shutil.rmtree(a / "images" / "snr0.01"), r"holds no stacks of images"),
    "two lists of stacks": (
        lambda a: (a / "images" / "snr0.01" / "sorted_particles.12.txt").write_text("x\n"),
        r"several lists of stacks \(sorted_particles\.12\.txt, sorted_particles\.24\.txt\)",
    ),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damage_is_named(archive: Path, case: str) -> None:
    damage, message = DAMAGE[case]
    damage(archive)
    with pytest.raises(FormatError, match=message):
        load_dataset(archive)


def test_the_hash_names_the_content_and_not_the_place(archive: Path, template: Path, original: Dataset) -> None:
    sha256 = load_dataset(template).card["sha256"]
    elsewhere = archive.rename(archive.with_name("my copy of IgG-1D"))
    assert load_dataset(elsewhere).card["sha256"] == sha256
    write_pickle(elsewhere / "gt_latents.pkl", 2 - original.truth.states)
    assert load_dataset(elsewhere).card["sha256"] != sha256


def test_an_ordinary_folder_of_images_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / "holiday" / "images").mkdir(parents=True)
    with pytest.raises(FormatError, match="is not a data set"):
        load_dataset(tmp_path / "holiday")


def test_nothing_is_written(template: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in template.rglob("*")}
    load_dataset(template)
    assert {path: path.stat().st_mtime_ns for path in template.rglob("*")} == before


def test_it_is_run_and_scored_like_any_other(tmp_path: Path) -> None:
    root = tmp_path / "IgG-1D"
    write_archive(root, in_order(toy_dataset(n=90)))
    run("truth-backprojection", load_dataset(root), tmp_path / "run")
    result, scores = score_run(tmp_path / "run")
    assert result.record.dataset.sha256 == load_dataset(root).card["sha256"]
    assert scores["fsc-auc"].n == 90
    assert scores["fsc-auc"].value > 0.2
    write_pickle(root / "gt_latents.pkl", np.repeat([2, 1, 0], 30))
    with pytest.raises(FormatError, match="another one, or the same, changed since"):
        score_run(tmp_path / "run")


@pytest.mark.slow
def test_it_is_shown_like_any_other(template: Path, tmp_path: Path) -> None:
    run("consensus", load_dataset(template), tmp_path / "run")
    write_report(load_dataset(template), [score_run(tmp_path / "run")], tmp_path / "page")
    assert "published archive" in (tmp_path / "page" / "card.html").read_text(encoding="utf-8")
    assert "Published results" in (tmp_path / "page" / "index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("size", [24, 25])
def test_frames_are_rendered_on_the_published_grid(tmp_path: Path, rng: np.random.Generator, size: int) -> None:
    """The grid of molmap around the seed, padded with zeros: as its authors make a volume, in plain NumPy."""
    pixel_size, resolution = 1.5, 3.0
    centre = np.array([41.3, -12.7, 3.9])
    frames, elements = (centre + rng.uniform(-5, 5, (3, 30, 3))).round(2), rng.choice(["C", "N", "O", "S"], 30)
    write_seed(tmp_path / "seed_structure.pdb", frames[0], elements)
    write_frames(tmp_path / "sampled_pdbs.xtc", frames)
    volumes = PublishedFrames(
        tmp_path / "seed_structure.pdb",
        tmp_path / "sampled_pdbs.xtc",
        3,
        box_size=size,
        pixel_size=pixel_size,
    )
    numbers = np.array([{"C": 6, "N": 7, "O": 8, "S": 16}[element] for element in elements])
    low, high = frames[0].min(axis=0), frames[0].max(axis=0)
    count = np.ceil((high - low + 6 * resolution) / pixel_size).astype(int)
    sigma = resolution / (np.pi * np.sqrt(2))
    for index in (2, 0):
        expected = np.zeros((size,) * 3)
        axes = [low[axis] - 3 * resolution + pixel_size * np.arange(count[axis]) for axis in range(3)]
        near = [np.exp(-((axes[k] - frames[index][:, k, None]) ** 2) / (2 * sigma**2)) for k in range(3)]
        density = np.einsum("a,az,ay,ax->zyx", numbers, near[2], near[1], near[0]) / (2 * np.pi * sigma**2) ** 1.5
        x, y, z = (size - count) // 2
        expected[z : z + count[2], y : y + count[1], x : x + count[0]] = density
        np.testing.assert_allclose(volumes.read(index), expected, atol=1e-4 * density.max())


def write_seed(path: Path, positions: np.ndarray, elements: np.ndarray) -> None:
    lines = [
        f"ATOM  {number:5d} {element:>2s}   GLY A{number:4d}    {x:8.3f}{y:8.3f}{z:8.3f}  1.00  0.00{element:>12s}"
        for number, (element, (x, y, z)) in enumerate(zip(elements, positions, strict=True), start=1)
    ]
    path.write_text("\n".join([*lines, "END"]) + "\n")


def spike_archive(root: Path, original: Dataset, n_frames: int = 360) -> Path:
    """Images in one stack, a frame for each, no volumes."""
    write_archive(root, original)
    for folder in ("images/snr0.01", "vols"):
        shutil.rmtree(root / folder)
    write_mrc(root / "images/snr0.1/particles.mrcs", -original.particles.read(np.arange(360)), PIXEL_SIZE)
    write_pickle(root / "gt_latents.pkl", np.arange(360))
    frames = np.random.default_rng(0).uniform(-12, 12, (n_frames, 20, 3))
    write_seed(root / "seed_structure.pdb", frames[0], np.full(20, "C"))
    write_frames(root / "sampled_pdbs.xtc", frames)
    return root


def test_one_image_per_frame_has_the_volume_of_its_frame(tmp_path: Path, original: Dataset) -> None:
    truth = load_dataset(spike_archive(tmp_path / "Spike-MD", original)).truth
    assert truth.n_states == 360
    assert truth.volumes.box_size == 24
    again = pickle.loads(pickle.dumps(truth.volumes))
    np.testing.assert_array_equal(again.read(7), truth.volume_of(7))
    assert np.abs(truth.volume_of(7) - truth.volume_of(8)).max() > 0.1


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda root: write_seed(root / "seed_structure.pdb", np.zeros((19, 3)), np.full(19, "C")), "holds 20 atoms"),
        (lambda root: write_frames(root / "sampled_pdbs.xtc", np.zeros((9, 20, 3))), "holds 9 frames, but .* 360"),
        (lambda root: (root / "sampled_pdbs.xtc").write_bytes(b"nothing"), "cannot be read as XTC"),
    ],
)
def test_a_trajectory_of_another_set_is_refused(tmp_path: Path, original: Dataset, damage, message: str) -> None:
    root = spike_archive(tmp_path / "Spike-MD", original)
    damage(root)
    truth = load_dataset(root).truth
    with pytest.raises(FormatError, match=message):
        truth.volumes.read(0)
