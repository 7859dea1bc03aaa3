"""An ensemble from one structure: slow modes of its elastic network, and domains that open on hinges.

Frame i is drawn from its own streams: the amplitude of each mode from a normal distribution with the variance of
thermal motion (kT / stiffness), all scaled to a stated RMSF; each domain, independently, closed or open, with an
angle from a normal distribution about 0 or about the opening angle. Modes move residues along screws
(`atoms.motion.residues`), the hinges follow, and each domain then turns about its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from cryobench.atoms.model import AtomicModel
from cryobench.atoms.motion.elastic_network import Modes, find_slow_modes
from cryobench.atoms.motion.hinged_domain import HingedDomain
from cryobench.atoms.motion.residues import Carriers, fit_rotations, move_residues, rotation_matrix, turn_atoms
from cryobench.data import CollectiveVariable
from cryobench.recipes.recipe import FrameEnsemble
from cryobench.recipes.rounding import round_coordinates
from cryobench.rng import IndexedStream


@dataclass(frozen=True)
class OpeningLaw:
    """Mixture of two normal distributions for the angle of a domain, in radian."""

    open_fraction: float
    """Probability of the open component."""
    open_angle: float
    open_deviation: float
    closed_deviation: float
    """Its mean is 0."""

    def draw(self, generator: np.random.Generator, domains: int) -> Float[np.ndarray, "h"]:
        """An angle for each domain."""
        is_open = generator.random(domains) < self.open_fraction
        normal = generator.standard_normal(domains)
        return np.where(is_open, self.open_angle + self.open_deviation * normal, self.closed_deviation * normal)


@dataclass(frozen=True, eq=False, kw_only=True)
class NetworkFrames(FrameEnsemble):
    """Frames of one structure, the topology, positioned as imaged."""

    carriers: Carriers
    modes: Modes
    deviations: np.ndarray
    """(modes,) standard deviation of each mode's amplitude, Å."""
    turns: np.ndarray
    """(modes, r, 3) rotation of each residue for a unit amplitude."""
    domains: tuple[HingedDomain, ...]
    law: OpeningLaw
    seed: int

    def positions(self, start: int, stop: int) -> Float[np.ndarray, "m a 3"]:
        frames = np.empty((stop - start, len(self.topology), 3))
        reference, anchors, carrier = self.topology.positions, self.carriers.anchors, self.carriers.carrier
        amplitudes, angles = self.draw(range(start, stop))
        for moved, amplitude, opening in zip(frames, amplitudes, angles, strict=True):
            shifts = np.tensordot(amplitude, self.modes.vectors, axes=1)
            turns = np.tensordot(amplitude, self.turns, axes=1)
            move_residues(reference, anchors, carrier, shifts, turns, moved)
            for domain, angle in zip(self.domains, opening, strict=True):
                # The hinge follows its residues.
                point = moved[anchors[domain.bend]].mean(axis=0)
                rotation = np.empty((3, 3))
                rotation_matrix(turns[domain.bend].mean(axis=0), rotation)
                turn_atoms(moved, domain.fraction, point, angle * (rotation @ domain.axis))
        return frames

    def draw(self, frames: Sequence[int]) -> tuple[Float[np.ndarray, "m k"], Float[np.ndarray, "m h"]]:
        """Amplitudes of the modes in Å and opening angles of the domains in radian of these frames."""
        amplitudes = np.empty((len(frames), len(self.modes)))
        angles = np.empty((len(frames), len(self.domains)))
        mode_stream, opening_stream = IndexedStream(self.seed, "modes"), IndexedStream(self.seed, "openings")
        for row, frame in enumerate(frames):
            amplitudes[row] = self.deviations * mode_stream.at(frame).standard_normal(len(self.modes))
            angles[row] = self.law.draw(opening_stream.at(frame), len(self.domains))
        return amplitudes, angles


def make_frames(
    base: AtomicModel,
    carriers: Carriers,
    domains: Sequence[HingedDomain],
    law: OpeningLaw,
    *,
    n_modes: int,
    rmsf: float,
    cutoff: float,
    seed: int,
    n_frames: int,
    notes: Sequence[str] = (),
) -> NetworkFrames:
    """Find the modes of a structure's CA atoms, scale them to ``rmsf`` (Å), and draw ``n_frames`` frames.

    The embedding is the opening of each domain and the amplitude of each mode in Å of RMSD over CA atoms, so that
    distance is about RMSD.
    """
    points = base.positions[carriers.anchors]
    modes = find_slow_modes(points, n_modes, cutoff=cutoff)
    frames = NetworkFrames(
        topology=base,
        carriers=carriers,
        modes=modes,
        deviations=modes.scale_to(rmsf),
        turns=fit_rotations(points, modes.vectors),
        domains=tuple(domains),
        law=law,
        seed=seed,
        counts=np.ones(n_frames, dtype=np.int64),
        notes=notes,
    )
    amplitudes, angles = frames.draw(range(n_frames))
    amplitudes *= 1 / np.sqrt(len(points))
    variables = {
        f"opening {domain.chain}": CollectiveVariable(round_coordinates(angles[:, column]), "rad")
        for column, domain in enumerate(domains)
    }
    for mode, amplitude in enumerate(amplitudes.T, start=1):
        variables[f"mode {mode}"] = CollectiveVariable(round_coordinates(amplitude), "Å")
    levers = np.array([domain.lever * np.sqrt(domain.turning / len(points)) for domain in domains])
    embedding = round_coordinates(np.concatenate([angles * levers, amplitudes], axis=1))
    return replace(frames, variables=variables, embedding=embedding)
