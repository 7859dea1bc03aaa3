"""Spike-MD: the SARS-CoV-2 spike in as many conformations as there are images.

Jeon et al. (arXiv 2408.05526) make one image of each of 100,000 frames of a molecular dynamics simulation, at 256 px
of 1.5 Å. Such an ensemble comes from either source:

- a trajectory: ``--structure TOPOLOGY TRAJECTORY ...``, or a single file with several models.
- one structure (by default 6VXX): the slow modes of its elastic network, and a receptor-binding domain in each
  protomer that opens and closes on its hinge.

Volumes of all frames would need 6.7 TB, so the trajectory is the truth, and volumes are rendered from it.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydantic import Field

from cryobench.atoms.entries import find_entry
from cryobench.atoms.files.structures import read_structure
from cryobench.atoms.files.trajectories import NOT_SOLVENT
from cryobench.atoms.model import AtomicModel, is_alpha_carbon
from cryobench.atoms.motion.elastic_network import find_held_points
from cryobench.atoms.motion.hinged_domain import HingedDomain, find_chains_with_domain, find_hinged_domains
from cryobench.atoms.motion.residues import Carriers, find_carriers, leave_out
from cryobench.recipes.recipe import FrameEnsemble, Recipe
from cryobench.recipes.settings import SimulationSettings, make_presets
from cryobench.recipes.states.network_frames import NetworkFrames, OpeningLaw, make_frames
from cryobench.recipes.states.trajectory_frames import SeveralModels, TrajectoryFrames, are_frames, read_trajectory


class SpikeMdSettings(SimulationSettings):
    """Settings of Spike-MD."""

    n_frames: int = Field(
        100_000, ge=1, le=10_000_000, description="frames, one image each; the maximum for a trajectory"
    )
    ensemble_seed: int = Field(0, ge=0, description="seed of the conformations, or of the choice of frames")

    # The domains that open
    rbd_first: int = Field(325, description="first residue that rotates with a receptor-binding domain")
    rbd_last: int = Field(533, description="last residue that rotates with a receptor-binding domain")
    rbd_bend: int = Field(8, ge=1, description="residues at either end over which the bend is spread")
    chains: str = Field("", description="chains with such a domain, as A,B,C; empty: all that have these residues")

    # From one structure
    n_modes: int = Field(20, ge=1, le=500, description="slowest modes of the elastic network")
    rmsf: float = Field(2.0, ge=0, description="root mean square fluctuation of CA atoms due to the modes, Å")
    network_cutoff: float = Field(15.0, gt=3.8, description="length of the longest springs of the network, Å")
    open_fraction: float = Field(0.25, ge=0, le=1, description="probability that each domain is open")
    open_angle_deg: float = Field(50.0, ge=-180, le=180, description="mean angle of open domains, degrees")
    open_deviation_deg: float = Field(
        8.0, ge=0, description="standard deviation of the angle of open domains, degrees"
    )
    closed_deviation_deg: float = Field(
        3.0, ge=0, description="standard deviation about 0 of the angle of closed domains, degrees"
    )

    # From a trajectory
    models: SeveralModels = Field(
        "auto",
        description="several models in one file: frames, one structure, or auto: one if copies in an assembly",
    )
    selection: str = Field(NOT_SOLVENT, description="atoms to image, in MDAnalysis's selection language")
    superpose: bool = Field(True, description="superpose the frames' CA atoms on those of the topology")
    n_components: int = Field(5, ge=1, le=100, description="principal components measured on a trajectory")


def _build_ensemble(settings: SpikeMdSettings, structures: Sequence[Path]) -> FrameEnsemble:
    if are_frames(structures, settings.models) or len(structures) > 1:
        return read_ensemble(settings, structures[0], structures[1:])
    notes: list[str] = []
    wanted = "all" if settings.models == "one" else "auto"
    return make_ensemble(settings, read_structure(structures[0], model=wanted, notes=notes), notes)


def make_ensemble(settings: SpikeMdSettings, structure: AtomicModel, notes: Sequence[str] = ()) -> NetworkFrames:
    """Ensemble of one structure. ValueError if it has no domain to open, or too few modes."""
    base = structure.centred()
    carriers = find_carriers(base)
    held = find_held_points(base.positions[carriers.anchors], cutoff=settings.network_cutoff)
    carriers = leave_out(base, carriers, held)
    domains = _find_domains(settings, base, carriers)
    if not domains and settings.open_fraction > 0:
        raise ValueError(
            f"no chain has most of the residues {settings.rbd_first} to {settings.rbd_last}, the domain that opens. "
            "Name it with rbd_first and rbd_last, or set open_fraction=0 for slow modes alone."
        )
    law = OpeningLaw(
        settings.open_fraction,
        *np.deg2rad([settings.open_angle_deg, settings.open_deviation_deg, settings.closed_deviation_deg]).tolist(),
    )
    return make_frames(
        base,
        carriers,
        domains,
        law,
        n_modes=settings.n_modes,
        rmsf=settings.rmsf,
        cutoff=settings.network_cutoff,
        seed=settings.ensemble_seed,
        n_frames=settings.n_frames,
        notes=notes,
    )


def read_ensemble(settings: SpikeMdSettings, topology: Path, trajectories: Sequence[Path]) -> TrajectoryFrames:
    """Ensemble of a trajectory: at most ``n_frames`` of its frames, in random order."""

    def find_domains(reference: AtomicModel) -> Sequence[HingedDomain]:
        if is_alpha_carbon(reference).sum() < 3:
            return ()
        return _find_domains(settings, reference, find_carriers(reference))

    return read_trajectory(
        topology,
        trajectories,
        selection=settings.selection,
        n_frames=settings.n_frames,
        seed=settings.ensemble_seed,
        superpose=settings.superpose,
        find_domains=find_domains,
        n_components=settings.n_components,
    )


def _find_domains(settings: SpikeMdSettings, model: AtomicModel, carriers: Carriers) -> Sequence[HingedDomain]:
    first, last = settings.rbd_first, settings.rbd_last
    named = [chain.strip() for chain in settings.chains.split(",") if chain.strip()]
    chains = named or find_chains_with_domain(model, first, last)
    return find_hinged_domains(model, carriers, chains, first, last, settings.rbd_bend) if chains else ()


RECIPE = Recipe(
    name="spike-md",
    title="Spike-MD: the spike protein, one conformation per image",
    description=(
        "The trimeric spike of SARS-CoV-2, a different conformation in every image: slow collective motions, and the "
        "opening and closing of three receptor-binding domains. The truth is a trajectory."
    ),
    heterogeneity="continuous, many-dimensional: slow modes and three hinges, as many conformations as images",
    citation="Jeon et al., CryoBench, NeurIPS 2024 Datasets and Benchmarks, arXiv:2408.05526",
    sources=find_entry("6VXX").origin,
    alternatives="a trajectory, as TOPOLOGY TRAJECTORY ...; or another spike: one structure file, or rcsb:ID",
    entries=("6VXX",),
    version=2,
    settings=SpikeMdSettings,
    presets={
        **make_presets(tiny={"n_frames": 1000}, lite={"n_frames": 10_000}),
        "paper": {"box_size": 256, "pixel_size": 1.5, "resolution": 3.0, "n_frames": 100_000, "snr": 0.1},
    },
    ensemble=_build_ensemble,
)
