"""An ensemble from one structure: slow modes of its elastic network, and domains that open on hinges.

Frame i is drawn from its own streams: the amplitude of each mode from a normal distribution with the variance of
thermal motion (kT / stiffness), all scaled to a stated RMSF; each domain, independently, closed or open, with an
angle from a normal distribution about 0 or about the opening angle. Modes move residues along screws
(`atoms.motion.residues`), the hinges follow, and each domain then turns about its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

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

    def draw(self, generator: np.random.Generator, domains: int) -> np.ndarray:
        """(domains,) angles."""
        is_open = generator.random(domains) < self.open_fraction
        normal = generator.standard_normal(domains)
        return np.where(is_open, self.open_angle + self.open_deviation * normal, self.closed_deviation * normal)


@dataclass(frozen=True, eq=False)
class NetworkFrames(FrameEnsemble):
    """Frames of one structure, positioned as imaged."""

    base: AtomicModel
    carriers: Carriers
    modes: Modes
    deviations: np.ndarray
    """(modes,) standard deviation of each mode's amplitude, Å."""
    turns: np.ndarray
    """(modes, r, 3) rotation of each residue for a unit amplitude."""
    domains: tuple[HingedDomain, ...]
    law: OpeningLaw
    seed: int
    n_frames: int
    said: Sequence[str] = ()
    """Notes on how the structure was read."""

    @classmethod
    def from_structure(
        cls,
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
        said: Sequence[str] = (),
    ) -> "NetworkFrames":
        """Find the modes of a structure's CA atoms and scale them to ``rmsf`` (Å)."""
        points = base.positions[carriers.anchors]
        modes = find_slow_modes(points, n_modes, cutoff=cutoff)
        turns = fit_rotations(points, modes.vectors)
        return cls(base, carriers, modes, modes.scale_to(rmsf), turns, tuple(domains), law, seed, n_frames, said)

    @property
    def counts(self) -> np.ndarray:
        return np.ones(self.n_frames, dtype=np.int64)

    @property
    def topology(self) -> AtomicModel:
        return self.base

    def positions(self, start: int, stop: int) -> np.ndarray:
        frames = np.empty((stop - start, len(self.base), 3))
        reference, anchors, carrier = self.base.positions, self.carriers.anchors, self.carriers.carrier
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

    def draw(self, frames: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Amplitudes (m, modes) in Å and opening angles (m, domains) in radian of these frames."""
        amplitudes = np.empty((len(frames), len(self.modes)))
        angles = np.empty((len(frames), len(self.domains)))
        mode_stream, opening_stream = IndexedStream(self.seed, "modes"), IndexedStream(self.seed, "openings")
        for row, frame in enumerate(frames):
            amplitudes[row] = self.deviations * mode_stream.at(frame).standard_normal(len(self.modes))
            angles[row] = self.law.draw(opening_stream.at(frame), len(self.domains))
        return amplitudes, angles

    @cached_property
    def _draws(self) -> tuple[np.ndarray, np.ndarray]:
        return self.draw(range(self.n_frames))

    @property
    def variables(self) -> Mapping[str, CollectiveVariable]:
        amplitudes, angles = self._draws
        found = {
            f"opening {domain.chain}": CollectiveVariable(round_coordinates(angles[:, column]), "rad")
            for column, domain in enumerate(self.domains)
        }
        for mode in range(len(self.modes)):
            in_rmsd = amplitudes[:, mode] * self._rmsd_per_amplitude
            found[f"mode {mode + 1}"] = CollectiveVariable(round_coordinates(in_rmsd), "Å")
        return found

    @property
    def embedding(self) -> np.ndarray:
        """Opening of each domain and amplitude of each mode in Å of RMSD over CA atoms: distance is about RMSD."""
        amplitudes, angles = self._draws
        points = len(self.carriers.anchors)
        levers = np.array([domain.lever * np.sqrt(domain.turning / points) for domain in self.domains])
        return round_coordinates(np.concatenate([angles * levers, amplitudes * self._rmsd_per_amplitude], axis=1))

    @property
    def _rmsd_per_amplitude(self) -> float:
        return 1 / np.sqrt(len(self.carriers.anchors))
