"""IgG-1D: one Fab of a human antibody rotated through a full circle about the hinge.

Jeon et al. (arXiv 2408.05526) rotate one Fab of PDB 1HZH in 100 steps of 3.6° and make 1,000 images of each state.
The truth is a circle: the latent space of a good reconstruction should be one as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import Field

from cryobench.atoms.entries import find_entry
from cryobench.atoms.files.structures import read_structure
from cryobench.atoms.model import AtomicModel
from cryobench.atoms.motion.fab_hinge import FabHinge, fab_dihedral, turn_fab
from cryobench.data import CollectiveVariable
from cryobench.recipes.recipe import Ensemble, Recipe
from cryobench.recipes.rounding import round_coordinates
from cryobench.recipes.settings import SimulationSettings, make_presets

TURN = 2 * np.pi


class Igg1dSettings(SimulationSettings):
    """Settings of IgG-1D."""

    n_states: int = Field(100, ge=1, le=1000, description="steps of the full turn, one state each")
    images_per_state: int = Field(1000, ge=1, description="images per state")
    heavy_chain: str = Field("H", description="heavy chain of the rotating Fab")
    light_chain: str = Field("L", description="light chain of the rotating Fab")
    fab_end: int = Field(FabHinge.fab_end, description="last rotating heavy-chain residue; first axis point")
    rest_start: int = Field(FabHinge.rest_start, description="residue of the second axis point")


@dataclass(frozen=True, eq=False, kw_only=True)
class TurningFab(Ensemble):
    """The states of IgG-1D: in state i the Fab is rotated by 2π i / n_states."""

    base: AtomicModel
    hinge: FabHinge
    angles: np.ndarray
    """(states,) rotation angle of the Fab in radian, 0 for the structure as given."""

    def model(self, state: int) -> AtomicModel:
        return turn_fab(self.base, float(self.angles[state]), self.hinge)


def _build_ensemble(settings: Igg1dSettings, structures: Sequence[Path]) -> TurningFab:
    if len(structures) != 1:
        raise ValueError(f"igg-1d simulates one antibody: give one structure, got {len(structures)}.")
    notes: list[str] = []
    base = read_structure(structures[0], notes=notes).centred()
    hinge = FabHinge(settings.heavy_chain, settings.light_chain, settings.fab_end, settings.rest_start)
    angles = TURN * np.arange(settings.n_states) / settings.n_states
    return TurningFab(
        base=base,
        hinge=hinge,
        angles=angles,
        counts=np.full(settings.n_states, settings.images_per_state),
        variables={
            "turn": CollectiveVariable(angles, "rad", TURN),
            "dihedral": CollectiveVariable((fab_dihedral(base, hinge) + angles) % TURN, "rad", TURN),
        },
        embedding=round_coordinates(np.stack([np.cos(angles), np.sin(angles)], axis=1)),
        notes=notes,
    )


RECIPE = Recipe(
    name="igg-1d",
    title="IgG-1D: one Fab rotated through a full circle",
    description=(
        "A human IgG1 antibody with one Fab rotated about the hinge in equal steps through 360 degrees. "
        "Continuous, one-dimensional, periodic heterogeneity of about a third of the mass."
    ),
    heterogeneity="continuous, one angle on a circle",
    citation="Jeon et al., CryoBench, NeurIPS 2024 Datasets and Benchmarks, arXiv:2408.05526",
    sources=find_entry("1HZH").origin,
    alternatives="another antibody: one structure file, or rcsb:ID",
    entries=("1HZH",),
    version=2,
    settings=Igg1dSettings,
    presets=make_presets(
        tiny={"n_states": 20, "images_per_state": 50},
        lite={"n_states": 20, "images_per_state": 500},
        paper={"noise_level": "structure"},
    ),
    series={"noise": ("snr", (0.01, 0.005, 0.001))},
    ensemble=_build_ensemble,
)
