"""Charts of training: terms of the loss by epoch, and latents by epoch."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from cryobench._sampling import spread_indices
from cryobench.data import Dataset, LatentSnapshots
from cryobench.report.charts.kinds import Axis, LineChart, Picture, SnapshotChart, series_by_run
from cryobench.report.findings.tables import tabulate_terms
from cryobench.report.scored_runs.colourings import colourings
from cryobench.report.scored_runs.tables import Run

MOST_SHOWN = 600
"""Particles drawn per snapshot."""
_TITLES = {"loss": "loss", "residual": "squared residual", "kl": "KL divergence / nat"}


def draw_terms(runs: Sequence[Run]) -> list[Picture]:
    """One chart per term of the loss, for the runs with the same definition of it."""
    table = tabulate_terms(runs)
    pictures = []
    for definition, term in dict.fromkeys(zip(table["definition"], table["term"], strict=True)):
        alike = pd.DataFrame(table.loc[(table["definition"] == definition) & (table["term"] == term)])
        title = str(_TITLES.get(term, term))
        chart = LineChart(Axis("epoch"), Axis(title), series_by_run(alike, "epoch", "value"))
        words = (
            f"Training: {title} by epoch, each point the mean over a window of steps"
            f" ({definition}). Before epoch 0: an initial pass. A curve that still falls was stopped early; a flat"
            " one may be fitting noise."
        )
        key = f"training-{term}"
        taken = sum(picture.key.startswith(key) for picture in pictures)
        pictures.append(Picture(f"{key}-{taken + 1}" if taken else key, "findings", "Training", chart, words))
    return pictures


def draw_snapshots(runs: Sequence[Run], dataset: Dataset) -> list[Picture]:
    """Latents of each run by epoch, on the first two principal components of the last epoch."""
    colouring = next((each for each in colourings(dataset) if not each.leak), None)
    pictures = []
    for run in runs:
        found = run.find(LatentSnapshots)
        if found is None or len(found.epochs) < 2 or len(found.particles) < 2:
            continue
        chosen = spread_indices(len(found.particles), MOST_SHOWN)
        positions = project_snapshots(np.asarray(found.latents, dtype=np.float64))[:, chosen]
        lows, highs = (function(positions, axis=(0, 1)) for function in (np.min, np.max))
        margins = np.maximum(0.05 * (highs - lows), 1e-6)
        axes = [
            Axis(f"component {number + 1} of the last epoch", float(low), float(high))
            for number, (low, high) in enumerate(zip(lows - margins, highs + margins, strict=True))
        ]
        titles = [f"epoch {epoch}" for epoch in found.epochs.tolist()]
        chart = SnapshotChart(axes[0], axes[1], titles, positions, np.asarray(found.particles)[chosen], colouring)
        colour = "" if colouring is None else f" Colour: true {colouring.axis.title}, which was not given to the run."
        words = (
            f"{run.label}: latents of the same {len(chosen)} particles at several epochs, all on the first two "
            f"principal components of the last.{colour}"
        )
        pictures.append(Picture(f"snapshots-{run.slug}", "findings", "Latents by epoch", chart, words, run.slug))
    return pictures


def project_snapshots(latents: np.ndarray) -> np.ndarray:
    """Coordinates (e, s, 2) of latents (e, s, d) on the last epoch's principal components; 0 without a second."""
    centre = latents[-1].mean(axis=0)
    _, _, axes = np.linalg.svd(latents[-1] - centre, full_matrices=False)
    positions = np.zeros((*latents.shape[:2], 2))
    positions[..., : len(axes[:2])] = (latents - centre) @ axes[:2].T
    return positions
