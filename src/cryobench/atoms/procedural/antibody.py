"""A human IgG1 that needs no file: every heavy atom of two heavy and two light chains, made from a few numbers.

Chains and residue numbers are those of the real structure 1HZH (heavy H and K, light L and M; the heavy chain's
Fd up to 230, the hinge's cysteines 239 and 242, the Fc from 244), so the same selections and the same motion work
on both. Glycans are left out.
"""

from functools import lru_cache

import gemmi
import numpy as np
from jaxtyping import Float, Int, Int64
from scipy.spatial import KDTree

from cryobench import rng
from cryobench.atoms.model import AtomicModel
from cryobench.atoms.procedural import layout
from cryobench.atoms.procedural.backbone import build_backbone
from cryobench.atoms.procedural.side_chains import SIDE_CHAINS, build_side_chains, list_rotamers
from cryobench.atoms.procedural.trace import correct_distances, find_close, trace_chains

_SEQUENCES = {
    "H": layout.HEAVY_SEQUENCE,
    "L": layout.LIGHT_SEQUENCE,
    "K": layout.HEAVY_SEQUENCE,
    "M": layout.LIGHT_SEQUENCE,
}
_CONTACT = 3.4
_NEAREST = 2.9
_PACKING_ROUNDS = 4
_RELAXATION_ROUNDS, _RELAXATION_SWEEPS = 10, 4


@lru_cache(maxsize=4)
def procedural_antibody(*, seed: int = 0) -> AtomicModel:
    """Made-up human IgG1 of 10,400 heavy atoms, 148 kDa with its hydrogens, centred on its centre of mass.

    ``seed`` changes the course of the loops. The same seed gives the same positions, rounded to 0.001 Å, up to
    the last digits on machines whose elementary functions differ.
    """
    traces = trace_chains(_SEQUENCES, rng.stream(seed, "procedural antibody"))
    atoms = _Atoms(traces)
    atoms.pack_side_chains()
    atoms.relax()
    return atoms.build_model()


class _Atoms:
    """All heavy atoms in residue order, with the rotamers that each residue may take."""

    def __init__(self, traces: dict[str, Float[np.ndarray, "r 3"]]) -> None:
        self.chains = np.repeat(list(_SEQUENCES), [len(sequence) for sequence in _SEQUENCES.values()])
        self.numbers = np.concatenate([_number_residues(chain) for chain in _SEQUENCES])
        letters = "".join(_SEQUENCES.values())
        self.kinds = np.array(gemmi.expand_one_letter_sequence(letters, gemmi.ResidueKind.AA))
        parts = [build_backbone(traces[chain]) for chain in _SEQUENCES]
        self.backbone = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        self.names = [self._atom_names(kind) for kind in self.kinds]
        self.starts = np.concatenate([[0], np.cumsum([len(names) for names in self.names])])
        self.residues = np.repeat(np.arange(len(self.kinds)), np.diff(self.starts))
        self.positions = np.zeros((int(self.starts[-1]), 3))
        self.rotamers = {kind: self._build_rotamers(str(kind)) for kind in np.unique(self.kinds)}
        for index in range(len(self.kinds)):
            for offset, name in enumerate(self.names[index][:5]):
                self.positions[self.starts[index] + offset] = self.backbone[name][index]
        self.choice = np.zeros(len(self.kinds), dtype=np.int64)
        self._place(np.arange(len(self.kinds)))

    @staticmethod
    def _atom_names(kind: str) -> list[str]:
        beta = [] if kind == "GLY" else ["CB"]
        return ["N", "CA", "C", "O", *beta, *(atom[0] for atom in SIDE_CHAINS[str(kind)])]

    def _build_rotamers(self, kind: str) -> Float[np.ndarray, "r rotamers atoms 3"]:
        members = self.kinds == kind
        backbone = {name: values[members] for name, values in self.backbone.items()}
        return np.stack([build_side_chains(kind, backbone, torsions) for torsions in list_rotamers(kind)], axis=1)

    def _place(self, residues: Int[np.ndarray, " changed"]) -> None:
        """Write the chosen rotamers of these residues into the positions."""
        rank = {kind: np.cumsum(self.kinds == kind) - 1 for kind in self.rotamers}
        for index in residues:
            side_chain = self.rotamers[self.kinds[index]][rank[self.kinds[index]][index], self.choice[index]]
            self.positions[self.starts[index + 1] - len(side_chain) : self.starts[index + 1]] = side_chain

    def pack_side_chains(self) -> None:
        """Give each residue the rotamer with the least overlap, every third residue of the sequence at a time."""
        for sweep in range(3 * _PACKING_ROUNDS):
            tree = KDTree(self.positions)
            chosen = np.arange(sweep % 3, len(self.kinds), 3)
            for kind, rotamers in self.rotamers.items():
                members = np.flatnonzero(self.kinds == kind)
                inside = np.isin(members, chosen)
                if inside.any() and rotamers.shape[1] > 1:
                    overlaps = self._measure_overlap(tree, members[inside], rotamers[inside])
                    self.choice[members[inside]] = overlaps.argmin(axis=1)
            self._place(chosen)

    def _measure_overlap(
        self,
        tree: KDTree,
        residues: Int[np.ndarray, " members"],
        rotamers: Float[np.ndarray, "members rotamers atoms 3"],
    ) -> Float[np.ndarray, "members rotamers"]:
        """Sum of squared penetrations of each rotamer into the atoms of other residues."""
        _, count, atoms, _ = rotamers.shape
        neighbours = 24
        distance, index = tree.query(rotamers.reshape(-1, 3), k=neighbours, distance_upper_bound=_CONTACT)
        owner = np.concatenate([self.residues, [-1]])[index]
        own = np.repeat(residues, count * atoms)[:, None]
        # Of its own residue a rotamer must avoid the carbonyl oxygen, the fourth atom.
        counted = (owner >= 0) & ((owner != own) | (index == self.starts[own] + 3))
        penetration = np.where(counted, _CONTACT - np.minimum(distance, _CONTACT), 0.0)
        return (penetration**2).sum(axis=1).reshape(len(residues), count, atoms).sum(axis=2)

    def relax(self) -> None:
        """Push apart what is too close while bonds and angles keep their lengths."""
        held, lengths = self._find_bonded()
        keys = held[:, 0] * len(self.positions) + held[:, 1]
        share = np.where(np.arange(len(self.positions)) == self.starts[:-1][self.residues] + 1, 0.3, 1.0)
        for _ in range(_RELAXATION_ROUNDS):
            close = find_close(self.positions, _NEAREST + 0.6)
            close = close[~np.isin(close[:, 0] * len(self.positions) + close[:, 1], keys)]
            for _ in range(_RELAXATION_SWEEPS):
                moves = np.zeros_like(self.positions)
                correct_distances(self.positions, held, lengths, lengths, share, moves)
                correct_distances(self.positions, close, _NEAREST, np.inf, share, moves)
                self.positions = self.positions + 0.3 * moves

    def _find_bonded(self) -> tuple[Int64[np.ndarray, "pairs 2"], Float[np.ndarray, " pairs"]]:
        """Pairs one or two bonds apart, within a residue or across a peptide bond, and their distances."""
        pairs = find_close(self.positions, 2.75)
        first, second = self.residues[pairs[:, 0]], self.residues[pairs[:, 1]]
        offset = [pairs[:, side] - self.starts[:-1][self.residues[pairs[:, side]]] for side in (0, 1)]
        same_chain = self.chains[first] == self.chains[second]
        # Across a peptide: CA, C, O (offsets 1, 2, 3) of one residue with N, CA (0, 1) of the next.
        peptide = same_chain & (second - first == 1) & (offset[0] >= 1) & (offset[0] <= 3) & (offset[1] <= 1)
        # Within a residue N, C and O are tied to each other, CA and CB; of side chains only proline's closes on N.
        main, far = np.minimum(*offset), np.maximum(*offset)
        tied = (far <= 4) | (main == 1) | (main >= 4) | ((self.kinds[first] == "PRO") & (main == 0))
        pairs = pairs[((first == second) & tied) | peptide]
        return pairs, np.linalg.norm(self.positions[pairs[:, 0]] - self.positions[pairs[:, 1]], axis=1)

    def build_model(self) -> AtomicModel:
        names = np.array([name for names in self.names for name in names])
        model = AtomicModel(
            positions=self.positions,
            atomic_numbers=np.array([gemmi.Element(str(name[0])).atomic_number for name in names]),
            b_factors=np.zeros(len(names)),
            occupancies=np.ones(len(names)),
            chains=self.chains[self.residues],
            residue_numbers=self.numbers[self.residues],
            insertion_codes=np.full(len(names), ""),
            residue_names=self.kinds[self.residues],
            atom_names=names,
        ).centred()
        return model.with_positions(np.round(model.positions, 3))


def _number_residues(chain: str) -> Int64[np.ndarray, " r"]:
    """Author numbers: as 1HZH around the hinge of the heavy chain (… 230, 232, 235, 236 …), plain before it."""
    numbers = np.arange(1, len(_SEQUENCES[chain]) + 1)
    return np.where(numbers > 231, numbers + 3, np.where(numbers == 231, 232, numbers)) if chain in "HK" else numbers
