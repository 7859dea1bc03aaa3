"""All charts of a report for which there are measurements."""

from collections.abc import Sequence

from cryobench.data import Dataset
from cryobench.report.charts import classes, ensembles, findings, latents, poses, profiles, states, training
from cryobench.report.charts.kinds import Picture
from cryobench.report.scored_runs.tables import Run


def collect_charts(runs: Sequence[Run], dataset: Dataset) -> list[Picture]:
    """Pictures in the order of display."""
    return [
        *states.draw_states(runs, dataset),
        *latents.draw_neighbours(runs),
        *latents.draw_imbalance(runs),
        *latents.draw_decodability(runs),
        *classes.draw_confusion(runs, dataset),
        *classes.draw_populations(runs),
        *profiles.draw_profiles(runs, dataset),
        *classes.draw_composition(runs),
        *poses.draw_rotations(runs),
        *poses.draw_shifts(runs),
        *findings.draw_variances(runs),
        *findings.draw_densities(runs),
        *ensembles.draw_ensembles(runs),
        *findings.draw_half_sets(runs, dataset),
        *findings.draw_controls(runs, dataset),
        *findings.draw_convergence(runs),
        *training.draw_terms(runs),
        *training.draw_snapshots(runs, dataset),
    ]
