"""One volume for each state: decoded at the actual latent nearest to the state's mean, or a query volume."""

import re
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from cryobench.data import Dataset, IndexedVolumes, Reconstruction
from cryobench.metrics import score
from cryobench.metrics.volumes.per_conformation import choose_conformations, conformation_fsc
from cryobench.volumes import Alignment
from moved_blobs import invert
from toy import toy_dataset

NAME = ["per-conformation-fsc"]
MEAN = "conformation-fsc-auc-normalised"
SHIFT = Alignment(np.eye(3), np.array([8.0, 0.0, 4.0]), False, 1.0, None, 4.0)


@dataclass
class NearestState:
    """Decodes the volume of the state whose place on the circle a latent is nearest to."""

    volumes: np.ndarray
    asked: list[np.ndarray] = field(default_factory=list)

    takes = "latents"
    reads_particles: bool = False

    def decode(self, latents):
        turns = 2 * np.pi * np.arange(3) / 3
        for row in latents:
            self.asked.append(row)
            yield self.volumes[int(np.argmax(np.cos(turns) * row[0] + np.sin(turns) * row[1]))]


@pytest.fixture
def toy() -> Dataset:
    return toy_dataset(size=16, n=60, n_queries=2)


@pytest.fixture
def latents(toy: Dataset) -> np.ndarray:
    return (toy.truth.embedding + 0.1 * np.random.default_rng(2).standard_normal((60, 2))).astype(np.float32)


def stack(toy: Dataset) -> np.ndarray:
    return np.stack([toy.truth.volumes.read(state) for state in range(3)])


def test_what_is_decoded_is_the_latent_of_a_particle_of_the_state_nearest_to_its_mean(toy, latents) -> None:
    decoder = NearestState(stack(toy))
    found = score(Reconstruction(toy.queries, latents=latents, decoder=decoder), toy, NAME)
    assert found[MEAN].value == 1
    assert found[MEAN].n == len(decoder.asked) == 3
    assert found.context[NAME[0]]["volumes_from"] == "decoded latent"
    for state, row, particle in zip(range(3), decoder.asked, found[MEAN].items["particle"], strict=True):
        members = np.flatnonzero(toy.truth.states == state)
        mean = latents[members].mean(axis=0)
        nearest = members[np.linalg.norm(latents[members] - mean, axis=1).argmin()]
        assert particle == nearest
        assert np.array_equal(row, latents[nearest])
    assert set(found.curves["conformation-fsc"]["state"]) == {0, 1, 2}


def test_where_nothing_decodes_only_states_with_a_query_particle_are_told_of(toy, latents) -> None:
    states = toy.truth.states[toy.queries]
    result = Reconstruction(toy.queries, IndexedVolumes(stack(toy), states), latents=latents)
    chosen = choose_conformations(result, toy)
    present = sorted(set(states.tolist()))
    assert chosen.states.tolist() == present
    assert chosen.n_without_query == 3 - len(present) > 0
    assert set(chosen.particles.tolist()) <= set(toy.queries.tolist())
    assert score(result, toy, NAME)[MEAN].value == 1
    lost = np.where((toy.truth.states == present[0])[:, None], np.nan, latents)
    assert choose_conformations(replace(result, latents=lost), toy).n_without_latent == 1


def test_many_volumes_of_many_particles_wait_until_they_are_asked_for(toy, latents, monkeypatch) -> None:
    decoder = NearestState(stack(toy), reads_particles=True)
    run = Reconstruction(toy.queries, latents=latents, decoder=decoder)
    assert MEAN in score(run, toy).scores
    monkeypatch.setattr("cryobench.metrics.volumes.per_conformation._LONGEST", 0.0)
    decoder.asked.clear()
    found = score(run, toy)
    assert MEAN not in found.scores
    assert not decoder.asked
    why = "would read all 60 particles for each of 3 volumes, .*--metric per-conformation-fsc"
    assert re.match(why, found.context["not_measured"][NAME[0]])
    assert MEAN in score(run, toy, NAME).scores
    assert MEAN in score(Reconstruction(toy.queries, latents=latents, decoder=NearestState(stack(toy))), toy).scores


def test_classes_are_those_most_particles_of_a_state_are_in(toy) -> None:
    mixed = np.eye(3)[toy.truth.states][:, [2, 0, 1]]
    mixed[np.flatnonzero(toy.truth.states == 0)[:5]] = [1, 0, 0]

    class Classes:
        takes = "latents"

        def decode(self, latents):
            yield from stack(toy)[[2, 0, 1]][latents.argmax(axis=1)]

    found = score(Reconstruction(toy.queries, posteriors=mixed, decoder=Classes()), toy, NAME)
    assert found[MEAN].value == 1
    assert found.context[NAME[0]]["volumes_from"] == "decoded class"


@pytest.mark.parametrize("mode", ["reconstruction", "volume"])
def test_decoded_volumes_are_brought_into_the_frame_too(toy, latents, mode, monkeypatch) -> None:
    monkeypatch.setattr("cryobench.metrics.volumes.frames.align_all", lambda *_, **__: [invert(SHIFT)])
    monkeypatch.setattr("cryobench.metrics.volumes.frames.align", lambda *_, **__: invert(SHIFT))
    moved = np.stack([SHIFT.apply(volume) for volume in stack(toy)])
    states = toy.truth.states[toy.queries]
    result = Reconstruction(toy.queries, IndexedVolumes(moved, states), latents=latents, decoder=NearestState(moved))
    assert score(result, toy, NAME, align="none")[MEAN].value < 0.7
    assert score(result, toy, NAME, align=mode)[MEAN].value > 0.95


def test_one_image_of_each_state_is_not_measured_and_bad_volumes_are_named(toy, latents) -> None:
    alone = replace(
        toy, truth=replace(toy.truth, states=np.arange(60), volumes=IndexedVolumes(stack(toy), np.arange(60) % 3))
    )
    result = Reconstruction(toy.queries, latents=latents, decoder=NearestState(stack(toy)))
    assert "states of several particles" in score(result, alone).context["not_measured"][NAME[0]]
    with pytest.raises(ValueError, match="state 0 holds NaN"):
        conformation_fsc(replace(result, decoder=NearestState(np.full((3, 16, 16, 16), np.nan, np.float32))), toy)
    with pytest.raises(ValueError, match=r"\(12, 12, 12\), the truth \(16, 16, 16\)"):
        conformation_fsc(replace(result, decoder=NearestState(np.ones((3, 12, 12, 12), np.float32))), toy)
    with pytest.raises(ValueError, match="no latents or posteriors"):
        conformation_fsc(replace(result, latents=None), toy)
