"""All charts of a report for which there are measurements."""

from collections.abc import Sequence

from cryobench.data import Dataset
from cryobench.report.charts.classes import draw_composition, draw_confusion, draw_populations
from cryobench.report.charts.ensembles import draw_ensembles
from cryobench.report.charts.findings import (
    draw_controls,
    draw_convergence,
    draw_densities,
    draw_half_sets,
    draw_variances,
)
from cryobench.report.charts.kinds import Picture
from cryobench.report.charts.latents import draw_decodability, draw_imbalance, draw_neighbours
from cryobench.report.charts.poses import draw_rotations, draw_shifts
from cryobench.report.charts.profiles import draw_profiles
from cryobench.report.charts.states import draw_states
from cryobench.report.charts.training import draw_snapshots, draw_terms
from cryobench.report.runs.tables import Run


def collect_charts(runs: Sequence[Run], dataset: Dataset) -> list[Picture]:
    """Pictures in the order of display."""
    return [
        *draw_states(runs, dataset),
        *draw_neighbours(runs),
        *draw_imbalance(runs),
        *draw_decodability(runs),
        *draw_confusion(runs, dataset),
        *draw_populations(runs),
        *draw_profiles(runs, dataset),
        *draw_composition(runs),
        *draw_rotations(runs),
        *draw_shifts(runs),
        *draw_variances(runs),
        *draw_densities(runs),
        *draw_ensembles(runs),
        *draw_half_sets(runs, dataset),
        *draw_controls(runs, dataset),
        *draw_convergence(runs),
        *draw_terms(runs),
        *draw_snapshots(runs, dataset),
    ]
