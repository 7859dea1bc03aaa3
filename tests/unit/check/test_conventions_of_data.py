"""Planted faults are found: in a toy that the package's own projector and noise have not made."""

import json
from dataclasses import replace

import numpy as np
import pytest

from cryobench._errors import UnknownName
from cryobench.check import check_conventions, describe_check, keep_check, mend_particles, read_open_faults
from cryobench.data import ArrayImages, GroundTruth
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


def test_nothing_is_wrong_with_what_is_right(sound):
    check = check_conventions(sound)
    assert names_of(check) == []
    assert check.contrast.verdict == "right"
    assert check.mask.verdict == "right"
    assert "agree" in check.conclusion
    rejected = {trial.name for trial in check.trials if trial.verdict == "rejected"}
    assert {"rotations-transposed", "shifts-negated", "images-transposed", "poses-next"} <= rejected
    assert any("hand" in sentence for sentence in check.unknown)


ROWS = np.random.default_rng(5).permutation(400)
TABLES = {
    "rotations-transposed": lambda r, s: (np.ascontiguousarray(r.transpose(0, 2, 1)), s),
    "shifts-negated": lambda r, s: (r, -s),
    "shifts-exchanged": lambda r, s: (r, np.ascontiguousarray(s[:, ::-1])),
    "poses-next": lambda r, s: (np.roll(r, -1, axis=0), np.roll(s, -1, axis=0)),
    "poses-shuffled": lambda r, s: (r[ROWS], s[ROWS]),
}


@pytest.mark.parametrize("name", TABLES)
def test_poses_that_were_misread_are_named_first(sound, name):
    rotations, shifts = TABLES[name](sound.particles.rotations, sound.particles.shifts)
    check = check_conventions(with_poses(sound, rotations, shifts), quick=True)
    assert names_of(check)[:1] == [name]


IMAGES = {
    "images-mirrored-x": lambda images: images[:, :, ::-1],
    "images-transposed": lambda images: images.transpose(0, 2, 1),
    "images-rolled-down": lambda images: np.roll(images, 1, axis=1),
    "images-background": lambda images: images + images.std(),
    "contrast": lambda images: -images,
}


@pytest.mark.parametrize("name", IMAGES)
def test_images_that_were_changed_are_named_first(sound, name):
    check = check_conventions(with_images(sound, IMAGES[name]), quick=True)
    assert names_of(check)[:1] == [name]


def test_two_faults_that_hide_one_another_are_both_found(sound):
    particles = sound.particles
    wrong = with_poses(sound, np.ascontiguousarray(particles.rotations.transpose(0, 2, 1)), -particles.shifts)
    assert set(names_of(check_conventions(wrong, quick=True))) == {"rotations-transposed", "shifts-negated"}


def test_poses_of_a_part_are_seen(sound):
    order = np.arange(400)
    order[:120] = np.random.default_rng(1).permutation(120)
    particles = sound.particles
    check = check_conventions(with_poses(sound, particles.rotations[order], particles.shifts[order]), quick=True)
    assert names_of(check) == ["poses-partly-wrong"]
    assert abs(check.strangers.share - 0.3) < 0.07


def test_a_mask_that_lies_elsewhere_is_seen(sound):
    axis = np.arange(24) - 12
    mask = ((axis[:, None, None] ** 2 + axis[:, None] ** 2 + (axis - 7) ** 2) < 8**2).astype(np.float32)
    check = check_conventions(replace(sound, particles=replace(sound.particles, mask=mask)), quick=True)
    assert names_of(check) == ["mask-displaced"]
    assert abs(check.mask.offset[0] + 7) <= 2


def test_labels_of_other_images_are_seen(sound):
    truth = GroundTruth(sound.truth.states[ROWS], sound.truth.volumes)
    assert names_of(check_conventions(replace(sound, truth=truth))) == ["labels-shuffled"]


def test_without_poses_contrast_is_told_and_the_rest_is_not():
    dataset = toy_dataset(n=400, with_poses=False)
    check = check_conventions(dataset)
    assert names_of(check) == []
    assert "Poses are withheld" in check.unknown[0]
    assert names_of(check_conventions(with_images(dataset, lambda images: -images))) == ["contrast"]


def test_what_was_found_mends_it(sound):
    wrong = with_poses(sound, shifts=-sound.particles.shifts)
    mended = mend_particles(wrong.particles, ["shifts-negated"])
    np.testing.assert_allclose(mended.shifts, sound.particles.shifts)
    assert names_of(check_conventions(replace(wrong, particles=mended), quick=True)) == []


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
    assert "adopt --contrast" in read_open_faults(tmp_path)[0]
    assert read_open_faults(tmp_path / "elsewhere") == []
