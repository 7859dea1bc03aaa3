"""An ensemble from a trajectory: frames in random order, superposed, with their collective variables.

Frames are drawn without replacement and shuffled, so their order does not reveal time. Measured are the opening of
each hinged domain, and the principal components of the CA atoms (found on up to 1,000 of the frames).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from cryobench.atoms.files.frames import is_structure, is_trajectory
from cryobench.atoms.files.structures import holds_several_models
from cryobench.atoms.files.trajectories import Trajectory
from cryobench.atoms.model import AtomicModel, is_alpha_carbon
from cryobench.atoms.motion.hinged_domain import HingedDomain, measure_openings
from cryobench.atoms.motion.superposition import fit_rigid_motions, move_rigidly
from cryobench.atoms.settled import settle_signs
from cryobench.data import CollectiveVariable
from cryobench.recipes.recipe import FrameEnsemble
from cryobench.recipes.rounding import round_coordinates
from cryobench.rng import stream

_FOR_COMPONENTS = 1000
_AT_A_TIME = 64

SeveralModels = Literal["auto", "frames", "one"]
"""Several models in one file: its conformations, or one structure; "auto": one if they are copies in an assembly."""


@dataclass(frozen=True, eq=False)
class TrajectoryFrames(FrameEnsemble):
    """Some frames of a trajectory."""

    trajectory: Trajectory
    reference: AtomicModel
    """Positioned as imaged; frames may be superposed on it."""
    translation: np.ndarray
    """(3,) Å by which frames are translated if not superposed: the topology may be elsewhere."""
    order: np.ndarray
    """(n,) trajectory frame of each state."""
    points: np.ndarray
    """Indices of atoms for superposition and principal components."""
    domains: tuple[HingedDomain, ...] = ()
    superpose: bool = True
    n_components: int = 5
    centre_each: bool = False
    """Move the centre of mass of each frame to the origin."""
    named: Mapping[str, CollectiveVariable] = field(default_factory=dict)
    """Variables given by the user, for the frames in this order."""
    said: Sequence[str] = ()
    """Notes on how the trajectory was selected."""

    @property
    def counts(self) -> np.ndarray:
        return np.ones(len(self.order), dtype=np.int64)

    @property
    def topology(self) -> AtomicModel:
        return self.reference

    def positions(self, start: int, stop: int) -> np.ndarray:
        return self._read(self.order[start:stop])

    def _read(self, frames: np.ndarray) -> np.ndarray:
        positions = self.trajectory.read(frames)
        if self.superpose:
            motion = fit_rigid_motions(positions[:, self.points], self.reference.positions[self.points])
            positions = move_rigidly(positions, *motion)
        else:
            positions += self.translation
        if self.centre_each:
            weights = self.reference.weights / self.reference.mass
            positions -= np.einsum("a,max->mx", weights, positions)[:, None]
        return positions

    @property
    def variables(self) -> Mapping[str, CollectiveVariable]:
        openings, components = self._measured
        found = {"frame": CollectiveVariable(self.order.astype(np.float64), "")}
        for column, domain in enumerate(self.domains):
            found[f"opening {domain.chain}"] = CollectiveVariable(openings[:, column], "rad")
        for column in range(components.shape[1]):
            found[f"pc {column + 1}"] = CollectiveVariable(components[:, column], "Å")
        twice = sorted(set(found) & set(self.named))
        if twice:
            raise ValueError(f"variables {', '.join(twice)} are measured on every trajectory: rename yours.")
        return {**found, **self.named}

    @property
    def notes(self) -> Sequence[str]:
        return (*self.said, *self.trajectory.notes)

    @property
    def embedding(self) -> np.ndarray:
        """Principal components in Å of RMSD over the CA atoms."""
        return self._measured[1]

    @cached_property
    def _measured(self) -> tuple[np.ndarray, np.ndarray]:
        """Openings (n, domains) in radian and principal components (n, k) in Å of all frames."""
        some = np.sort(self.order[:_FOR_COMPONENTS])
        sample = np.concatenate([self._read(part)[:, self.points] for part in _parts(some)]).reshape(len(some), -1)
        mean = sample.mean(axis=0)
        _, _, axes = np.linalg.svd(sample - mean, full_matrices=False)
        axes = axes[: min(self.n_components, len(some) - 1)]
        axes = settle_signs(axes)
        openings = np.empty((len(self.order), len(self.domains)))
        components = np.empty((len(self.order), len(axes)))
        # In file order, which is far faster to read.
        for rows in _parts(np.argsort(self.order, kind="stable")):
            positions = self._read(self.order[rows])
            openings[rows] = measure_openings(positions, self.reference, self.domains)
            flat = positions[:, self.points].reshape(len(rows), -1) - mean
            components[rows] = flat @ axes.T / np.sqrt(len(self.points))
        return round_coordinates(openings), round_coordinates(components)


def centre_first_frame(trajectory: Trajectory) -> np.ndarray:
    """(3,) Å translation that brings the first frame's centre of mass to the origin."""
    return -trajectory.topology.with_positions(trajectory.read([0])[0]).centre_of_mass


def are_frames(structures: Sequence[Path], models: SeveralModels) -> bool:
    """Whether the files are a topology and its trajectories, or one file whose models are conformations.

    ValueError for a trajectory without a topology before it.
    """
    if is_trajectory(structures[0]):
        raise ValueError(f"{structures[0]} has positions only: give the topology first, then the trajectory.")
    if len(structures) > 1:
        return is_trajectory(structures[1])
    if models == "one" or not is_structure(structures[0]):
        return False
    return holds_several_models(structures[0], unless_assembly=models == "auto")


def note_models(topology: Path, trajectories: Sequence[Path], n_frames: int) -> tuple[str, ...]:
    """Note that the models of a single file were used as frames, with the alternative."""
    if trajectories:
        return ()
    return (
        f"{topology.name}: its {n_frames:,} models are used as frames, one state each (n_images does not apply); "
        "--set models=one reads them as one structure.",
    )


def draw_frames(available: int, wanted: int, seed: int) -> np.ndarray:
    """(n,) distinct frames in random order: ``wanted`` of them, or all available."""
    return stream(seed, "frames").permutation(available)[:wanted]


def find_points(model: AtomicModel) -> np.ndarray:
    """Indices of the CA and (of nucleic acids) P atoms, or of all atoms except hydrogens if fewer than three."""
    backbone = is_alpha_carbon(model)
    backbone |= (model.atom_names == "P") & (model.atomic_numbers == 15)
    chosen = backbone if backbone.sum() >= 3 else model.atomic_numbers > 1
    return np.flatnonzero(chosen) if chosen.sum() >= 3 else np.arange(len(model))


def _parts(indices: np.ndarray) -> Sequence[np.ndarray]:
    return [indices[start : start + _AT_A_TIME] for start in range(0, len(indices), _AT_A_TIME)]
