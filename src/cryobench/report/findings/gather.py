"""Contents of the findings section for all runs, gathered once."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cryobench.data import ClassVolumes, Components, Dataset, LatentPath, Motion
from cryobench.report.findings import tables
from cryobench.report.findings.motion import MotionView, view_motion
from cryobench.report.findings.volumes import (
    ClassesView,
    ComponentsView,
    FramesView,
    view_classes,
    view_components,
    view_frames,
)
from cryobench.report.scored_runs.tables import Run


@dataclass(frozen=True, eq=False)
class Findings:
    """Findings of all runs, by slug; their charts are in ``report.charts``."""

    components: dict[str, ComponentsView]
    paths: dict[str, FramesView]
    volumes: dict[str, ClassesView]
    """Class volumes."""
    motions: dict[str, MotionView]
    classes: pd.DataFrame
    """Table of ``tabulate_classes``."""
    notes: dict[str, list[str]]
    stops: list[tuple[str, int, str]]
    """Slug, number of iterations and reason for stopping, for every ``Convergence`` of a run."""
    tables: list[tuple[str, str, pd.DataFrame]]
    """File, description and table, empty where no run has it."""

    @property
    def is_empty(self) -> bool:
        """Whether no run has anything except what the tables hold."""
        drawn = self.components or self.paths or self.volumes or self.motions
        return not (drawn or self.notes or self.stops or len(self.classes))

    def class_rows(self, slug: str) -> list[tuple[str, str, str]]:
        """Number, population and resolution, as text, of every class of a run."""
        rows = self.classes.loc[self.classes["slug"] == slug, ["class", "population", "resolution"]]
        return [
            (
                str(number),
                _words(100 * population, " %"),
                "no particles" if population == 0 else _words(resolution, "\u00a0Å"),
            )
            for number, population, resolution in rows.itertuples(index=False)
        ]

    def class_captions(self, slug: str) -> list[list[str]]:
        """Lines under the pictures of a run's classes."""
        rows = self.class_rows(slug)
        chosen = [rows[number] for number in self.volumes[slug].shown.tolist()]
        return [[f"class {number}", *(each for each in known if each)] for number, *known in chosen]


def _words(value: float, unit: str) -> str:
    return f"{value:.1f}{unit}" if np.isfinite(value) else ""


def gather_findings(runs: Sequence[Run], dataset: Dataset) -> Findings:
    """Findings of the runs; those a run does not have are left out."""
    components, paths, volumes, motions = {}, {}, {}, {}
    for run in runs:
        if (found := run.find(Components)) is not None and len(found.components):
            components[run.slug] = view_components(found)
        if (path := run.find(LatentPath)) is not None and path.volumes is not None and len(path.volumes) > 1:
            paths[run.slug] = view_frames(len(path.volumes), path.volumes.__getitem__)
        if (found := run.find(ClassVolumes)) is not None:
            posteriors = run.reconstruction.posteriors
            view = view_classes(found, None if posteriors is None else len(posteriors))
            if len(view.shown):
                volumes[run.slug] = view
        if (motion := run.find(Motion)) is not None and motion.displacements.size:
            motions[run.slug] = view_motion(motion)
    classes = tables.tabulate_classes(runs)
    of_runs = {
        "component-variances.csv": ("variances of the latents along components", tables.tabulate_variances(runs)),
        "latent-density.csv": ("densities of the latents as methods estimate them", tables.tabulate_densities(runs)),
        "latent-paths.csv": ("paths through latents", tables.tabulate_paths(runs)),
        "class-volumes.csv": ("populations and half-set resolutions of classes", classes),
        "species.csv": ("populations of species merged from classifications", tables.tabulate_species(runs)),
        "half-set-fsc.csv": ("FSC curves between half-sets", tables.tabulate_half_sets(runs, dataset)),
        "motion.csv": ("displacement of density along latent axes", tables.tabulate_motion(runs)),
        "convergence.csv": ("objective of every iteration", tables.tabulate_progress(runs)),
        "loss-terms.csv": ("terms of the training loss by epoch", tables.tabulate_terms(runs)),
    }
    written = [(name, *each) for name, each in of_runs.items()]
    notes, stops = tables.collect_notes(runs), tables.collect_stops(runs)
    return Findings(components, paths, volumes, motions, classes, notes, stops, written)
