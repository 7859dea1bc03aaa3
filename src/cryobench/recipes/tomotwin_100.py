"""Tomotwin-100: a mixture of 100 different complexes, 1,000 images of each.

Jeon et al. (arXiv 2408.05526) take 100 of the structures on which TomoTwin was trained (Rice et al., Nat. Methods 20,
2023), of 156 to 1131 kDa, 45 of them without symmetry, numbered by mass. The same can be given as structure files;
without any, the procedural complexes of `states.complexes` have those masses, and no two of the first 100
correlate above 0.9 after alignment.

The states have no order, so there is no embedding: the truth is the identity and mass of each particle's complex.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import Field

from cryobench.atoms.files.structures import read_structure
from cryobench.atoms.model import AtomicModel
from cryobench.atoms.sources import structure_name
from cryobench.data import CollectiveVariable
from cryobench.recipes.recipe import Ensemble, Recipe
from cryobench.recipes.settings import SimulationSettings, make_presets
from cryobench.recipes.spread import spread_evenly
from cryobench.recipes.states.complexes import MOST_COMPLEXES, ProceduralComplex, procedural_complexes
from cryobench.recipes.states.composition import check_distinct, fingerprint


class Tomotwin100Settings(SimulationSettings):
    """Settings of Tomotwin-100."""

    n_structures: int = Field(100, ge=2, le=MOST_COMPLEXES, description="different structures, one state each")
    images_per_structure: int = Field(1000, ge=1, description="images per structure")


@dataclass(frozen=True, eq=False, kw_only=True)
class ProceduralMixture(Ensemble):
    """Complexes built on demand: a hundred models would fill a gigabyte."""

    complexes: tuple[ProceduralComplex, ...]

    def model(self, state: int) -> AtomicModel:
        return self.complexes[state].build()


@dataclass(frozen=True, eq=False, kw_only=True)
class StructureMixture(Ensemble):
    """Structures read from their files on demand."""

    paths: tuple[Path, ...]

    def model(self, state: int) -> AtomicModel:
        return read_structure(self.paths[state]).centred()


def _build_ensemble(settings: Tomotwin100Settings, structures: Sequence[Path]) -> Ensemble:
    if structures:
        return _mix_structures(settings, structures)
    complexes = procedural_complexes(settings.n_structures)
    return ProceduralMixture(
        complexes=tuple(complexes),
        counts=np.full(len(complexes), settings.images_per_structure),
        variables={"mass": CollectiveVariable(np.array([item.mass_kda for item in complexes]), "kDa")},
        state_names=[item.name for item in complexes],
    )


def _mix_structures(settings: Tomotwin100Settings, structures: Sequence[Path]) -> StructureMixture:
    """``n_structures`` of the given files, evenly spread in order of mass."""
    wanted = settings.n_structures
    if len(structures) < wanted:
        raise ValueError(
            f"n_structures is {wanted}, but {len(structures)} structure files were given. "
            f"Give more files or a folder of them, or set n_structures to at most {len(structures)}."
        )
    check_distinct("have the same name", [(path, structure_name(path)) for path in structures])
    masses, reaches, atoms = {}, {}, []
    notes: dict[Path, list[str]] = {}
    for path in structures:
        model = read_structure(path, notes=notes.setdefault(path, []))
        masses[path] = model.mass_with_hydrogens / 1000
        reaches[path] = float(np.linalg.norm(model.positions - model.centre_of_mass, axis=1).max())
        atoms.append((path, fingerprint(model)))
    check_distinct("hold the same atoms", atoms)
    ordered = sorted(structures, key=lambda path: (round(masses[path], 6), structure_name(path)))
    chosen = [ordered[index] for index in spread_evenly(len(ordered), wanted, nearest=True)]
    for path in chosen:
        _check_fits(reaches[path], path, settings)
    return StructureMixture(
        paths=tuple(chosen),
        counts=np.full(len(chosen), settings.images_per_structure),
        variables={"mass": CollectiveVariable(np.array([masses[path] for path in chosen]), "kDa")},
        state_names=[structure_name(path) for path in chosen],
        notes=[note for path in chosen for note in notes[path]],
    )


def _check_fits(reach: float, path: Path, settings: SimulationSettings) -> None:
    """Raise ValueError if a structure of this radius (Å), in some orientation, would leave the box."""
    half = (settings.box_size - 1) // 2 * settings.pixel_size
    if reach > half:
        needed = 2 * int(np.ceil(reach / settings.pixel_size)) + 1
        raise ValueError(
            f"{path} reaches {reach:.0f} Å from its centre, the box of {settings.box_size} pixels of "
            f"{settings.pixel_size:g} Å {half:.0f} Å. Use box_size {needed} or more, or a larger pixel_size."
        )


RECIPE = Recipe(
    name="tomotwin-100",
    title="Tomotwin-100: a mixture of 100 different complexes",
    description=(
        "One hundred different protein complexes of 156 to 1131 kDa, 45 of them without symmetry, with equally many "
        "images. Extreme compositional heterogeneity: nothing is common to all particles."
    ),
    heterogeneity="compositional, a mixture of different structures",
    citation=(
        "Jeon et al., CryoBench, NeurIPS 2024 Datasets and Benchmarks, arXiv:2408.05526; structures after Rice et "
        "al., TomoTwin, Nature Methods 20 (2023) 871, doi:10.1038/s41592-023-01878-z"
    ),
    sources="procedural complexes of this package with the published masses (BSD-3-Clause)",
    alternatives="structure files, a folder of them, or entries of the wwPDB (CC0 1.0) as rcsb:ID ...",
    settings=Tomotwin100Settings,
    presets=make_presets(
        tiny={"pixel_size": 18.0, "resolution": 18.0, "n_structures": 10, "images_per_structure": 100},
        lite={"pixel_size": 9.0, "resolution": 9.0, "n_structures": 20, "images_per_structure": 500},
        paper={"pixel_size": 4.5, "resolution": 4.5, "snr_pixel_size": 2.25, "noise_level": "structure"},
    ),
    ensemble=_build_ensemble,
    series={"structures": ("n_structures", (10, 25, 50, 75, 100))},
)
