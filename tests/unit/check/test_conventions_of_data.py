"""Planted faults are found: in a toy that the package's own projector and noise have not made."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from cryobench._errors import FormatError, UnknownName
from cryobench.check import (
    check_conventions,
    describe_check,
    keep_check,
    mend_particles,
    read_check,
    read_open_faults,
)
from cryobench.check.hypotheses.reading import Reading
from cryobench.data import ArrayImages, GroundTruth
from cryobench.imaging.ctf import Ctf, evaluate_ctf
from cryobench.io.formats.pickles import read_pickle
from cryobench.io.store import load_dataset
from cryobench.reconstruction.poses import GridSlices
from cryobench.volumes.rotate import MIRROR
from published_archive import in_order, write_archive
from toy import toy_dataset


@pytest.fixture(scope="module")
def sound():
    """Of several odd defoci, so that CTFs differ, and of an even box, in which a reversed axis moves the centre."""
    return toy_dataset(n=400, snr=0.5)


def with_images(dataset, change):
    particles = dataset.particles
    images = change(particles.images.read(np.arange(len(particles))))
    return replace(dataset, particles=replace(particles, images=ArrayImages(np.ascontiguousarray(images))))


def with_poses(dataset, rotations=None, shifts=None):
    particles = dataset.particles
    return replace(
        dataset,
        particles=replace(
            particles,
            rotations=particles.rotations if rotations is None else rotations,
            shifts=particles.shifts if shifts is None else shifts,
        ),
    )


def names_of(check):
    return [fault.name for fault in check.faults]


def few(names, slow):
    """The names as parameters; those of ``slow`` are left to the longer checks."""
    return [pytest.param(name, marks=pytest.mark.slow) if name in slow else name for name in names]


def test_nothing_is_wrong_with_what_is_right(sound):
    check = check_conventions(sound)
    assert names_of(check) == []
    assert check.contrast.verdict == "right"
    assert check.mask.verdict == "right"
    assert "agree" in check.conclusion
    rejected = {trial.name for trial in check.trials if trial.verdict == "rejected"}
    assert {"rotations-transposed", "shifts-negated", "images-transposed", "poses-next"} <= rejected
    assert check.references.hand == "same"
    assert not any("hand" in sentence for sentence in check.unknown)
    assert check.views.evenness > 0.9
    assert check.needs
    assert all(need.name in {trial.name for trial in check.trials if trial.verdict == "open"} for need in check.needs)


ROWS = np.random.default_rng(5).permutation(400)
TABLES = {
    "rotations-transposed": lambda r, s: (np.ascontiguousarray(r.transpose(0, 2, 1)), s),
    "poses-next": lambda r, s: (np.roll(r, -1, axis=0), np.roll(s, -1, axis=0)),
    "poses-shuffled": lambda r, s: (r[ROWS], s[ROWS]),
}


@pytest.mark.parametrize("name", few(TABLES, slow=["poses-shuffled"]))
def test_poses_that_were_misread_are_named_first(sound, name):
    rotations, shifts = TABLES[name](sound.particles.rotations, sound.particles.shifts)
    check = check_conventions(with_poses(sound, rotations, shifts), quick=True)
    assert names_of(check)[:1] == [name]


PIXELS = {"pixels-in-nm-all": (0.1, 1), "pixels-in-nm": (0.1, 0.1), "pixels-tenth-all": (10, 1)}


@pytest.mark.parametrize("name", few(PIXELS, slow=["pixels-in-nm"]))
def test_a_pixel_size_in_another_unit_is_the_only_finding(sound, name):
    particles, (factor, shifts) = sound.particles, PIXELS[name]
    wrong = replace(particles, pixel_size=factor * particles.pixel_size, shifts=shifts * particles.shifts, mask=None)
    dataset = replace(sound, particles=wrong, truth=None)
    assert names_of(check_conventions(dataset, quick=True)) == [name]
    mended = mend_particles(wrong, [name])
    assert mended.pixel_size == pytest.approx(particles.pixel_size)
    np.testing.assert_allclose(mended.shifts, particles.shifts)


IMAGES = {
    "images-mirrored-x": lambda images: images[:, :, ::-1],
    "images-transposed": lambda images: images.transpose(0, 2, 1),
    "images-rolled-down": lambda images: np.roll(images, 1, axis=1),
    "images-background": lambda images: images + images.std(),
    "contrast": lambda images: -images,
}


@pytest.mark.parametrize("name", few(IMAGES, slow=["images-transposed", "images-rolled-down"]))
def test_images_that_were_changed_are_named_first(sound, name):
    check = check_conventions(with_images(sound, IMAGES[name]), quick=True)
    assert names_of(check)[:1] == [name]


def test_images_that_were_multiplied_by_their_ctf_are_named(sound):
    particles, size = sound.particles, 24
    full, half = np.fft.fftfreq(size, particles.pixel_size), np.fft.rfftfreq(size, particles.pixel_size)
    grid = torch.from_numpy(np.stack(np.meshgrid(half, full, indexing="xy"), axis=-1))
    transfer = evaluate_ctf(particles.ctf, grid).numpy()
    wrong = with_images(sound, lambda images: np.fft.irfft2(np.fft.rfft2(images) * transfer, s=(size, size)))
    assert names_of(check_conventions(wrong))[:1] == ["ctf-premultiplied"]


@pytest.mark.gate
def test_two_faults_that_hide_one_another_are_both_found(sound):
    particles = sound.particles
    wrong = with_poses(sound, np.ascontiguousarray(particles.rotations.transpose(0, 2, 1)), -particles.shifts)
    assert set(names_of(check_conventions(wrong, quick=True))) == {"rotations-transposed", "shifts-negated"}


def test_poses_of_a_part_are_seen(sound):
    order = np.arange(400)
    order[:120] = np.random.default_rng(1).permutation(120)
    particles = sound.particles
    wrong = with_poses(sound, particles.rotations[order], particles.shifts[order])
    check = check_conventions(replace(wrong, truth=None), quick=True)
    assert names_of(check) == ["poses-partly-wrong"]
    assert "The hand cannot be decided" in check.unknown[0]
    assert abs(check.strangers.share - 0.3) < 0.07


def mask_beside():
    """Seven voxels along x from where it should be."""
    axis = np.arange(24) - 12
    return ((axis[:, None, None] ** 2 + axis[:, None] ** 2 + (axis - 7) ** 2) < 8**2).astype(np.float32)


def test_a_mask_that_lies_elsewhere_is_seen(sound):
    check = check_conventions(replace(sound, particles=replace(sound.particles, mask=mask_beside())), quick=True)
    assert names_of(check) == ["mask-displaced"]
    assert abs(check.mask.offset[0] + 7) <= 2


def test_labels_of_other_images_are_seen(sound):
    truth = GroundTruth(sound.truth.states[ROWS], sound.truth.volumes)
    assert names_of(check_conventions(replace(sound, truth=truth))) == ["labels-shuffled"]


@pytest.fixture(scope="module")
def withheld():
    return toy_dataset(n=400, with_poses=False)


def test_without_poses_contrast_is_told_and_the_rest_is_not(withheld):
    dataset = withheld
    check = check_conventions(dataset)
    assert names_of(check) == []
    assert "Poses are withheld" in check.unknown[0]
    assert check.mask.verdict == "right"
    assert names_of(check_conventions(with_images(dataset, lambda images: -images))) == ["contrast"]


def test_without_poses_a_mask_is_held_against_true_volumes(withheld):
    check = check_conventions(replace(withheld, particles=replace(withheld.particles, mask=mask_beside())))
    assert names_of(check) == ["mask-displaced"]
    assert "of the true volumes" in check.faults[0].evidence


def test_what_was_found_mends_it(sound):
    wrong = with_poses(sound, shifts=-sound.particles.shifts)
    mended = mend_particles(wrong.particles, ["shifts-negated"])
    np.testing.assert_allclose(mended.shifts, sound.particles.shifts)
    assert names_of(check_conventions(replace(wrong, particles=mended), quick=True)) == []


@pytest.mark.parametrize("size", [24, 25])
@pytest.mark.parametrize("name", ["images-mirrored-x", "images-transposed", "images-rolled-down"])
def test_tables_are_mended_to_images_as_they_lie(name, size):
    """Slices of the truth predict such images by the mended tables as well as the right ones by the right tables."""
    right = toy_dataset(size=size, n=40, snr=20.0)
    wrong = with_images(right, IMAGES[name])
    mended = replace(wrong, particles=mend_particles(wrong.particles, [name]))

    def explain(dataset):
        particles, truth = dataset.particles, dataset.truth
        volumes = torch.from_numpy(np.stack([truth.volumes.read(state) for state in range(3)]))
        reading = Reading.of(particles, size)
        slices = GridSlices(volumes, reading.disc, padding=2).own(
            np.arange(40), truth.states, torch.tensor(particles.rotations, dtype=torch.float32), reading.disc.radius
        )
        predicted = reading.transfer.square() * slices
        return float(
            torch.corrcoef(torch.view_as_real(torch.stack([reading.match(slice(None)), predicted])).flatten(1))[0, 1]
        )

    assert explain(right) > 0.95
    assert explain(mended) == pytest.approx(explain(right), abs=2e-3)
    assert explain(wrong) < 0.9


@pytest.mark.parametrize(
    ("name", "turn"), [("images-mirrored-x", [[-1, 0], [0, 1]]), ("images-transposed", [[0, 1], [1, 0]])]
)
def test_astigmatism_turns_with_images(sound, name, turn):
    ctf = Ctf.from_columns(400, defocus_u=20_000, defocus_v=10_000, defocus_angle=0.4)
    mended = mend_particles(replace(sound.particles, ctf=ctf), [name])
    points = torch.tensor([[0.02, 0.05], [-0.06, 0.01], [0.04, -0.03]], dtype=torch.float64)
    turned = points @ torch.tensor(turn, dtype=torch.float64)
    torch.testing.assert_close(evaluate_ctf(mended.ctf, points), evaluate_ctf(ctf, turned))
    assert not torch.allclose(evaluate_ctf(mended.ctf, points), evaluate_ctf(ctf, points))


def test_a_mending_that_is_unknown_is_refused(sound):
    with pytest.raises(UnknownName, match="Did you mean 'shifts-negated'"):
        mend_particles(sound.particles, ["shift-negated"])


def test_too_few_particles_are_refused():
    with pytest.raises(ValueError, match="200 or more"):
        check_conventions(toy_dataset(n=60))


def test_the_result_is_plain_and_kept(sound, tmp_path):
    check = check_conventions(with_images(sound, lambda images: -images), quick=True)
    keep_check(check, tmp_path)
    kept = json.loads((tmp_path / "check.json").read_text())
    assert kept == json.loads(json.dumps(describe_check(check)))
    assert read_check(tmp_path).found == kept
    np.testing.assert_array_equal(read_check(tmp_path).halves, check.volumes)
    assert "adopt --contrast" in read_open_faults(tmp_path)[0]
    assert read_open_faults(tmp_path / "elsewhere") == []
    (tmp_path / "check.json").write_text('{"faults": []}')
    with pytest.raises(FormatError, match="repeat 'cryobench check"):
        read_check(tmp_path)


def test_poses_of_the_other_hand_are_seen_by_true_volumes(sound):
    particles = sound.particles
    mirrored = MIRROR @ np.asarray(particles.rotations) @ MIRROR
    wrong = with_poses(sound, mirrored, particles.shifts)
    assert names_of(check_conventions(wrong, quick=True)) == ["hand"]
    mended = mend_particles(replace(particles, rotations=mirrored), ["hand"])
    np.testing.assert_allclose(mended.rotations, particles.rotations, atol=1e-12)


def test_maps_are_no_help_where_poses_are_withheld():
    dataset = toy_dataset(n=200, with_poses=False)
    with pytest.raises(ValueError, match="poses are withheld"):
        check_conventions(dataset, references=dataset.truth.volumes)


def test_the_traps_of_published_archives_are_recognised(tmp_path):
    write_archive(tmp_path, in_order(toy_dataset(n=300, snr=1)))
    dataset = load_dataset(tmp_path)
    assert names_of(check_conventions(dataset, quick=True)) == []
    # As a reader takes it who believes the pixel size of the CTF table, which is that of a grid twice as fine, and
    # who takes protein to be dark.
    stated = float(read_pickle(tmp_path / "combined_ctfs.pkl")[0, 1])
    particles = dataset.particles
    assert stated == particles.pixel_size / 2
    naive = replace(particles, sign=-particles.sign, pixel_size=stated, shifts=particles.shifts / 2)
    found = check_conventions(replace(dataset, particles=naive, truth=None))
    assert names_of(found) == ["contrast", "pixels-double"]
    assert "adopt --mend pixels-double" in found.faults[1].way_out
