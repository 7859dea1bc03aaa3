"""Ribosembly: sixteen assembly states of a large ribosomal subunit, in unequal numbers.

Jeon et al. (arXiv 2408.05526) take the early assembly intermediates of the 50S subunit of E. coli of Qin et al.
(Nat. Commun. 14:898, 2023) and make 335,240 images of them, between 3,915 and 44,366 of each. The same entries,
8C8X to 8C9C, can be given as structures; without any, a procedural subunit (`atoms.procedural.ribosome`)
is assembled along a graph of this package (`states.assembly`).

The truth is the state, its components, and the graph; the squared distance of two states in the embedding is the mass
by which they differ.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import Field

from cryobench.atoms.model import AtomicModel
from cryobench.atoms.procedural.ribosome import procedural_ribosome
from cryobench.data import CollectiveVariable, StateComponents
from cryobench.recipes.published import CITATION, RIBOSEMBLY_COUNTS
from cryobench.recipes.recipe import Ensemble, Recipe
from cryobench.recipes.rounding import round_coordinates
from cryobench.recipes.settings import SimulationSettings, make_presets
from cryobench.recipes.states.assembly import ASSEMBLY_STATES, list_edges, list_presence
from cryobench.recipes.states.composition import divide_images, embed_composition
from cryobench.recipes.states.deposited import read_states


class RibosemblySettings(SimulationSettings):
    """Settings of Ribosembly."""

    n_images: int = Field(
        sum(RIBOSEMBLY_COUNTS), ge=1, description="total images, divided among the states by weight"
    )
    weights: tuple[float, ...] = Field(
        (), description="relative number of images per state; default: the published ones for 16 states, else equal"
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class GrowingSubunit(Ensemble):
    """One complete subunit, of which every state has some components."""

    whole: AtomicModel
    owners: np.ndarray
    """(atoms,) component of each atom."""
    presence: np.ndarray
    """(states, components) true if a state has a component."""

    def model(self, state: int) -> AtomicModel:
        return self.whole.select(self.presence[state][self.owners])


def _build_ensemble(settings: RibosemblySettings, structures: Sequence[Path]) -> Ensemble:
    names = [path.name for path in structures] or [state.name for state in ASSEMBLY_STATES]
    counts = divide_images(settings.n_images, settings.weights, names, RIBOSEMBLY_COUNTS)
    if structures:
        return read_states(structures, counts)
    subunit = procedural_ribosome()
    whole, owners, components = subunit.model, subunit.components, subunit.names
    presence = list_presence(components)
    masses = np.array([whole.select(owners == index).mass_with_hydrogens for index in range(len(components))]) / 1000
    return GrowingSubunit(
        whole=whole,
        owners=owners,
        presence=presence,
        counts=counts,
        variables={
            "mass": CollectiveVariable(round_coordinates(presence @ masses), "kDa"),
            "components": CollectiveVariable(presence.sum(axis=1).astype(np.float64), ""),
        },
        embedding=embed_composition(presence, masses),
        state_names=names,
        components=StateComponents(components, presence.astype(np.float64), list_edges()),
    )


RECIPE = Recipe(
    name="ribosembly",
    title="Ribosembly: assembly of a ribosomal subunit",
    description=(
        "Sixteen assembly states of the large ribosomal subunit, in unequal numbers: domains of rRNA and proteins "
        "join one by one, on several pathways, and mass rises along each."
    ),
    heterogeneity="compositional, sixteen states of an assembly graph with unequal populations",
    citation=f"{CITATION}; structures after Qin et al., Nat. Commun. 14 (2023) 898, doi:10.1038/s41467-023-36607-9",
    sources="a procedural ribosomal subunit of this package (BSD-3-Clause)",
    alternatives="wwPDB entries 8C8X to 8C9C (Qin et al. 2023; CC0 1.0), as rcsb:8C8X ... or files",
    settings=RibosemblySettings,
    presets=make_presets(tiny={"n_images": 1000}, lite={"n_images": 16_000}, paper={}),
    ensemble=_build_ensemble,
)
