"""Refined poses of cryoDRGN: laws of the method with them, when they move, and what comes of images with jitter."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from cryobench.compute import Compute
from cryobench.data import Dataset, Particles, Reconstruction
from cryobench.methods.cryodrgn import Cryodrgn, CryodrgnSettings
from cryobench.methods.cryodrgn.refinement import give_poses, make_poses
from cryobench.methods.cryodrgn.training import AutoencoderTraining, make_model
from cryobench.metrics import pose_error
from cryobench.reconstruction.engine import RunContext
from cryobench.reconstruction.images import Minibatches
from cryobench.reconstruction.networks import AdamSettings, NetworkImages, SparseRowAdam
from cryobench.reconstruction.poses import PoseTable, random_rotations
from cryobench.testing import check_method
from cryobench.testing.toy import PIXEL_SIZE, toy_dataset

PLENTY = Compute(memory=10**9)


class Refining(Cryodrgn):
    """cryoDRGN with poses that move from the second epoch on."""

    small = {**Cryodrgn.small, "epochs": 3, "refine_poses": True, "shift_learning_rate": 2e-2}


@pytest.mark.parametrize("law", ["answer fits", "same input, same bits", "resumes to the same bits"])
def test_law_with_refined_poses(law):
    check_method(Refining, [law])


def test_poses_and_everything_else_stay_until_their_epoch():
    """In the frozen epochs, to the bit; in the next one poses of the batch move."""
    images = NetworkImages(toy_dataset(size=16, n=60).particles, PLENTY, keep_bytes=1e8)
    rotations = toy_dataset(size=16, n=60).particles.rotations
    assert rotations is not None
    trained = []
    for refined in (False, True):
        method = Cryodrgn(Refining.with_settings(Refining.small).settings)  # pyright: ignore
        table = PoseTable(rotations, partial(SparseRowAdam, settings=AdamSettings(1e-3)))
        batches = Minibatches(60, 20, 0)
        model = make_model(method.settings, 16, 0)
        training = AutoencoderTraining(
            model, images, batches, method.settings, PLENTY, 0, table if refined else None, pose_from_epoch=1
        )
        for step, indices in enumerate(batches.steps(0, 3)):
            training.train(images.load(indices), step)
        trained.append(training)
    given, refining = (dict(each.tensors()) for each in trained)
    assert all(torch.equal(value, refining[name]) for name, value in given.items())
    assert not refining["poses.values"][:, 6:].any()
    trained[1].train(images.load(np.array([7, 3])), 3)
    moved = refining["poses.values"][:, 6:].any(1)
    assert moved.nonzero().flatten().tolist() == [3, 7]


def test_no_epoch_left_for_poses_is_refused_with_the_setting():
    with pytest.raises(ValueError, match="pose_from_epoch is 5 of 5 epochs, so no pose is refined"):
        Cryodrgn.with_settings({"refine_poses": True, "epochs": 5, "pose_from_epoch": 5})


def jitter(particles: Particles, degrees: float, pixels: float) -> Particles:
    """Particles whose poses have normal errors of these deviations about each axis."""
    assert particles.rotations is not None
    assert particles.shifts is not None
    rng, n = np.random.default_rng(7), len(particles)
    turns = Rotation.from_rotvec(np.deg2rad(degrees) * rng.standard_normal((n, 3))).as_matrix()
    shifts = particles.shifts + pixels * particles.pixel_size * rng.standard_normal((n, 2))
    return replace(particles, rotations=turns @ particles.rotations, shifts=shifts)


def median_errors(dataset: Dataset, found: Particles | Reconstruction) -> tuple[float, float]:
    """Of rotations in degrees and of shifts in px of the toy."""
    truth = dataset.truth
    assert truth is not None
    assert truth.rotations is not None
    assert found.rotations is not None
    errors = pose_error(truth.rotations, found.rotations, true_shifts=truth.shifts, shifts=found.shifts)
    assert errors.shift is not None
    return float(np.median(errors.rotation_deg)), float(np.median(errors.shift)) / PIXEL_SIZE


def refine(dataset: Dataset, particles: Particles, **changes: object) -> Reconstruction:
    method = Refining.with_settings({**Refining.small, **changes})
    return method.reconstruct(particles, dataset.queries, RunContext(compute=PLENTY))


def test_the_poses_of_the_table_are_those_of_the_answer():
    """Its rotations replace those given; its shifts are added to them, in Å."""
    particles = toy_dataset(n=30).particles
    settings = CryodrgnSettings(refine_poses=True, pose_learning_rate=1e-3, shift_learning_rate=2e-2)
    table = make_poses(particles, settings, "cpu")
    assert table is not None
    rotations = random_rotations(30, 0, "refined rotations", 0)
    in_px = torch.randn(30, 2, generator=torch.Generator().manual_seed(1))
    unit = 2e-2 / 1e-3  # of the learning rates
    table.write(torch.arange(30), torch.cat([rotations[:, :2].flatten(1), in_px / unit], dim=1))
    found = give_poses(table, particles)
    np.testing.assert_allclose(found["rotations"], rotations, atol=1e-6)
    np.testing.assert_allclose(found["shifts"], particles.shifts + PIXEL_SIZE * in_px.numpy(), atol=1e-5)


@pytest.mark.gate
def test_shifts_come_back_in_angstrom_also_from_a_smaller_box():
    """Shifts alone are off: within a few epochs most of the error is gone, whatever the size of a pixel."""
    dataset = toy_dataset(snr=2.0)
    given = jitter(dataset.particles, 0, 1.5)
    before = median_errors(dataset, given)[1]
    for box in (24, 18):
        found = refine(dataset, given, epochs=8, box=box, batch_size=12, shift_learning_rate=0.2)
        assert median_errors(dataset, found)[1] < 0.6 * before, box
        assert found.notes[0].startswith("Poses were refined from the given ones: by ")


@pytest.mark.slow
@pytest.mark.parametrize("domain", ["fourier", "hartley"])
def test_poses_with_errors_become_better_and_true_ones_stay_good(domain):
    """32 px, two states, SNR 1; the images allow some 1.6 degrees and 0.1 px (Cramér-Rao, of the true volume).

    Given 4.6 degrees and 1.2 px off, they come to some 2.9 and 0.4 in the fourier domain; noise moves true ones too,
    to 2.5 and 0.17.
    """
    dataset = toy_dataset(size=32, n=1000, n_states=2, snr=1.0)
    options = {
        "domain": domain, "z_dim": 1, "epochs": 40, "batch_size": 8, "learning_rate": 1e-3, "beta": None,
        "encoder_width": 64, "decoder_width": 64, "decoder_depth": 2,
        "pose_learning_rate": 5e-4, "pose_from_epoch": 2,
    }  # fmt: skip
    given = jitter(dataset.particles, 3.0, 1.0)
    turned, displaced = median_errors(dataset, given)
    better = median_errors(dataset, refine(dataset, given, **options))
    assert better[0] < 0.75 * turned
    assert better[1] < 0.5 * displaced
    kept = median_errors(dataset, refine(dataset, dataset.particles, **options))
    assert kept[0] < 0.6 * turned
    assert kept[1] < 0.3
