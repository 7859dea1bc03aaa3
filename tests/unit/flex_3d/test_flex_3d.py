"""``3dflex`` on a hinge of blobs, what it says of hard data, and what it refuses."""

import dataclasses

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from cryobench._errors import FormatError
from cryobench.data import ArrayImages, HalfSetFsc, Motion
from cryobench.io.formats.mrc import write_volume
from cryobench.methods import get_method
from cryobench.methods.flex_3d.consensus import low_pass, make_response
from cryobench.methods.flex_3d.flex import _weigh_shells
from cryobench.methods.flex_3d.plan import read_latents
from cryobench.methods.flex_3d.settings import Flex3DSettings
from cryobench.methods.flex_3d.solvent import make_body
from cryobench.methods.flex_3d.training import Flex3DTraining
from hinged_blobs import PIXEL_SIZE, hinged_dataset

Flex3D = get_method("3dflex")
QUICK = {**Flex3D.small, "z_dim": 1, "epochs": 8, "annealing_epochs": 8, "n_cells": 8, "map_iterations": 5}


def run(dataset, **changes):
    return Flex3D.with_settings({**QUICK, **changes}).reconstruct(dataset.particles, dataset.queries)


@pytest.fixture(scope="module")
def hinge():
    return hinged_dataset()


@pytest.fixture(scope="module")
def found(hinge):
    return run(hinge)


def test_the_angle_is_found_up_to_a_monotone_map(hinge, found):
    angle = hinge.truth.variables["angle"].values
    assert abs(spearmanr(found.latents[:, 0], angle).statistic) > 0.95


def test_volumes_deviate_as_the_true_ones(hinge, found):
    made = np.stack([found.volumes.read(number) for number in range(len(hinge.queries))])
    true = np.stack([hinge.truth.volumes.read(int(hinge.truth.states[query])) for query in hinge.queries])
    deviations = [(each - each.mean(axis=0)).ravel() for each in (made, true)]
    assert np.corrcoef(*deviations)[0, 1] > 0.8
    volume = found.find(Motion).volume
    still = [np.corrcoef(volume.ravel(), each.ravel())[0, 1] for each in true]
    moved = [np.corrcoef(one.ravel(), other.ravel())[0, 1] for one, other in zip(made, true, strict=True)]
    assert np.mean(moved) > np.mean(still) + 0.03


def test_the_map_of_half_sets_is_told_beside_that_without_motion(found):
    half_sets = found.find(HalfSetFsc)
    assert half_sets.curves.shape == half_sets.control.shape == (13,)
    assert half_sets.curves[1:6].min() > 0.97
    # Motion explains the middle shells better; the first agree anyway, and the last ones hold noise.
    assert half_sets.curves[3:7].mean() > half_sets.control[3:7].mean() + 0.001


def test_latents_stay_in_their_range_also_where_they_are_driven_out(hinge):
    driven = run(hinge, centring=0.0, latent_learning_rate=3.0, epochs=2, annealing_epochs=2)
    assert np.abs(driven.latents).max() == 1.5
    assert any("raise centring" in note for note in driven.notes)


def test_the_arm_moves_and_the_body_hardly(found):
    motion = found.find(Motion)
    ends = np.linalg.norm(motion.displacements[0, -1] - motion.displacements[0, 0], axis=1)
    arm, body = motion.points[:, 0] > 3 * PIXEL_SIZE, motion.points[:, 0] < -2 * PIXEL_SIZE
    moved = [np.average(ends[part], weights=motion.masses[part]) for part in (arm, body)]
    assert moved[0] > 3 * moved[1]
    assert moved[0] > 2 * PIXEL_SIZE


def test_a_file_of_the_settings_is_the_same_from_any_folder(tmp_path, monkeypatch):
    (tmp_path / "latents.npy").touch()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    here = Flex3DSettings(initial_latents="latents.npy")
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert here == Flex3DSettings(initial_latents="../latents.npy")
    assert here.initial_latents == (tmp_path / "latents.npy").resolve()


@pytest.mark.slow
def test_composition_is_mimicked_and_said():
    found = run(hinged_dataset(vanishing=True))
    assert any("Deformation conserves density" in note for note in found.notes)


def test_without_a_mask_one_is_drawn_and_said():
    dataset = hinged_dataset(n=120, with_mask=False)
    found = run(dataset, epochs=1, annealing_epochs=1)
    assert any(note.startswith("No mask is given") for note in found.notes)


def test_latents_of_another_method_start_it_and_may_be_frozen(hinge, tmp_path):
    angle = hinge.truth.variables["angle"].values
    np.save(tmp_path / "latents.npy", np.stack([angle, angle**2], axis=1))
    found = run(hinge, initial_latents=tmp_path / "latents.npy", freeze_latents=True, epochs=1, annealing_epochs=1)
    assert abs(spearmanr(found.latents[:, 0], angle).statistic) == pytest.approx(1)


def test_given_latents_start_the_same_in_any_unit_and_from_any_origin(tmp_path, rng):
    """Each dimension is centred and scaled by itself, so an offset or a unit of one does not matter."""
    latents = rng.standard_normal((50, 2))
    started = []
    for name, given in (("plain", latents), ("moved", latents * [3.0, 0.01] + [-20.0, 7.0])):
        np.save(tmp_path / f"{name}.npy", given)
        settings = Flex3DSettings(z_dim=2, initial_latents=tmp_path / f"{name}.npy")
        started.append(read_latents(50, settings))
    plain, moved = started
    np.testing.assert_allclose(moved, plain, atol=1e-5)
    np.testing.assert_allclose(np.median(plain, axis=0), 0, atol=1e-6)


@pytest.mark.slow
def test_a_training_box_may_be_smaller_than_that_of_the_map(hinge):
    found = run(hinge, training_box=18)
    angle = hinge.truth.variables["angle"].values
    assert abs(spearmanr(found.latents[:, 0], angle).statistic) > 0.9
    assert found.volumes.box_size == 24


class _Stop(Exception):
    pass


def test_noise_is_in_the_units_of_the_prepared_images_of_any_box(hinge, monkeypatch):
    """The share of noise in the power of a shell is the same in the whole box and in a smaller one."""
    make, shares = Flex3D._make_start, []

    def listen(self, particles, training, consensus, body, images, seed):
        start = make(self, particles, training, consensus, body, images, seed)
        power = images.load(np.arange(len(particles))).data.square().sum(-1).mean(0).numpy()
        shells = images.disc.shells[1:]
        mean = np.bincount(shells, power) / np.maximum(np.bincount(shells), 1)
        shares.append(start.noise[2:7] / mean[2:7])
        raise _Stop

    monkeypatch.setattr(Flex3D, "_make_start", listen)
    for box in (None, 18):
        with pytest.raises(_Stop):
            run(hinge, training_box=box)
    np.testing.assert_allclose(*shares, rtol=0.2)


def test_rates_fall_geometrically_until_the_annealing_ends(hinge, monkeypatch):
    train, rates = Flex3DTraining.train, []

    def listen(self, batch, step):
        found = train(self, batch, step)
        rates.append((self._flow_adam.param_groups[0]["lr"], self.table.lr))
        if step == self.batches.steps_per_epoch + 1:
            raise _Stop
        return found

    monkeypatch.setattr(Flex3DTraining, "train", listen)
    with pytest.raises(_Stop):
        run(hinge, epochs=2, annealing_epochs=1)
    settings = Flex3D.with_settings(QUICK).settings
    progress = np.minimum(np.arange(len(rates)) / (len(rates) - 2), 1)
    fallen = (settings.last_flow_learning_rate / settings.flow_learning_rate) ** progress
    flow, latents = np.array(rates).T
    np.testing.assert_allclose(flow, settings.flow_learning_rate * fallen)
    np.testing.assert_allclose(latents, settings.latent_learning_rate * fallen)


def test_shells_are_weighed_by_the_signal_that_half_sets_share():
    volume = torch.from_numpy(np.random.default_rng(0).standard_normal((8, 8, 8))).float()
    for fsc, weight in ((1.0, 1.0), (0.5, 2 / 3), (0.0, 0.0), (-0.3, 0.0)):
        weighed = _weigh_shells(volume, np.full(5, fsc))
        torch.testing.assert_close(weighed, weight * _weigh_shells(volume, np.ones(5)))
    smooth = low_pass(volume, make_response(8, 2))
    torch.testing.assert_close(_weigh_shells(smooth, np.ones(5)), smooth)


def test_segments_have_meshes_of_their_own(hinge, tmp_path):
    axis = np.arange(24) - 12
    labels = np.where(np.broadcast_to(axis, (24, 24, 24)) > 1, 1, 0).astype(np.float32)
    labels[np.asarray(hinge.particles.mask) < 0.5] = -1
    write_volume(tmp_path / "segments.mrc", labels, PIXEL_SIZE)
    short = {"epochs": 1, "annealing_epochs": 1, "segmentation": tmp_path / "segments.mrc"}
    whole, joined = run(hinge, epochs=1, annealing_epochs=1), run(hinge, **short, rigid_segments=[0])
    assert len(joined.model["elements"]) > len(whole.model["elements"])
    assert len(joined.model["vertices"]) == len(whole.model["vertices"])  # the two are fused where they touch
    for name, value, words in (
        ("rigid_segments", [5], "rigid_segments names segment 5"),
        ("fused", ["0>9"], "segment 9 is to be fused"),
    ):
        with pytest.raises(ValueError, match=words):
            run(hinge, **short, **{name: value})


def test_elements_are_weighed_by_their_density_and_by_rigid_segments(hinge, tmp_path):
    """A map of ones below the centre and of nothing above: elements are dense, empty, or between the two."""
    axis = np.arange(24) - 12
    write_volume(tmp_path / "segments.mrc", np.where(np.broadcast_to(axis, (24, 24, 24)) > 1, 1.0, 0.0), PIXEL_SIZE)
    region, consensus = np.ones((24, 24, 24), dtype=bool), torch.zeros(24, 24, 24)
    consensus[:12] = 1
    options = {"segmentation": tmp_path / "segments.mrc", "n_cells": 8}

    def weigh(**changes):
        body = make_body(hinge.particles, hinge.particles, region, consensus, Flex3DSettings(**options, **changes))
        heights = (body.mesh.corners[body.mesh.elements] * body.mesh.cell)[..., 2]
        dense = (heights.max(1) < -PIXEL_SIZE) & (np.diff(body.voxels.starts) > 0)  # some hold no voxel
        empty = heights.min(1) > PIXEL_SIZE
        return body.weights, dense, empty, np.repeat(body.mesh.cells[:, 0], 6) == 1

    plain, dense, empty, arm = weigh()
    assert all(part.any() for part in (dense & arm, dense & ~arm, empty & arm, empty & ~arm))
    np.testing.assert_allclose(plain[dense], 1)
    np.testing.assert_allclose(plain[empty], 0.5)
    rigid, *_ = weigh(rigid_segments=(1,))
    np.testing.assert_array_equal(rigid, np.where(arm, 20, plain))
    stiffened, *_ = weigh(stiffen_low_density=True)
    assert (stiffened[empty] > 1).all()
    np.testing.assert_array_equal(stiffened[dense], plain[dense])


def test_what_does_not_fit_is_refused(hinge, tmp_path):
    write_volume(tmp_path / "small.mrc", np.zeros((12, 12, 12), dtype=np.float32), PIXEL_SIZE)
    write_volume(tmp_path / "half.mrc", np.full((24, 24, 24), 0.5, dtype=np.float32), PIXEL_SIZE)
    np.save(tmp_path / "few.npy", np.zeros((10, 2)))
    for changes, words in (
        ({"segmentation": tmp_path / "small.mrc"}, "has 12 voxels a side, and images have 24"),
        ({"segmentation": tmp_path / "half.mrc"}, "not integers"),
        ({"initial_latents": tmp_path / "few.npy"}, r"shape \(10, 2\), expected a row for each of 600"),
    ):
        with pytest.raises(FormatError, match=words):
            run(hinge, **changes)
    with pytest.raises(ValueError, match="set segmentation too"):
        run(hinge, rigid_segments=[1])
    with pytest.raises(ValueError, match="freeze_latents keeps given latents"):
        run(hinge, freeze_latents=True)


def with_particles(dataset, **changes):
    return dataclasses.replace(dataset, particles=dataclasses.replace(dataset.particles, **changes))


def test_bad_particles_are_refused(hinge):
    few = hinge.particles.select(np.arange(20))
    with pytest.raises(ValueError, match="batch_size to at most 20"):
        Flex3D.with_settings(QUICK).reconstruct(few, np.arange(5))
    with pytest.raises(ValueError, match="mask is zero"):
        run(with_particles(hinge, mask=np.zeros((24, 24, 24), dtype=np.float32)))
    images = hinge.particles.images.read(np.arange(600)).copy()
    images[77, 3, 3] = np.nan
    with pytest.raises(ValueError, match="particle 77 holds NaN"):
        run(with_particles(hinge, images=ArrayImages(images)))
