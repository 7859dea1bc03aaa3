"""An ensemble from a trajectory: frames in random order, superposed, with their collective variables.

Frames are drawn without replacement and shuffled, so their order does not reveal time. Measured are the opening of
each hinged domain, and the principal components of the CA atoms (found on up to 1,000 of the frames).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from cryobench.atoms.files.frames import is_structure, is_trajectory
from cryobench.atoms.files.structures import holds_several_models
from cryobench.atoms.files.trajectories import Trajectory
from cryobench.atoms.model import AtomicModel, is_alpha_carbon
from cryobench.atoms.motion.hinged_domain import HingedDomain, measure_openings
from cryobench.atoms.motion.superposition import fit_rigid_motions, move_rigidly
from cryobench.atoms.tie_breaking import settle_signs
from cryobench.data import CollectiveVariable
from cryobench.recipes.recipe import FrameEnsemble
from cryobench.recipes.rounding import round_coordinates
from cryobench.recipes.states.variables_file import read_variables
from cryobench.rng import stream

_FOR_COMPONENTS = 1000
_AT_A_TIME = 64

SeveralModels = Literal["auto", "frames", "one"]
"""Several models in one file: its conformations, or one structure; "auto": one if they are copies in an assembly."""


@dataclass(frozen=True, eq=False, kw_only=True)
class TrajectoryFrames(FrameEnsemble):
    """Some frames of a trajectory. The topology is positioned as imaged; frames may be superposed on it."""

    trajectory: Trajectory
    translation: np.ndarray
    """(3,) Å by which frames are translated if not superposed: the topology may be elsewhere."""
    order: np.ndarray
    """(n,) trajectory frame of each state."""
    points: np.ndarray
    """Indices of atoms for superposition and principal components."""
    superpose: bool
    centre_each: bool
    """Move the centre of mass of each frame to the origin."""

    def positions(self, start: int, stop: int) -> Float[np.ndarray, "m a 3"]:
        return self.read(self.order[start:stop])

    def read(self, frames: Int[np.ndarray, "m"]) -> Float[np.ndarray, "m a 3"]:
        """Positions in Å, as imaged, of frames by their number in the trajectory."""
        positions = self.trajectory.read(frames)
        if self.superpose:
            motion = fit_rigid_motions(positions[:, self.points], self.topology.positions[self.points])
            positions = move_rigidly(positions, *motion)
        else:
            positions += self.translation
        if self.centre_each:
            weights = self.topology.weights / self.topology.mass
            positions -= np.einsum("a,max->mx", weights, positions)[:, None]
        return positions


def read_trajectory(
    topology: Path,
    trajectories: Sequence[Path],
    *,
    selection: str,
    n_frames: int | None,
    seed: int,
    superpose: bool,
    centre_each: bool = False,
    find_domains: Callable[[AtomicModel], Sequence[HingedDomain]] = lambda _: (),
    n_components: int = 5,
    variables_file: Path | None = None,
) -> TrajectoryFrames:
    """Ensemble of frames drawn at random: at most ``n_frames`` of them.

    ValueError if the user's variables have names of those that are measured; and the errors of `Trajectory` and
    `read_variables`.
    """
    trajectory = Trajectory(topology, trajectories, selection=selection)
    reference = trajectory.topology.centred()
    order = stream(seed, "frames").permutation(len(trajectory))[:n_frames]
    frames = TrajectoryFrames(
        topology=reference,
        trajectory=trajectory,
        translation=-reference.with_positions(trajectory.read([0])[0]).centre_of_mass,
        order=order,
        points=_find_points(reference),
        superpose=superpose,
        centre_each=centre_each,
        counts=np.ones(len(order), dtype=np.int64),
    )
    domains = find_domains(reference)
    openings, components = _measure(frames, domains, n_components)
    variables = {"frame": CollectiveVariable(order.astype(np.float64), "")}
    for column, domain in enumerate(domains):
        variables[f"opening {domain.chain}"] = CollectiveVariable(openings[:, column], "rad")
    for column in range(components.shape[1]):
        variables[f"pc {column + 1}"] = CollectiveVariable(components[:, column], "Å")
    named = {} if variables_file is None else read_variables(variables_file, len(trajectory))
    twice = sorted(set(variables) & set(named))
    if twice:
        raise ValueError(f"variables {', '.join(twice)} are measured on every trajectory: rename yours.")
    for name, variable in named.items():
        variables[name] = CollectiveVariable(variable.values[order], variable.unit, variable.period)
    notes = (
        []
        if trajectories
        else [
            f"{topology.name}: its {len(trajectory):,} models are used as frames, one state each (n_images does not "
            "apply); --set models=one reads them as one structure."
        ]
    )
    return replace(frames, variables=variables, embedding=components, notes=(*notes, *trajectory.notes))


def _measure(
    frames: TrajectoryFrames, domains: Sequence[HingedDomain], n_components: int
) -> tuple[Float[np.ndarray, "n h"], Float[np.ndarray, "n k"]]:
    """Openings of the domains in radian and principal components in Å of RMSD over the points of all frames."""
    order, points = frames.order, frames.points
    some = np.sort(order[:_FOR_COMPONENTS])
    sample = np.concatenate([frames.read(part)[:, points] for part in _parts(some)]).reshape(len(some), -1)
    mean = sample.mean(axis=0)
    _, _, axes = np.linalg.svd(sample - mean, full_matrices=False)
    axes = settle_signs(axes[: min(n_components, len(some) - 1)])
    openings = np.empty((len(order), len(domains)))
    components = np.empty((len(order), len(axes)))
    # In file order, which is far faster to read.
    for rows in _parts(np.argsort(order, kind="stable")):
        positions = frames.read(order[rows])
        openings[rows] = measure_openings(positions, frames.topology, domains)
        flat = positions[:, points].reshape(len(rows), -1) - mean
        components[rows] = flat @ axes.T / np.sqrt(len(points))
    return round_coordinates(openings), round_coordinates(components)


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


def _find_points(model: AtomicModel) -> Int[np.ndarray, "p"]:
    """Indices of the CA and (of nucleic acids) P atoms, or of all atoms except hydrogens if fewer than three."""
    backbone = is_alpha_carbon(model)
    backbone |= (model.atom_names == "P") & (model.atomic_numbers == 15)
    chosen = backbone if backbone.sum() >= 3 else model.atomic_numbers > 1
    return np.flatnonzero(chosen) if chosen.sum() >= 3 else np.arange(len(model))


def _parts(indices: Int[np.ndarray, "n"]) -> Sequence[Int[np.ndarray, "_"]]:
    return [indices[start : start + _AT_A_TIME] for start in range(0, len(indices), _AT_A_TIME)]
