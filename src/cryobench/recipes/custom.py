"""Custom: your own structures in any proportions, or the frames of a trajectory.

- a list of structures, one state each: ``--structure a.pdb b.cif --weights 0.7 0.3``. Their relative positions are
  kept, and all are translated so that the first one's centre of mass is the centre of the box.
- a topology and trajectories, ``--structure top.pdb run.xtc``, or one file with several models: one state per frame,
  in random order, all translated so that the first frame is in the centre.

Collective variables of the states may be given in a table (`variables_file`).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import AllowInfNan, Field, FilePath

from cryobench.atoms.entries import find_entry
from cryobench.atoms.files.structures import read_structure
from cryobench.atoms.files.trajectories import NOT_SOLVENT
from cryobench.atoms.model import AtomicModel, is_alpha_carbon
from cryobench.atoms.motion.fab_hinge import turn_fab
from cryobench.atoms.motion.superposition import fit_rigid_motions
from cryobench.recipes.recipe import Ensemble, Recipe
from cryobench.recipes.settings import SimulationSettings, make_presets
from cryobench.recipes.states.composition import divide_images
from cryobench.recipes.states.trajectory_frames import (
    SeveralModels,
    TrajectoryFrames,
    are_frames,
    read_trajectory,
)
from cryobench.recipes.states.variables_file import read_variables


class CustomSettings(SimulationSettings):
    """Settings of a custom data set."""

    n_images: int = Field(10_000, ge=1, description="total images, divided among the structures by weight")
    weights: tuple[Annotated[float, AllowInfNan()], ...] = Field(  # those that are not finite name their structure
        (), description="relative number of images per structure; default: equal"
    )
    centre: Literal["first", "each"] = Field(
        "first",
        description="centred in the box: the first structure or frame (others move with it), or each",
    )
    superpose: bool = Field(
        False, description="superpose each structure or frame on the first by their common CA and P atoms"
    )
    variables_file: FilePath | None = Field(
        None, description="CSV or Parquet of collective variables: a row per state, headers as 'angle [rad]'"
    )
    models: SeveralModels = Field(
        "auto",
        description="several models in one file: frames, one structure, or auto: one if copies in an assembly",
    )
    images_per_frame: int = Field(1, ge=1, description="images per frame of a trajectory")
    n_frames: int | None = Field(None, ge=1, description="frames drawn at random from a trajectory; default: all")
    selection: str = Field(
        NOT_SOLVENT, description="atoms of a trajectory to image, in MDAnalysis's selection language"
    )
    ensemble_seed: int = Field(0, ge=0, description="seed for the choice and order of frames")


@dataclass(frozen=True, eq=False, kw_only=True)
class StructureList(Ensemble):
    """One state per structure, each positioned as imaged."""

    models: tuple[AtomicModel, ...]

    def model(self, state: int) -> AtomicModel:
        return self.models[state]


@dataclass(frozen=True, eq=False, kw_only=True)
class RepeatedFrames(Ensemble):
    """Frames of a trajectory as states with several images each, whose volumes are kept."""

    frames: TrajectoryFrames

    def model(self, state: int) -> AtomicModel:
        return self.frames.model(state)


def _build_ensemble(settings: CustomSettings, structures: Sequence[Path]) -> Ensemble:
    notes: list[str] = []
    if not structures:
        antibody = read_structure(find_entry("1HZH").path, notes=notes)
        return list_structures(settings, [antibody, turn_fab(antibody, 2 * np.pi / 3)], ["closed", "turned"], notes)
    if are_frames(structures, settings.models):
        return read_frames_of(settings, structures[0], structures[1:])
    wanted = "all" if settings.models == "one" else "auto"
    models = [read_structure(path, model=wanted, notes=notes) for path in structures]
    return list_structures(settings, models, _name_files(structures), notes)


def list_structures(
    settings: CustomSettings, structures: Sequence[AtomicModel], names: Sequence[str], notes: Sequence[str] = ()
) -> StructureList:
    """Ensemble of a list of structures. ValueError, naming the structure, for weights that do not match."""
    counts = divide_images(settings.n_images, settings.weights, names)
    first = structures[0].centred()
    shift = first.positions[0] - structures[0].positions[0]
    placed = [first]
    for structure, name in zip(structures[1:], names[1:], strict=True):
        if settings.superpose:
            moved = _superpose(structure, first, name)
        else:
            moved = structure.with_positions(structure.positions + shift)
        placed.append(moved.centred() if settings.centre == "each" else moved)
    named = {} if settings.variables_file is None else read_variables(settings.variables_file, len(names))
    return StructureList(
        models=tuple(placed), counts=counts, variables=named, state_names=tuple(names), notes=tuple(notes)
    )


def read_frames_of(settings: CustomSettings, topology: Path, trajectories: Sequence[Path]) -> Ensemble:
    """Ensemble of a trajectory, one state per frame. ValueError if weights are given."""
    if settings.weights:
        raise ValueError("weights are for a list of structures: all frames of a trajectory have equally many images.")
    frames = read_trajectory(
        topology,
        trajectories,
        selection=settings.selection,
        n_frames=settings.n_frames,
        seed=settings.ensemble_seed,
        superpose=settings.superpose,
        centre_each=settings.centre == "each",
        variables_file=settings.variables_file,
    )
    if settings.images_per_frame == 1:
        return frames
    return RepeatedFrames(
        frames=frames,
        counts=settings.images_per_frame * frames.counts,
        variables=frames.variables,
        embedding=frames.embedding,
        notes=frames.notes,
    )


def _superpose(structure: AtomicModel, first: AtomicModel, name: str) -> AtomicModel:
    """Structure superposed on ``first`` by their common CA and P atoms (same chain and residue)."""
    backbones = [_find_backbone(model) for model in (first, structure)]
    shared = [key for key in backbones[0] if key in backbones[1]]
    if len(shared) < 3:
        raise ValueError(
            f"structure {name} and the first have {len(shared)} CA or P atoms (same chain and residue number) in "
            "common: superposition needs three. Superpose them beforehand, or set superpose=false (and centre=each)."
        )
    home, here = ([backbones[side][key] for key in shared] for side in (0, 1))
    rotations, translations = fit_rigid_motions(structure.positions[None, here], first.positions[home])
    return structure.transformed(rotations[0], translations[0])


def _find_backbone(model: AtomicModel) -> dict[tuple[str, int, str, str, int], int]:
    """Indices of CA and P atoms by chain, number, code and name; copies under one name are numbered."""
    found: dict[tuple[str, int, str, str, int], int] = {}
    seen: Counter[tuple[str, int, str, str]] = Counter()
    for atom in np.flatnonzero(is_alpha_carbon(model) | (model.atom_names == "P")).tolist():
        chain, code, name = (str(each[atom]) for each in (model.chains, model.insertion_codes, model.atom_names))
        key = (chain, int(model.residue_numbers[atom]), code, name)
        found[(*key, seen[key])] = atom
        seen[key] += 1
    return found


def _name_files(paths: Sequence[Path]) -> list[str]:
    """Names of files without extensions, duplicates numbered."""
    stems = [path.name.removesuffix(".gz").rsplit(".", 1)[0] for path in paths]
    names: list[str] = []
    for stem in stems:
        name, number = stem, 1
        while name in names:
            number += 1
            name = f"{stem} ({number})"
        names.append(name)
    return names


RECIPE = Recipe(
    name="custom",
    title="Custom: your own structures",
    description=(
        "Any list of structures in any proportions, or the frames of a trajectory, with your own collective "
        "variables. Without structures: 1HZH in two conformations, one Fab turned by 120 degrees."
    ),
    heterogeneity="as given: discrete states with weights, or the frames of a trajectory",
    citation="your own; images are made as in Jeon et al., CryoBench, NeurIPS 2024, arXiv:2408.05526",
    sources=find_entry("1HZH").origin,
    alternatives="your own structures, one per state; or TOPOLOGY TRAJECTORY ...",
    version=2,
    settings=CustomSettings,
    presets=make_presets(
        tiny={"n_images": 1000},
        lite={"n_images": 10_000},
        paper={"n_images": 100_000},
    ),
    ensemble=_build_ensemble,
)
