"""Stretches of the linker, grown from dihedrals and joined, with the atoms of their residues.

N, CA, C, O, CB and the amide hydrogen are ideal; all other atoms keep their positions from the model, in the frame
of N, CA and CB of their residue.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64

from cryobench.atoms.linker import geometry
from cryobench.atoms.linker.chain import LinkerChain
from cryobench.atoms.linker.coil import LinkerDihedrals
from cryobench.atoms.model import AtomicModel

_AMIDE = ("H", "HN", "D")


@dataclass(frozen=True, eq=False)
class Piece:
    """Consecutive residues of the linker, from number ``first`` (0 is the linker's first).

    A leading axis of all arrays holds k alternatives of the piece.
    """

    first: int
    dihedrals: LinkerDihedrals
    atoms: Float64[np.ndarray, "*k m 3"]
    """Å, in the starting frame of the piece, in the order of the model."""
    end: Float64[np.ndarray, "*k 4 4"]
    """Starting frame of the next residue."""

    @property
    def stop(self) -> int:
        """Number of the residue after the last."""
        return self.first + self.dihedrals.phi.shape[-1]

    def joined(self, following: "Piece") -> "Piece":
        """This piece joined to the following one."""
        return Piece(
            self.first,
            self.dihedrals.joined(following.dihedrals),
            np.concatenate([self.atoms, geometry.move(self.end, following.atoms)], axis=-2),
            self.end @ following.end,
        )

    def pick(self, index: int | slice) -> "Piece":
        """One of the k alternatives, or several."""
        return Piece(self.first, self.dihedrals.pick(index), self.atoms[index], self.end[index])


class PieceBuilder:
    """Grows pieces of one linker and locates those next to the Fab or the rest."""

    def __init__(self, model: AtomicModel, chain: LinkerChain) -> None:
        self.chain = chain
        self.start = geometry.start_frame(chain.before, chain.psi_before)
        """Starting frame of the linker's first residue, with the Fab as in the model."""
        self._heavy = model.atomic_numbers[chain.atoms] > 1
        names = model.atom_names[chain.atoms]
        self._special = [names == name for name in ("N", "CA", "C", "O", "CB")]
        self._special.append(np.isin(names, _AMIDE))
        betas = geometry.place_betas(chain.backbone, chain.names[:-1])
        has_beta, positions = self._special[4], model.positions[chain.atoms]
        betas[chain.owner[has_beta]] = positions[has_beta]
        frames = geometry.frame_of(np.stack([chain.backbone[:, 0], chain.backbone[:, 1], betas], axis=1))[chain.owner]
        self._local = np.einsum("mji,mj->mi", frames[:, :3, :3], positions - frames[:, :3, 3])

    def grow(self, first: int, dihedrals: LinkerDihedrals) -> Piece:
        """Piece of the residues from ``first`` on, one for each dihedral set."""
        names = self.chain.names[first : first + dihedrals.phi.shape[-1]]
        backbone = geometry.grow_backbone(names, dihedrals)
        return Piece(first, dihedrals, self._place_atoms(first, backbone), backbone.end)

    def locate(self, piece: Piece) -> Float64[np.ndarray, "*k 4 4"]:
        """Starting frame of the linker's last piece for the rest to be in place."""
        chain, omega = self.chain, np.asarray(piece.dihedrals.omega[..., -1])
        return geometry.lead_to(chain.after, chain.names[-1], omega, chain.phi_after) @ geometry.invert(piece.end)

    def list_heavy(self, piece: Piece) -> tuple[Bool[np.ndarray, " m"], Int64[np.ndarray, " heavy"]]:
        """Mask of the heavy atoms of a piece, and their residues."""
        chosen = self._span(piece.first, piece.stop)
        heavy = self._heavy[chosen]
        return heavy, self.chain.owner[chosen][heavy]

    def _span(self, first: int, stop: int) -> slice:
        start, end = np.searchsorted(self.chain.owner, [first, stop])
        return slice(int(start), int(end))

    def _place_atoms(self, first: int, backbone: geometry.Backbone) -> Float64[np.ndarray, "*k m 3"]:
        chosen = self._span(first, first + backbone.positions.shape[-3])
        owner = self.chain.owner[chosen] - first
        nitrogens, alphas, carbons = np.moveaxis(backbone.positions, -2, 0)
        # The frame of the backbone begins at C of the preceding residue.
        before = np.zeros_like(carbons)
        before[..., 1:, :] = carbons[..., :-1, :]
        hydrogens = geometry.place_amide_hydrogens(nitrogens, before, alphas)
        frames = geometry.frame_of(np.stack([nitrogens, alphas, backbone.betas], axis=-2))[..., owner, :, :]
        positions = np.einsum("...mij,mj->...mi", frames[..., :3, :3], self._local[chosen]) + frames[..., :3, 3]
        sources = (nitrogens, alphas, carbons, backbone.oxygens, backbone.betas, hydrogens)
        for members, source in zip(self._special, sources, strict=True):
            positions[..., members[chosen], :] = source[..., owner[members[chosen]], :]
        return positions
