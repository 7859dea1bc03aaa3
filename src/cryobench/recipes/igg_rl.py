"""IgG-RL: one Fab of a human antibody on a linker of random conformation.

Jeon et al. (arXiv 2408.05526) give the linker between one Fab of PDB 1HZH and the rest 100 random conformations with
the statistics of disordered peptides, and make 1,000 images of each. Sampling: ``atoms.linker``.

The truth is the pose of the Fab. Two numbers of it are published, the dihedral (centre of the Fab, CA before the
linker, CA after it, centre of the rest) and the distance of the two centres; those and every dihedral of the linker
are collective variables here. The embedding holds the whole pose of the Fab: the distance of two states in it *is*
the root mean square distance between their Fab atoms, in Å.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from pydantic import Field

from cryobench.atoms.entries import find_entry
from cryobench.atoms.files.structures import read_structure
from cryobench.atoms.linker import CLASH_DISTANCE, MAX_TRIES, Conformer, FabLinker, LinkerSampler
from cryobench.atoms.model import AtomicModel
from cryobench.atoms.tie_breaking import settle_signs
from cryobench.data import CollectiveVariable
from cryobench.recipes.recipe import Ensemble, Recipe
from cryobench.recipes.rounding import round_coordinates
from cryobench.recipes.settings import SimulationSettings, make_presets
from cryobench.volumes.render import check_inside

TURN = 2 * np.pi


class IggRlSettings(SimulationSettings):
    """Settings of IgG-RL."""

    n_states: int = Field(100, ge=1, le=1000, description="random conformations of the linker, one state each")
    images_per_state: int = Field(1000, ge=1, description="images per state")
    ensemble_seed: int = Field(
        0, ge=0, description="seed of the conformations; the data set's seed is for everything else"
    )
    heavy_chain: str = Field("H", description="heavy chain of the moving Fab")
    light_chain: str = Field("L", description="light chain of the moving Fab")
    linker_first: int = Field(FabLinker.first, description="first heavy-chain residue of the linker")
    linker_last: int = Field(FabLinker.last, description="last heavy-chain residue of the linker")
    clash_distance: float = Field(CLASH_DISTANCE, gt=0, le=4, description="heavy atoms closer than this clash, Å")
    max_tries: int = Field(MAX_TRIES, ge=1, description="linker pieces drawn per state before giving up")


@dataclass(frozen=True, eq=False, kw_only=True)
class DisorderedLinker(Ensemble):
    """The states of IgG-RL. A conformation depends on the settings, the ensemble's seed and the state's number."""

    sampler: LinkerSampler
    """Sampler that draws and positions the conformers."""
    conformers: tuple[Conformer, ...]

    def model(self, state: int) -> AtomicModel:
        return self.sampler.place(self.conformers[state])


def _build_ensemble(settings: IggRlSettings, structures: Sequence[Path]) -> DisorderedLinker:
    if len(structures) != 1:
        raise ValueError(f"igg-rl moves a Fab of one antibody: give one structure, got {len(structures)}.")
    notes: list[str] = []
    base = read_structure(structures[0], notes=notes).centred()
    linker = FabLinker(settings.heavy_chain, settings.light_chain, settings.linker_first, settings.linker_last)
    sampler = LinkerSampler(base, linker, clash_distance=settings.clash_distance)
    conformers, measured = [], []
    for state in range(settings.n_states):
        drawn = sampler.draw(state, seed=settings.ensemble_seed, max_tries=settings.max_tries)
        model = sampler.place(drawn)
        check_inside(model.positions, settings.fine_box_size, settings.fine_pixel_size)
        conformers.append(drawn)
        measured.append((sampler.measure_dihedral(model), sampler.measure_distance(model)))
    return DisorderedLinker(
        sampler=sampler,
        conformers=tuple(conformers),
        counts=np.full(settings.n_states, settings.images_per_state),
        variables=_list_variables(sampler, conformers, round_coordinates(np.array(measured))),
        embedding=_embed(base.positions[sampler.fab], conformers),
        notes=notes,
    )


def _list_variables(
    sampler: LinkerSampler, conformers: Sequence[Conformer], measured: Float[np.ndarray, "k 2"]
) -> dict[str, CollectiveVariable]:
    variables = {
        "dihedral": CollectiveVariable(measured[:, 0], "rad", TURN),
        "distance": CollectiveVariable(measured[:, 1], "Å"),
    }
    # The peptide bond into the linker is named after the residue before it, as is ω by IUPAC.
    labels = sampler.labels
    for name, residues in (("phi", labels), ("psi", labels), ("omega", [sampler.label_before, *labels])):
        values = np.array([getattr(conformer.dihedrals, name) for conformer in conformers])
        for column, residue in enumerate(residues):
            variables[f"{name}-{residue}"] = CollectiveVariable(values[:, column], "rad", TURN)
    return variables


def _embed(atoms: Float[np.ndarray, "a 3"], conformers: Sequence[Conformer]) -> Float[np.ndarray, "k 12"]:
    """In Å: the Fab's centroid, and its three principal axes scaled by the spread of its atoms."""
    centroid = atoms.mean(axis=0)
    spread, axes = np.linalg.eigh(np.cov(atoms.T, bias=True))
    axes = settle_signs(axes.T).T
    arms = axes * np.sqrt(spread)
    rows = []
    for conformer in conformers:
        moved = conformer.rotation @ centroid + conformer.translation
        rows.append(np.concatenate([moved, (conformer.rotation @ arms).T.ravel()]))
    return round_coordinates(np.array(rows))


RECIPE = Recipe(
    name="igg-rl",
    title="IgG-RL: one Fab on a disordered linker",
    description=(
        "A human IgG1 antibody with one Fab on a linker of about 25 residues in random conformations of a disordered "
        "peptide: backbone dihedrals from coil-library basins, ideal geometry, no clashes. Continuous heterogeneity "
        "of six degrees of freedom, those of a rigid body, in about a third of the mass."
    ),
    heterogeneity="continuous, position and orientation of a rigid body",
    citation="Jeon et al., CryoBench, NeurIPS 2024 Datasets and Benchmarks, arXiv:2408.05526",
    sources=find_entry("1HZH").origin,
    alternatives="another antibody: one structure file, or rcsb:ID",
    entries=("1HZH",),
    version=2,
    settings=IggRlSettings,
    presets=make_presets(
        tiny={"n_states": 20, "images_per_state": 50},
        lite={"n_states": 20, "images_per_state": 500},
        paper={"noise_level": "structure"},
    ),
    ensemble=_build_ensemble,
)
