"""The five controls: what any score is read against. They alone are given the truth.

| control | volume of a query particle | labels (posteriors) | latent |
|---|---|---|---|
| truth | its true volume | its true state | the true embedding |
| truth-backprojection | back-projection of its state's images by the true labels | its true state | - |
| consensus | back-projection of all images | one class for all | - |
| shuffled-truth | as truth-backprojection, with labels permuted | the permuted state | permuted embedding |
| random-latent | back-projection of all images | - | 8 independent normal numbers |

The truth is the ceiling of every metric. Back-projection by the true labels is what a perfect classifier would get
out of these images. Consensus knows nothing of the heterogeneity; a shuffled or random latent knows nothing at all.
"""

from abc import abstractmethod
from pathlib import Path
from typing import Self

import numpy as np

from cryobench._progress import Progress
from cryobench.data import GroundTruth, IndexedVolumes, Particles, Reconstruction, VolumeSource
from cryobench.methods._shared.backprojection import backproject
from cryobench.methods.method import Method
from cryobench.rng import stream

RANDOM_DIMENSIONS = 8


class Control(Method):
    """A method that is given the truth, to calibrate metrics by."""

    poses = "given"
    truth: GroundTruth | None = None

    def with_truth(self, truth: GroundTruth) -> Self:
        """This control, knowing the truth."""
        control = type(self)(self.settings)
        control.truth = truth
        return control

    def reconstruct(
        self,
        particles: Particles,
        *,
        queries: np.ndarray,
        seed: int = 0,
        device: str = "cpu",
        progress: Progress | None = None,
        checkpoint: Path | None = None,
    ) -> Reconstruction:
        """As ``Method.reconstruct``. ValueError if the truth was not given or does not describe these particles."""
        if self.truth is None:
            raise ValueError(f"{self.name} is a control: give it the truth with with_truth first.")
        if len(self.truth) != len(particles):
            raise ValueError(f"the truth describes {len(self.truth)} particles, but there are {len(particles)}.")
        return self._answer(particles, self.truth, queries, seed, device, progress)

    @abstractmethod
    def _answer(
        self,
        particles: Particles,
        truth: GroundTruth,
        queries: np.ndarray,
        seed: int,
        device: str,
        progress: Progress | None,
    ) -> Reconstruction: ...


class TrueVolumes:
    """The true volume of each query particle, read when asked for."""

    def __init__(self, truth: GroundTruth, queries: np.ndarray) -> None:
        self._truth, self._queries = truth, queries

    @property
    def box_size(self) -> int:
        return self._truth.volumes.box_size

    def __len__(self) -> int:
        return len(self._queries)

    def read(self, index: int) -> np.ndarray:
        return self._truth.volume_of(int(self._queries[index]))


class Truth(Control):
    """Control: the true volumes themselves; the ceiling of every metric."""

    name = "truth"

    def _answer(self, particles, truth, queries, seed, device, progress) -> Reconstruction:
        volumes: VolumeSource = TrueVolumes(truth, queries)
        return Reconstruction(
            queries, volumes, latents=truth.embedding, posteriors=_one_hot(truth.states, len(truth.volumes))
        )


class TruthBackprojection(Control):
    """Control: back-projection of each state's images by the true labels; what a perfect classifier would get."""

    name = "truth-backprojection"

    def _answer(self, particles, truth, queries, seed, device, progress) -> Reconstruction:
        return _backproject_states(particles, truth.states, len(truth.volumes), queries, device, progress)


class Consensus(Control):
    """Control: one volume from all images, for every particle; the floor of heterogeneity."""

    name = "consensus"

    def _answer(self, particles, truth, queries, seed, device, progress) -> Reconstruction:
        return _backproject_states(particles, np.zeros(len(particles), int), 1, queries, device, progress)


class ShuffledTruth(Control):
    """Control: back-projection by labels permuted over the particles; right populations, no knowledge."""

    name = "shuffled-truth"

    def _answer(self, particles, truth, queries, seed, device, progress) -> Reconstruction:
        order = stream(seed, "shuffled-truth").permutation(len(particles))
        answer = _backproject_states(particles, truth.states[order], len(truth.volumes), queries, device, progress)
        latents = None if truth.embedding is None else truth.embedding[order]
        return Reconstruction(queries, answer.volumes, latents=latents, posteriors=answer.posteriors)


class RandomLatent(Control):
    """Control: random latents and the consensus volume; the floor of every latent metric."""

    name = "random-latent"

    def _answer(self, particles, truth, queries, seed, device, progress) -> Reconstruction:
        volume = backproject(particles, np.zeros(len(particles), int), 1, device=device, progress=progress)
        latents = stream(seed, "random-latent").standard_normal((len(particles), RANDOM_DIMENSIONS))
        return Reconstruction(queries, IndexedVolumes(volume, np.zeros(len(queries), int)), latents=latents)


def _backproject_states(
    particles: Particles,
    states: np.ndarray,
    n_states: int,
    queries: np.ndarray,
    device: str,
    progress: Progress | None,
) -> Reconstruction:
    volumes = backproject(particles, states, n_states, device=device, progress=progress)
    if (states[queries] < 0).any():
        unknown = queries[states[queries] < 0][0]
        raise ValueError(f"query particle {unknown} has no known state: this control has no volume for it.")
    return Reconstruction(queries, IndexedVolumes(volumes, states[queries]), posteriors=_one_hot(states, n_states))


def _one_hot(states: np.ndarray, n_states: int) -> np.ndarray | None:
    """Posteriors (n, k) of known labels; None if some are unknown."""
    return None if (states < 0).any() else np.eye(n_states, dtype=np.float32)[states]
