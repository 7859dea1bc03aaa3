"""The five controls, references for the scores. Only they are given the truth, as much of it as exists.

| control | volume of a query particle | labels (posteriors) | latent |
|---|---|---|---|
| truth | its true volume | its true state | the true embedding |
| truth-backprojection | back-projection of its state's images by the true labels | its true state | - |
| consensus | back-projection of all images | one class for all | - |
| shuffled-truth | as truth-backprojection, with labels permuted | the permuted state | permuted embedding |
| random-latent | back-projection of all images | - | 8 independent normal numbers |

The truth is the ceiling of every metric. Back-projection by the true labels is the result of a perfect classifier
on these images. Consensus contains no heterogeneity; a shuffled or random latent contains no information.
Consensus and random-latent back-project every image and run without any truth; the others need the labels of the
query particles, and truth also the true volumes. Particles without a label are left out of the back-projections by
label.
"""

from abc import abstractmethod
from typing import ClassVar, Literal, Self

import numpy as np
from jaxtyping import Float, Int

from cryobench.compute.memory import reserve
from cryobench.data import (
    GroundTruth,
    IndexedVolumes,
    Particles,
    Reconstruction,
    SelectedVolumes,
    VolumeSource,
)
from cryobench.methods.method import Method, MethodSettings
from cryobench.reconstruction.engine import CheckpointVolumes, Passes, RunContext
from cryobench.reconstruction.images import require_poses
from cryobench.reconstruction.statistics import backproject, volume_bytes
from cryobench.rng import stream

RANDOM_DIMENSIONS = 8
_PASS_BYTES = 3e8
"""Memory for the batches of a pass."""


class Control(Method[MethodSettings]):
    """Method that is given the truth, to calibrate metrics."""

    poses = "given"
    needs: ClassVar[tuple[Literal["labels", "volumes"], ...]] = ("labels",)
    """Parts of the truth that it needs."""
    role: ClassVar[Literal["ceiling", "reference", "floor"]]
    """Reading of its scores: upper bound of all runs, reference for runs, or uninformative floor."""
    meaning: ClassVar[str]
    """Meaning of its scores, in sentences."""
    colour: ClassVar[str] = "#808080"
    """Colour in every figure."""
    dash: ClassVar[Literal["dot", "dash", "dashdot"]] = "dash"
    """Dash of its lines."""
    truth: GroundTruth | None = None

    def with_truth(self, truth: GroundTruth) -> Self:
        """This control, given the truth."""
        control = type(self)(self.settings)
        control.truth = truth
        return control

    def explain_missing(self, truth: GroundTruth | None) -> str | None:
        """Parts of the truth, in words, that this control lacks; None if it can run."""
        if truth is None:
            return "needs the truth, which the data set does not have" if self.needs else None
        if "labels" in self.needs and (truth.states < 0).all():
            return "needs the state of particles, and every one of them is unlabelled (state -1)"
        if "volumes" in self.needs and truth.volumes is None:
            return "needs the true volumes, and this data set has only labels"
        return None

    def estimate(self, particles: Particles, queries: Int[np.ndarray, "q"], context: RunContext) -> Reconstruction:
        """As ``Method.estimate``.

        Raises
        ------
        ValueError
            If the truth lacks a part that this control needs, does not describe these particles, or the state of a
            query particle is unknown.
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
        return self._answer(particles, truth, queries, context)

    @abstractmethod
    def _answer(
        self, particles: Particles, truth: GroundTruth, queries: Int[np.ndarray, "q"], context: RunContext
    ) -> Reconstruction: ...


class BackprojectingControl(Control):
    """Control whose volumes are back-projections by labels."""

    def explain_missing(self, truth: GroundTruth | None) -> str | None:
        """As ``Control.explain_missing``; also if all labels differ, since no state then has several particles."""
        missing = super().explain_missing(truth)
        if missing is None and self.needs and truth is not None:
            states = truth.states[truth.states >= 0]
            if len(states) > 1 and len(np.unique(states)) == len(states):
                return (
                    "back-projects the particles of each state, and here every particle is its own state: a "
                    "volume of one image is meaningless"
                )
        return missing

    def _backproject(
        self, particles: Particles, states: Int[np.ndarray, "n"], queries: Int[np.ndarray, "q"], context: RunContext
    ) -> VolumeSource:
        """Volumes of the query particles by their states: only those states, as many at a time as fit.

        Finished volumes are kept in the checkpoint and read from there; without one they are held in memory.
        """
        require_poses(particles)
        wanted, index = np.unique(states[queries], return_inverse=True)
        names = [f"state-{state}" for state in wanted]
        kept = context.open_checkpoint(particles, {"control": self.name})
        each = volume_bytes(particles.box_size)
        left = reserve(
            context.compute.memory_per_worker,
            lambda count: _PASS_BYTES + count * each,
            1,
            items=f"volume of {particles.box_size} px",
            setting="box",
            n_workers=context.compute.n_workers,
        )
        at_once = int(left / 2 // each) + 1
        missing = [number for number, name in enumerate(names) if not kept.has(name)]
        passes: Passes | None = None
        held: list[Float[np.ndarray, "z y x"]] = []
        with context.progress.task("back-projection", total=len(wanted)) as task:
            task.advance(len(wanted) - len(missing))
            for first in range(0, len(missing), at_once):
                group = missing[first : first + at_once]
                if passes is None:
                    # Kept spectra save transforms only if further passes follow.
                    keep = left / 2 if len(group) < len(missing) else 0.0
                    passes = Passes(particles, context.compute, keep_bytes=keep, progress=context.progress)
                weights = (states[:, None] == wanted[group]).astype(np.float32)
                for number, volume in zip(group, backproject(passes, weights), strict=True):
                    kept.keep(names[number], {"volume": volume})
                    if not kept.is_kept:
                        held.append(volume)
                task.advance(len(group))
        if kept.is_kept:
            return SelectedVolumes(CheckpointVolumes(kept, names, particles.box_size), index)
        return IndexedVolumes(np.stack(held), index)


class Truth(Control):
    """Control: the true volumes themselves; the ceiling of every metric."""

    name = "truth"
    needs = ("labels", "volumes")
    role = "ceiling"
    meaning = (
        "The true volumes themselves. No run can score higher; if this is not perfect, the files or the metric are "
        "wrong."
    )
    dash = "dot"

    def _answer(
        self, particles: Particles, truth: GroundTruth, queries: Int[np.ndarray, "q"], context: RunContext
    ) -> Reconstruction:
        assert truth.volumes is not None  # one of the needs
        volumes = SelectedVolumes(truth.volumes, truth.states[queries])
        return Reconstruction(
            queries, volumes, latents=truth.embedding, posteriors=_one_hot(truth.states, truth.n_states, context)
        )


class TruthBackprojection(BackprojectingControl):
    """Control: back-projection of each state's images by the true labels; what a perfect classifier would get."""

    name = "truth-backprojection"
    role = "reference"
    meaning = (
        "Images back-projected state by state with the true labels and poses: what a perfect classifier gets from "
        "these images. A state with few images is noisy, so this is not a ceiling."
    )
    colour, dash = "#56B4E9", "dashdot"

    def _answer(
        self, particles: Particles, truth: GroundTruth, queries: Int[np.ndarray, "q"], context: RunContext
    ) -> Reconstruction:
        volumes = self._backproject(particles, truth.states, queries, context)
        return Reconstruction(queries, volumes, posteriors=_one_hot(truth.states, truth.n_states, context))


class Consensus(BackprojectingControl):
    """Control: one volume from all images, for every particle; the floor of heterogeneity."""

    name = "consensus"
    needs = ()
    role = "reference"
    meaning = (
        "One map from all images, the same for every particle, without any heterogeneity. A run that "
        "does not beat it has not shown that it resolves motion."
    )
    colour = "#E69F00"

    def _answer(
        self, particles: Particles, truth: GroundTruth, queries: Int[np.ndarray, "q"], context: RunContext
    ) -> Reconstruction:
        together = np.zeros(len(particles), dtype=np.int64)
        volumes = self._backproject(particles, together, queries, context)
        return Reconstruction(queries, volumes, posteriors=_one_hot(together, 1, context))


class ShuffledTruth(BackprojectingControl):
    """Control: back-projection by labels permuted over the particles; right populations, wrong particles."""

    name = "shuffled-truth"
    role = "floor"
    meaning = "Back-projection with the labels shuffled: right shape on average, wrong particles in every class."
    colour = "#CC79A7"
    permutes = False

    def _answer(
        self, particles: Particles, truth: GroundTruth, queries: Int[np.ndarray, "q"], context: RunContext
    ) -> Reconstruction:
        # Labels are exchanged among the particles that have one: populations, and the set of known ones, stay the
        # same.
        order, known = np.arange(len(particles)), np.flatnonzero(truth.states >= 0)
        order[known] = known[stream(context.seed, "shuffled-truth").permutation(len(known))]
        states = truth.states[order]
        volumes = self._backproject(particles, states, queries, context)
        latents = None if truth.embedding is None else truth.embedding[order]
        return Reconstruction(queries, volumes, latents=latents, posteriors=_one_hot(states, truth.n_states, context))


class RandomLatent(BackprojectingControl):
    """Control: random latents and the consensus volume; the floor of every latent metric."""

    name = "random-latent"
    role = "floor"
    meaning = (
        "Latents drawn at random: conformation and particle are unrelated. A floor for latents only: its volumes are "
        "those of consensus."
    )
    colour = "#999933"
    permutes = False
    needs = ()

    def _answer(
        self, particles: Particles, truth: GroundTruth, queries: Int[np.ndarray, "q"], context: RunContext
    ) -> Reconstruction:
        volumes = self._backproject(particles, np.zeros(len(particles), dtype=np.int64), queries, context)
        latents = stream(context.seed, "random-latent").standard_normal((len(particles), RANDOM_DIMENSIONS))
        return Reconstruction(queries, volumes, latents=latents)


def _one_hot(states: Int[np.ndarray, "n"], n_states: int, context: RunContext) -> Float[np.ndarray, "n k"] | None:
    """Posteriors of known labels; None if some are unknown, or every particle is its own state."""
    if (states < 0).any() or len(np.unique(states)) == len(states) > 1:
        return None
    reserve(
        context.compute.memory,
        lambda count: 8.0 * len(states) * count,
        n_states,
        items=f"class probabilities of {len(states)} particles",
        setting=None,
    )
    posteriors = np.zeros((len(states), n_states), dtype=np.float32)
    posteriors[np.arange(len(states)), states] = 1
    return posteriors
