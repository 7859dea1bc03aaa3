"""What every method must do, asked of each by being registered: the toy of three states, in memory."""

import dataclasses
import inspect
import pickle
from functools import lru_cache

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from cryobench._errors import UnknownName
from cryobench.data import ArrayImages, Dataset, Reconstruction
from cryobench.experiment.run import build_method
from cryobench.methods import METHODS, Control, get_method, list_methods
from cryobench.metrics import per_image_fsc
from toy import permuted, toy_dataset

ALL = pytest.mark.parametrize("name", list(METHODS))
RECONSTRUCTING = [name for name in METHODS if not issubclass(get_method(name), Control)]
SMALL = {
    "3d-class": {"n_classes": 3, "initial_resolution": 12.0, "n_components": 4},
    "3dva": {"n_components": 2, "n_iterations": 4},
    "recovar": {
        "n_columns": 12,
        "n_components": 6,
        "dimensions": (1, 2),
        "latent_dimension": 2,
        "n_bins": 8,
        "min_particles": 10,
        "path_volumes": 0,
        "density_dimensions": 1,
    },
}


def reconstruct(name: str, dataset: Dataset, *, seed: int = 0) -> Reconstruction:
    method = build_method(get_method(name), SMALL.get(name, {}))
    if isinstance(method, Control):
        assert dataset.truth is not None
        method = method.with_truth(dataset.truth)
    return method.reconstruct(dataset.particles, queries=dataset.queries, seed=seed)


@lru_cache
def toy() -> Dataset:
    return toy_dataset()


@lru_cache
def answer(name: str) -> Reconstruction:
    return reconstruct(name, toy())


@ALL
def test_is_made_from_defaults_described_and_listed(name):
    method = get_method(name)
    assert name in list_methods()
    assert method.name == name
    assert (inspect.getdoc(method) or "").strip()
    assert method.poses in ("given", "estimated")
    assert method().settings == method.Settings()
    for key, field in method.Settings.model_fields.items():
        assert field.description, key
        assert not field.is_required(), key
    assert pickle.loads(pickle.dumps(method())).settings == method().settings


@ALL
def test_settings_are_frozen_and_refuse_unknown_names(name):
    method = get_method(name)
    with pytest.raises(UnknownName, match="no setting of"):
        build_method(method, {"no_such_setting": 1})
    assert method.Settings.model_config.get("frozen")
    assert method.Settings.model_config.get("extra") == "forbid"


@ALL
def test_answer_fits_the_data_set(name):
    result, dataset = answer(name), toy()
    n = len(dataset.particles)
    np.testing.assert_array_equal(result.queries, dataset.queries)
    assert result.latents is not None or result.posteriors is not None
    for part in (result.latents, result.posteriors):
        assert part is None or (len(part) == n and np.isfinite(part).all())
    assert result.volumes is not None
    assert result.volumes.box_size == dataset.particles.box_size
    for item in range(len(result.volumes)):
        volume = result.volumes.read(item)
        assert volume.dtype == np.float32
        assert np.isfinite(volume).all()
        assert volume.std() > 0


@ALL
def test_inputs_stay_as_they_are(name):
    dataset = toy_dataset(seed=1, n=120)
    assert dataset.truth is not None
    assert dataset.particles.rotations is not None
    before = [
        dataset.particles.read(np.arange(120)).copy(),
        dataset.particles.rotations.copy(),
        dataset.truth.states.copy(),
        dataset.truth.volumes.read(0).copy(),
    ]
    reconstruct(name, dataset)
    after = [
        dataset.particles.read(np.arange(120)),
        dataset.particles.rotations,
        dataset.truth.states,
        dataset.truth.volumes.read(0),
    ]
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old, new)


@ALL
def test_same_seed_same_bits(name):
    first, second = answer(name), reconstruct(name, toy())
    for part in ("latents", "posteriors"):
        one, other = getattr(first, part), getattr(second, part)
        assert (one is None) == (other is None)
        if one is not None:
            np.testing.assert_array_equal(one, other)
    assert first.volumes is not None
    assert second.volumes is not None
    for item in range(len(first.volumes)):
        np.testing.assert_array_equal(first.volumes.read(item), second.volumes.read(item))


@pytest.mark.parametrize("name", ["truth", "truth-backprojection", "consensus", "3d-class"])
def test_order_of_the_particles_does_not_matter(name):
    order = np.random.default_rng(5).permutation(len(toy().particles))
    first, second = answer(name), reconstruct(name, permuted(toy(), order))
    assert first.posteriors is not None
    assert second.posteriors is not None
    labels, moved = first.posteriors.argmax(axis=1)[order], second.posteriors.argmax(axis=1)
    # Classes may be numbered otherwise; who is together may not change.
    assert adjusted_rand_score(labels, moved) > 0.95
    if name != "3d-class":
        np.testing.assert_array_equal(first.posteriors[order], second.posteriors)


@ALL
def test_contrast_written_either_way_gives_the_same(name):
    dataset = toy()
    particles = dataclasses.replace(
        dataset.particles, images=ArrayImages(-dataset.particles.images.read(np.arange(360))), sign=-1
    )
    first = answer(name)
    second = reconstruct(name, dataclasses.replace(dataset, particles=particles))
    assert first.volumes is not None
    assert second.volumes is not None
    np.testing.assert_array_equal(first.volumes.read(0), second.volumes.read(0))


@pytest.mark.parametrize(
    "name", [*RECONSTRUCTING, "consensus", "truth-backprojection", "shuffled-truth", "random-latent"]
)
def test_withheld_poses_are_refused(name):
    with pytest.raises(ValueError, match="come without"):
        reconstruct(name, toy_dataset(with_poses=False, n=30))


def test_only_controls_are_given_the_truth():
    for name in METHODS:
        method = get_method(name)
        assert issubclass(method, Control) == (name not in RECONSTRUCTING)
        assert "truth" not in inspect.signature(method.reconstruct).parameters
        if issubclass(method, Control) and method.needs:
            with pytest.raises(ValueError, match="is a control: it needs the truth"):
                method().reconstruct(toy().particles, queries=toy().queries)


def test_methods_and_true_labels_beat_shuffled_ones_on_the_toy():
    scores = {
        name: per_image_fsc(answer(name), toy())["fsc-auc-normalised-masked"].value
        for name in ("truth", "truth-backprojection", "shuffled-truth", *RECONSTRUCTING)
    }
    assert scores["truth"] == 1.0
    for name in ("truth-backprojection", *RECONSTRUCTING):
        assert scores["shuffled-truth"] < scores[name] < 1, name
    assert scores["3d-class"] > scores["truth-backprojection"] - 0.02


def test_unknown_method_is_named_with_a_suggestion():
    with pytest.raises(UnknownName, match="Did you mean '3d-class'"):
        get_method("3d-clas")
