"""The five controls: what any score is read against. They alone are given the truth, as much of it as there is.

| control | volume of a query particle | labels (posteriors) | latent |
|---|---|---|---|
| truth | its true volume | its true state | the true embedding |
| truth-backprojection | back-projection of its state's images by the true labels | its true state | - |
| consensus | back-projection of all images | one class for all | - |
| shuffled-truth | as truth-backprojection, with labels permuted | the permuted state | permuted embedding |
| random-latent | back-projection of all images | - | 8 independent normal numbers |

The truth is the ceiling of every metric. Back-projection by the true labels is what a perfect classifier would get
out of these images. Consensus knows nothing of the heterogeneity; a shuffled or random latent knows nothing at all.
Those two back-project every image and run without any truth; the others need the labels of the query particles, and
the first the volumes too. Particles without a label are left out of the back-projections by label.
"""

from abc import abstractmethod
from pathlib import Path
from typing import ClassVar, Literal, Self

import numpy as np

from cryobench._progress import Progress
from cryobench.data import GroundTruth, IndexedVolumes, Particles, Reconstruction, VolumeSource
from cryobench.methods._shared.backprojection import backproject
from cryobench.methods.method import Method, Workers
from cryobench.rng import stream

RANDOM_DIMENSIONS = 8


class Control(Method):
    """A method that is given the truth, to calibrate metrics by."""

    poses = "given"
    needs: ClassVar[tuple[Literal["labels", "volumes"], ...]] = ("labels",)
    """What it must know of the truth."""
    truth: GroundTruth | None = None

    def with_truth(self, truth: GroundTruth) -> Self:
        """This control, knowing the truth."""
        control = type(self)(self.settings)
        control.truth = truth
        return control

    def explain_missing(self, truth: GroundTruth | None) -> str | None:
        """What this control needs that a truth does not hold, in words, or None if it can run."""
        if truth is None:
            return "needs the truth, which the data set does not have" if self.needs else None
        if "labels" in self.needs and (truth.states < 0).all():
            return "needs the state of particles, and every one of them is unlabelled (state -1)"
        if "volumes" in self.needs and truth.volumes is None:
            return "needs the true volumes, and only labels are known of this data set"
        return None

    def reconstruct(
        self,
        particles: Particles,
        *,
        queries: np.ndarray,
        seed: int = 0,
        device: str = "cpu",
        progress: Progress | None = None,
        checkpoint: Path | None = None,
        workers: Workers | None = None,
    ) -> Reconstruction:
        """As ``Method.reconstruct``.

        Raises
        ------
        ValueError
            If the truth lacks what this control needs, does not describe these particles, or leaves the state of
            a query particle open.
        """
        missing = self.explain_missing(self.truth)
        if missing is not None:
            raise ValueError(f"{self.name} is a control: it {missing}.")
        truth = GroundTruth(np.full(len(particles), -1)) if self.truth is None else self.truth
        if len(truth) != len(particles):
            raise ValueError(f"the truth describes {len(truth)} particles, but there are {len(particles)}.")
        unknown = queries[truth.states[queries] < 0]
        if "labels" in self.needs and len(unknown):
            raise ValueError(
                f"query particle {unknown[0]} has no known state ({len(unknown)} of {len(queries)} have none):"
                f" {self.name} has no volume for it. Choose query particles with labels."
            )
        return self._answer(particles, truth, queries, seed, device, progress)

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

    def __init__(self, volumes: VolumeSource, states: np.ndarray) -> None:
        self._volumes, self._states = volumes, states

    @property
    def box_size(self) -> int:
        return self._volumes.box_size

    def __len__(self) -> int:
        return len(self._states)

    def read(self, index: int) -> np.ndarray:
        return self._volumes.read(int(self._states[index]))


class Truth(Control):
    """Control: the true volumes themselves; the ceiling of every metric."""

    name = "truth"
    needs = ("labels", "volumes")

    def _answer(self, particles, truth, queries, seed, device, progress) -> Reconstruction:
        assert truth.volumes is not None  # it is among the needs
        volumes: VolumeSource = TrueVolumes(truth.volumes, truth.states[queries])
        return Reconstruction(
            queries, volumes, latents=truth.embedding, posteriors=_one_hot(truth.states, truth.n_states)
        )


class TruthBackprojection(Control):
    """Control: back-projection of each state's images by the true labels; what a perfect classifier would get."""

    name = "truth-backprojection"

    def _answer(self, particles, truth, queries, seed, device, progress) -> Reconstruction:
        return _backproject_states(particles, truth.states, truth.n_states, queries, device, progress)


class Consensus(Control):
    """Control: one volume from all images, for every particle; the floor of heterogeneity."""

    name = "consensus"
    needs = ()

    def _answer(self, particles, truth, queries, seed, device, progress) -> Reconstruction:
        return _backproject_states(particles, np.zeros(len(particles), int), 1, queries, device, progress)


class ShuffledTruth(Control):
    """Control: back-projection by labels permuted over the particles; right populations, no knowledge."""

    name = "shuffled-truth"

    def _answer(self, particles, truth, queries, seed, device, progress) -> Reconstruction:
        # Labels change places among the particles that have one: populations, and who is known, stay as they are.
        order, known = np.arange(len(particles)), np.flatnonzero(truth.states >= 0)
        order[known] = known[stream(seed, "shuffled-truth").permutation(len(known))]
        answer = _backproject_states(particles, truth.states[order], truth.n_states, queries, device, progress)
        latents = None if truth.embedding is None else truth.embedding[order]
        return Reconstruction(queries, answer.volumes, latents=latents, posteriors=answer.posteriors)


class RandomLatent(Control):
    """Control: random latents and the consensus volume; the floor of every latent metric."""

    name = "random-latent"
    needs = ()

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
    return Reconstruction(queries, IndexedVolumes(volumes, states[queries]), posteriors=_one_hot(states, n_states))


def _one_hot(states: np.ndarray, n_states: int) -> np.ndarray | None:
    """Posteriors (n, k) of known labels; None if some are unknown."""
    return None if (states < 0).any() else np.eye(n_states, dtype=np.float32)[states]
