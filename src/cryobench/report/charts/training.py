"""Charts of trainings: the terms of the loss over the epochs, and latents as they were by epoch."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from cryobench.data import Dataset, LatentSnapshots
from cryobench.report.charts.kinds import Axis, LineChart, Picture, Series, SnapshotChart
from cryobench.report.findings.tables import tabulate_terms
from cryobench.report.runs.colourings import colourings
from cryobench.report.runs.tables import Run, by_run, column_of

MOST_SHOWN = 600
"""Particles drawn of a snapshot."""
_TITLES = {"loss": "loss", "residual": "squared residual", "kl": "KL divergence / nat"}


def draw_terms(runs: Sequence[Run]) -> list[Picture]:
    """A chart of each term of the loss, for the runs that mean the same by it."""
    table = tabulate_terms(runs)
    pictures = []
    for definition, term in dict.fromkeys(zip(table["definition"], table["term"], strict=True)):
        alike = pd.DataFrame(table.loc[(table["definition"] == definition) & (table["term"] == term)])
        series = [Series(slug, column_of(rows, "epoch"), column_of(rows, "value")) for slug, rows in by_run(alike)]
        title = str(_TITLES.get(term, term))
        chart = LineChart(Axis("epoch"), Axis(title), series)
        words = (
            f"Training: {title} over the epochs, each point the mean over a stretch of steps"
            f" ({definition}). Before epoch 0: a pass to begin with. A curve that still falls was stopped early; one"
            " that is level may have learnt noise."
        )
        key = f"training-{term}"
        taken = sum(picture.key.startswith(key) for picture in pictures)
        pictures.append(Picture(f"{key}-{taken + 1}" if taken else key, "findings", "Training", chart, words))
    return pictures


def draw_snapshots(runs: Sequence[Run], dataset: Dataset) -> list[Picture]:
    """Latents by epoch of each run, in the plane of the principal components of the last."""
    colouring = next((each for each in colourings(dataset) if not each.leak), None)
    pictures = []
    for run in runs:
        found = run.find(LatentSnapshots)
        if found is None or len(found.epochs) < 2 or len(found.particles) < 2:
            continue
        chosen = np.unique(np.linspace(0, len(found.particles) - 1, MOST_SHOWN).astype(int))
        places = project_snapshots(np.asarray(found.latents, dtype=np.float64))[:, chosen]
        lows, highs = (function(places, axis=(0, 1)) for function in (np.min, np.max))
        margins = np.maximum(0.05 * (highs - lows), 1e-6)
        axes = [
            Axis(f"component {number + 1} of the last epoch", float(low), float(high))
            for number, (low, high) in enumerate(zip(lows - margins, highs + margins, strict=True))
        ]
        titles = [f"epoch {epoch}" for epoch in found.epochs.tolist()]
        chart = SnapshotChart(axes[0], axes[1], titles, places, np.asarray(found.particles)[chosen], colouring)
        colour = "" if colouring is None else f" Colour: {colouring.axis.title}, of the truth, which no run sees."
        words = (
            f"{run.label}: latents of the same {len(chosen)} particles after some epochs, all in the plane of the "
            f"principal components of the last.{colour}"
        )
        pictures.append(Picture(f"snapshots-{run.slug}", "findings", "Latents by epoch", chart, words, run.slug))
    return pictures


def project_snapshots(latents: np.ndarray) -> np.ndarray:
    """(e, s, 2) of latents (e, s, d) on the principal components of the last epoch; 0 where there is no second."""
    centre = latents[-1].mean(axis=0)
    _, _, axes = np.linalg.svd(latents[-1] - centre, full_matrices=False)
    places = np.zeros((*latents.shape[:2], 2))
    places[..., : len(axes[:2])] = (latents - centre) @ axes[:2].T
    return places
