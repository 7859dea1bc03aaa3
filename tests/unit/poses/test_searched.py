"""Poses searched among slices of a network in training: by the network, by anchors, and over the images of a toy."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from cryobench.compute import Compute, ProcessGroup
from cryobench.data import Convergence
from cryobench.methods import get_method
from cryobench.methods.cryodrgn import Cryodrgn2
from cryobench.reconstruction.engine import Checkpoint, RunContext
from cryobench.reconstruction.networks import (
    CoordinateNetwork,
    NetworkImages,
    NetworkShape,
    Training,
    make_slice_encoder,
)
from cryobench.reconstruction.poses import (
    SearchedPoses,
    SearchSettings,
    plan_search,
    random_rotations,
    rotations_from_rows,
    starts,
)
from cryobench.reconstruction.poses.network_search import find_anchors
from cryobench.rotations import geodesic_distance
from cryobench.testing.toy import toy_dataset

PLENTY = Compute(memory=10**9)
SETTINGS = SearchSettings(
    first_radius=5,
    last_radius=8,
    n_refinements=2,
    kept_orientations=4,
    healpix_nside=2,
    shift_range=2.0,
    shift_count=4,
)


def make_network(seed: int = 0) -> CoordinateNetwork:
    torch.manual_seed(seed)
    return CoordinateNetwork(NetworkShape(16, 2, 24, 2, "hartley", deviation=1.5))


def make_images(n: int = 40) -> NetworkImages:
    return NetworkImages(toy_dataset(size=16, n=n).particles.without_poses(), PLENTY, keep_bytes=1e8)


def test_radii_end_where_the_box_does() -> None:
    assert plan_search(SearchSettings(), 128).radii == (12, 17, 22, 27, 32)
    assert plan_search(SearchSettings(), 32).radii == (12, 12, 13, 14, 15)


def test_of_a_search_the_table_and_the_batch_hold_the_poses() -> None:
    images, network = make_images(), make_network()
    searched = SearchedPoses(images, network, SETTINGS, ProcessGroup())
    batch = images.load(np.array([7, 3, 21]))
    before = {name: value.clone() for name, value in searched.tensors().items()}
    searched.search(batch, torch.randn(3, 2))
    changed = (searched.tensors()["poses.values"] != before["poses.values"]).any(1).nonzero().flatten().tolist()
    assert set(changed) <= {3, 7, 21}
    assert len(changed) >= 2
    placed = searched.place(batch)
    values = searched.tensors()["poses.values"][[7, 3, 21]]
    assert placed.rotations is not None
    torch.testing.assert_close(placed.rotations, rotations_from_rows(values[:, :6]))
    expected = images.move(batch, placed.rotations, values[:, 6:]).data
    torch.testing.assert_close(placed.data, expected)


def test_anchors_find_what_the_network_does_as_they_become_as_many_as_latents() -> None:
    """Images are what the network says for their latents, so its own search finds their poses."""
    images, network, indices = make_images(), make_network(), np.arange(20)
    latents = 4 * torch.randn(20, 2, generator=torch.Generator().manual_seed(1))
    rotations = random_rotations(20, 0, "poses of the test", 0)
    batch = images.load(indices)
    with torch.no_grad():
        slices = network.slices(make_slice_encoder(network, images.disc), rotations, latents)
    batch = replace(batch, data=slices * batch.ctf[..., None])

    def find(**changes: object) -> float:
        searched = SearchedPoses(images, network, SETTINGS.model_copy(update=changes), ProcessGroup())
        searched.follow(lambda chosen: latents[chosen % 20], 0, 20)
        searched.search(batch, latents)
        found = searched.table.flush()[0][:20]
        return float(np.median(np.degrees(geodesic_distance(found, rotations.numpy()))))

    exact = find()
    one, every = (find(search="anchors", n_anchors=count) for count in (1, 20))
    assert exact < 5
    assert every < 1.5 * exact < one


def test_anchors_follow_the_network_after_so_many_images() -> None:
    images, network = make_images(), make_network()
    settings = SETTINGS.model_copy(update={"search": "anchors", "n_anchors": 1, "anchors_every": 16})
    searched = SearchedPoses(images, network, settings, ProcessGroup())
    renewed = []
    for batch in range(8):
        for weights in network.parameters():
            weights.data += 0.01
        before = searched.tensors()["anchors.volumes"].clone()
        searched.follow(lambda chosen: torch.zeros(len(chosen), 2), 6 * batch, 6)
        if not torch.equal(before, searched.tensors()["anchors.volumes"]):
            renewed.append(batch)
    assert renewed == [0, 3, 6]


def test_anchors_are_centres_of_clusters_or_all_there_are() -> None:
    latents = np.concatenate([np.full((5, 2), 1.0), np.full((5, 2), -1.0)]) + 1e-3 * np.arange(20).reshape(10, 2)
    centres = find_anchors(latents.astype(np.float32), 2)
    np.testing.assert_allclose(np.sort(centres[:, 0]), [-0.986, 1.004], atol=2e-3)
    np.testing.assert_array_equal(np.unique(find_anchors(latents[:3], 8), axis=0), np.unique(latents[:3], axis=0))


def test_cryodrgn2_searches_in_the_first_of_every_so_many_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    """No batch of an epoch is trained at poses that no search has found."""
    images = make_images(24)
    method = Cryodrgn2.with_settings({**Cryodrgn2.small, "batch_size": 12, "search_every": 3})
    assert isinstance(method, Cryodrgn2)
    training = method._make_training(0, images, PLENTY)
    searches: list[int] = []
    monkeypatch.setattr(training.searched, "search", lambda batch, latents: searches.append(step))
    for step in range(training.n_lead, training.n_lead + 16):
        training.place(images.load(np.arange(12)), torch.zeros(12, 2), step)
    epochs = (np.array(searches) - training.n_lead) // 2
    assert epochs.tolist() == [0, 0, 3, 3, 6, 6]


@pytest.mark.parametrize("setting", ["batch_size", "search_batch_size", "pretraining_batch_size"])
def test_the_batches_that_are_larger_than_the_data_set_are_named(setting) -> None:
    dataset = toy_dataset(size=16, n=20)
    kind = get_method("cryodrgn-ai")
    sizes = {"batch_size": 10, "search_batch_size": 10, "pretraining_batch_size": 10, setting: 21}
    with pytest.raises(ValueError, match=rf"21 images and there are 20: set {setting} to at most 20"):
        kind.with_settings({**kind.small, **sizes}).reconstruct(dataset.particles, dataset.queries)


@pytest.mark.parametrize("losses", [(1.0, 3.0, 2.0), (3.0, 1.0, 2.0), (3.0, 2.0, 1.0)])
def test_of_three_starts_the_lowest_loss_is_kept_whenever_it_comes(losses, monkeypatch: pytest.MonkeyPatch) -> None:
    ends = iter(losses)

    def finish(training: object, *_: object, **__: object) -> tuple[None, Convergence]:
        return None, Convergence(({"iteration": 1, "loss": next(ends)},), "all 1 iterations done")

    monkeypatch.setattr(starts, "iterate", finish)
    made: list[Training] = []

    class Seeded(Training):
        def __init__(self, seed: int) -> None:
            self.seed = seed

    Seeded.__abstractmethods__ = frozenset()  # pyright: ignore

    def make(seed: int, images: NetworkImages, compute: Compute) -> Training:
        made.append(Seeded(seed))  # pyright: ignore
        return made[-1]

    context = RunContext(compute=PLENTY)
    best = starts.train_starts(make, make_images(4), Checkpoint(None, {}), context, 3)  # pyright: ignore
    assert best.losses == losses
    assert best.convergence.log[-1]["loss"] == 1
    assert best.training is made[losses.index(1.0)]
    assert len({each.seed for each in made}) == 3  # pyright: ignore


def test_several_starts_keep_the_one_of_the_lowest_loss() -> None:
    dataset = toy_dataset(size=16, n=60)
    kind = get_method("cryodrgn2")
    changes = {**kind.small, "epochs": 1, "pretraining_images": 24, "batch_size": 12, "n_starts": 2}
    context = RunContext(compute=PLENTY)
    made = kind.with_settings(changes).reconstruct(dataset.particles, dataset.queries, context)
    (note,) = (note for note in made.notes if "random starts" in note)
    losses = [float(text) for text in note.rstrip(".").split(": ")[1].split(", ")]
    single = kind.with_settings({**changes, "n_starts": 1}).reconstruct(dataset.particles, dataset.queries, context)
    first, kept = (each.findings[0].log[-1]["loss"] for each in (single, made))  # pyright: ignore
    assert first == pytest.approx(losses[0], rel=1e-5)
    assert kept == pytest.approx(min(losses), rel=1e-5)


@pytest.mark.parametrize("name", ["cryodrgn2", "cryodrgn-ai", "3d-class-ab-initio"])
def test_a_grid_that_healpix_does_not_have_is_refused_with_the_setting(name: str) -> None:
    with pytest.raises(ValueError, match=r"healpix_nside .* power of two, got 3"):
        get_method(name).with_settings({"healpix_nside": 3})
