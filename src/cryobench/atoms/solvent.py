"""Density of a model's atoms minus the displaced solvent: layers of Gaussians of one width each.

In vacuum (solvent density 0, as in the published sets) a model is one layer: each atom a Gaussian whose integral is
its atomic number. In ice only the difference from the ice is visible, so a second layer is subtracted: each atom
displaces a volume v of solvent, represented by a Gaussian exp(−π r² / v^(2/3)) (Fraser, MacRae & Suzuki, J. Appl.
Cryst. 11 (1978) 693) with the mean v of the model's atoms, blurred like the atoms themselves. Hydrogens missing from
the model are then distributed over the atoms of their residue, because without them protein would be hardly denser
than ice.
"""

import math
from dataclasses import dataclass

import gemmi
import numpy as np

from cryobench.atoms import gaussians
from cryobench.atoms.model import AtomicModel, missing_hydrogens, residue_starts

PROTEIN_VOLUME = 1.212
"""Å³ per Da: 0.73 cm³/g (Harpaz, Gerstein & Chothia, Structure 2 (1994) 641)."""
NUCLEIC_ACID_VOLUME = 0.897
"""Å³ per Da: 0.54 cm³/g (Voss & Gerstein, J. Mol. Biol. 346 (2005) 477)."""
ELECTRONS_PER_GRAM = 0.60221408 * 10 / 18.01528
"""Electrons per Å³ of water of 1 g/cm³."""
_HYDROGEN_MASS = gemmi.Element("H").weight


@dataclass(frozen=True, eq=False)
class Layer:
    """Atoms as Gaussians of one width."""

    weights: np.ndarray
    """(a,) integral of each; negative for displaced solvent."""
    resolution: float
    """Their width, as molmap's resolution in Å."""


def make_layers(model: AtomicModel, resolution: float, solvent_density: float = 0.0) -> list[Layer]:
    """Layers whose sum is the density of ``model`` at ``resolution`` (Å) in a solvent of the given g/cm³."""
    if solvent_density == 0:
        return [Layer(model.atomic_numbers.astype(np.float64), resolution)]
    starts = residue_starts(model)
    sizes = np.diff([*starts, len(model)])
    hydrogens = np.repeat(missing_hydrogens(model) / sizes, sizes)
    kinds = [gemmi.find_tabulated_residue(str(name)).is_nucleic_acid() for name in model.residue_names[starts]]
    per_dalton = np.repeat(np.where(kinds, NUCLEIC_ACID_VOLUME, PROTEIN_VOLUME), sizes)
    volumes = per_dalton * (model.weights + hydrogens * _HYDROGEN_MASS)
    displaced = volumes.mean() ** (1 / 3) / math.sqrt(2 * math.pi)
    sigma = math.hypot(gaussians.sigma_from_resolution(resolution), displaced)
    return [
        Layer(model.atomic_numbers + hydrogens, resolution),
        Layer(-solvent_density * ELECTRONS_PER_GRAM * volumes, sigma * math.pi * math.sqrt(2)),
    ]
