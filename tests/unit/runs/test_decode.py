"""Which latents are decoded."""

from dataclasses import replace

import numpy as np
import pytest

from cryobench.io.formats.mrc import read_volume
from cryobench.io.store import load_reconstruction
from cryobench.reconstruction.engine import RunContext
from cryobench.runs.decode import _state_means, write_volumes
from cryobench.runs.run import run
from cryobench.runs.volume_folder import write_volume_folder
from stored import store_dataset, store_run
from toy import PIXEL_SIZE, toy_dataset


def test_latents_of_states_are_the_means_of_their_particles_that_have_one():
    toy = toy_dataset(size=16, n=60)
    assert toy.truth is not None
    states = toy.truth.states.copy()
    states[:4] = -1
    latents = np.stack([states * 10.0, -states], axis=1) + np.array([1.0, 0.0])
    latents[states == 1] += np.tile([[0.5, 0], [-0.5, 0]], (30, 1))[: (states == 1).sum()]
    left_out = np.flatnonzero(states == 2)[:3]
    latents[left_out] = np.nan
    latents[:4] = 1e6
    rows, names = _state_means(replace(toy, truth=replace(toy.truth, states=states)), latents)
    assert names == ["state-000", "state-001", "state-002"]
    np.testing.assert_allclose(rows, [[1, 0], [11, -1], [21, -2]], atol=0.05)


def test_volumes_are_those_of_the_particles_latents_and_states_that_were_asked_for(tmp_path):
    dataset = store_dataset(toy_dataset(size=16, n=60, n_queries=2), tmp_path / "data")
    store_run(dataset, tmp_path / "run", decodes_by="classes")
    classes = load_reconstruction(tmp_path / "run").model["volumes"]
    states = dataset.truth.states
    particles = [int(np.flatnonzero(states == state)[1]) for state in (2, 0, 1)]
    np.save(tmp_path / "rows.npy", np.eye(3)[[1, 2, 0]])
    for name, asked, expected in (
        ("particles", {"particles": particles}, [2, 0, 1]),
        ("latents", {"latents": tmp_path / "rows.npy"}, [1, 2, 0]),
        ("states", {"states": True}, [0, 1, 2]),
    ):
        paths = write_volumes(tmp_path / "run", tmp_path / name, **asked)
        if name == "particles":
            assert [path.name for path in paths] == [f"particle-{particle:06d}.mrc" for particle in particles]
        for path, state in zip(paths, expected, strict=True):
            np.testing.assert_array_equal(read_volume(path)[0], classes[state], err_msg=path.name)


def test_a_particle_that_was_left_out_is_named(tmp_path):
    dataset = store_dataset(toy_dataset(size=16, n=60, n_queries=2), tmp_path / "data")
    store_run(dataset, tmp_path / "run", decodes_by="classes")
    posteriors = np.load(tmp_path / "run" / "posteriors.npy")
    posteriors[7] = np.nan
    np.save(tmp_path / "run" / "posteriors.npy", posteriors)
    with pytest.raises(ValueError, match="particle 7 was left out"):
        write_volumes(tmp_path / "run", tmp_path / "volumes", particles=[3, 7])


def test_previews_have_larger_voxels(tmp_path):
    dataset = store_dataset(toy_dataset(size=16, n=60, n_queries=2), tmp_path / "data")
    settings = {"n_classes": 2, "n_iterations": 1, "initial_resolution": 12.0, "n_components": 2}
    run("3d-class", dataset, tmp_path / "run", settings=settings)
    (path,) = write_volumes(tmp_path / "run", tmp_path / "previews", particles=[3], box_size=8)
    volume, pixel_size = read_volume(path)[:2]
    assert volume.shape == (8, 8, 8)
    assert pixel_size == pytest.approx(2 * PIXEL_SIZE)


def test_a_finished_folder_whose_checkpoint_was_not_quite_removed_is_not_of_another_call(tmp_path):
    def write(value, size=4):
        return write_volume_folder(
            tmp_path / "maps",
            ["a.mrc", "b.mrc"],
            lambda missing, _: (np.full((size,) * 3, value, np.float32) for _ in missing),
            rows=np.zeros((2, 1)),
            call={"box_size": size},
            pixel_size=1.0,
            context=RunContext(),
        )

    write(1)
    (tmp_path / "maps" / "checkpoint").mkdir()
    with pytest.raises(FileExistsError, match="maps already exists"):
        write(2, size=6)
    assert [read_volume(path)[0].max() for path in write(3)] == [1, 1]
    assert not (tmp_path / "maps" / "checkpoint").exists()
