"""Per-image FSC: the volume decoded at each query particle against that particle's true volume.

The published score of the benchmark. What it hides: most of the correlation is that of the rigid part, and
pooling images of different states raises it, so one map for all particles can score above maps of the true
states. Read it beside the controls (``cryobench list methods``).

Source: Jeon et al., CryoBench, NeurIPS 2024 (arXiv 2408.05526), and its code, cdrgn_per_img_fsc.py. We draw the
query particles with the data set rather than by a fixed stride, and add intervals.
"""

from collections.abc import Iterator
from hashlib import sha256
from typing import Literal

import numpy as np
import pandas as pd
from torch import Tensor

from cryobench._progress import Progress
from cryobench.data import Dataset, Reconstruction, Scores, VolumeSource
from cryobench.metrics.fsc_curve import (
    FscCurve,
    Resolution,
    correlate,
    fsc,
    fsc_auc,
    resolution,
    transform_masked,
)
from cryobench.metrics.metric import Metric, ScoreKind, shown
from cryobench.metrics.uncertainty import summarise

__all__ = ["FscCurve", "PerImageFsc", "Resolution", "fsc", "fsc_auc", "per_image_fsc", "resolution"]

THRESHOLDS = (0.5, 0.143)


def per_image_fsc(
    reconstruction: Reconstruction,
    dataset: Dataset,
    *,
    mask: np.ndarray | Literal["dataset"] | None = "dataset",
    seed: int = 0,
    progress: Progress | None = None,
) -> Scores:
    """FSC of every query volume with the truth of its particle, unmasked and inside a mask.

    Parameters
    ----------
    mask
        (z, y, x), or "dataset" for the data set's own (skipped if it has none), or None to measure unmasked only.
    seed
        Of the bootstrap intervals over query particles.

    Returns
    -------
    Scores "fsc-auc" (published, in cycles/px), "fsc-auc-normalised" (perfect is 1), "resolution-0.5" and
    "resolution-0.143" (median over queries, in Å; the items' column ``crossed`` is False where the curve never
    fell below the threshold and the value is only a bound), and the same with "-masked". The curve "fsc" has one
    row per particle, mask ("none" or "mask") and shell. ``context`` counts the queries left out because their
    true state is unknown.

    Raises
    ------
    ValueError
        If there is no truth or no volume, the boxes differ, a query particle is not one of the data set, or the
        state of every query is unknown.
    """
    states, true_volumes, volumes = _check_inputs(reconstruction, dataset)
    if isinstance(mask, str):
        mask = dataset.particles.mask
    if mask is not None and mask.shape != (true_volumes.box_size,) * 3:
        raise ValueError(f"the mask has shape {mask.shape}, the volumes have {true_volumes.box_size} voxels a side.")
    masks: dict[str, np.ndarray | None] = {"none": None} if mask is None else {"none": None, "mask": mask}
    queries = reconstruction.queries
    known = np.flatnonzero(states[queries] >= 0)
    if len(known) == 0:
        raise ValueError(f"the true state of all {len(queries)} query particles is unknown: nothing to compare with.")

    curves: dict[tuple[int, str], FscCurve] = {}
    with shown(progress).task("per-image FSC", len(known)) as task:
        for item, spectra, truth_spectra in _pair_up(known, queries, volumes, states, true_volumes, masks):
            for name in masks:
                curves[item, name] = correlate(spectra[name], truth_spectra[name], volumes.box_size)
            task.advance()

    particles = queries[known]
    scores = {}
    for name in masks:
        suffix = "" if name == "none" else "-masked"
        of_mask = [curves[int(item), name] for item in known]
        tables = _tabulate(particles, of_mask, dataset.particles.pixel_size)
        for base, table in tables.items():
            statistic = "median" if base.startswith("resolution") else "mean"
            scores[base + suffix] = summarise(base + suffix, table, seed=seed, statistic=statistic)
    context = {
        "mask_sha256": None if mask is None else sha256(np.ascontiguousarray(mask, np.float32).tobytes()).hexdigest(),
        "box_size": volumes.box_size,
        "pixel_size": dataset.particles.pixel_size,
        "n_queries": len(queries),
        "n_unknown_state": len(queries) - len(known),
    }
    return Scores(scores=scores, curves={"fsc": _lay_out(particles, known, curves, masks)}, context=context)


def _check_inputs(reconstruction: Reconstruction, dataset: Dataset) -> tuple[np.ndarray, VolumeSource, VolumeSource]:
    """True states of all particles, true volumes, volumes of the reconstruction."""
    if dataset.truth is None:
        raise ValueError(f"data set {dataset.name} has no truth to compare with.")
    if dataset.truth.volumes is None:
        raise ValueError(f"data set {dataset.name} has labels but no true volumes to compare with.")
    if reconstruction.volumes is None:
        raise ValueError(f"{reconstruction.name} has no volumes: per-image FSC cannot be measured.")
    volumes, true_volumes, states = reconstruction.volumes, dataset.truth.volumes, dataset.truth.states
    if volumes.box_size != true_volumes.box_size:
        raise ValueError(
            f"volumes of {reconstruction.name} have {volumes.box_size} voxels a side, the truth has "
            f"{true_volumes.box_size}: resample them onto the data set's grid when importing."
        )
    outside = (reconstruction.queries < 0) | (reconstruction.queries >= len(states))
    if outside.any():
        raise ValueError(
            f"query particle {reconstruction.queries[np.argmax(outside)]} of {reconstruction.name} is not among the "
            f"{len(states)} particles of {dataset.name}: was it made from another data set?"
        )
    return states, true_volumes, volumes


def _pair_up(
    known: np.ndarray,
    queries: np.ndarray,
    volumes: VolumeSource,
    states: np.ndarray,
    true_volumes: VolumeSource,
    masks: dict[str, np.ndarray | None],
) -> Iterator[tuple[int, dict[str, Tensor], dict[str, Tensor]]]:
    """Spectra of each query's volume and of its truth, state by state: each truth is read and transformed once."""
    of_queries = states[queries]
    current, truth_spectra = -1, {}
    for item in known[np.argsort(of_queries[known], kind="stable")]:
        if of_queries[item] != current:
            current = of_queries[item]
            true_volume = true_volumes.read(int(current))
            truth_spectra = {name: transform_masked(true_volume, mask) for name, mask in masks.items()}
        volume = volumes.read(int(item))
        if not np.isfinite(volume).all():
            raise ValueError(f"the volume of query particle {queries[item]} holds NaN or infinite voxels.")
        yield int(item), {name: transform_masked(volume, mask) for name, mask in masks.items()}, truth_spectra


def _tabulate(particles: np.ndarray, curves: list[FscCurve], pixel_size: float) -> dict[str, pd.DataFrame]:
    """Score name without suffix -> one row per query particle."""
    tables = {
        "fsc-auc": pd.DataFrame({"particle": particles, "value": [fsc_auc(curve) for curve in curves]}),
        "fsc-auc-normalised": pd.DataFrame(
            {"particle": particles, "value": [fsc_auc(curve, normalised=True) for curve in curves]}
        ),
    }
    for threshold in THRESHOLDS:
        read = [resolution(curve, threshold, pixel_size) for curve in curves]
        tables[f"resolution-{threshold}"] = pd.DataFrame(
            {
                "particle": particles,
                "value": [entry.value for entry in read],
                "crossed": [entry.crossed for entry in read],
            }
        )
    return tables


def _lay_out(
    particles: np.ndarray,
    known: np.ndarray,
    curves: dict[tuple[int, str], FscCurve],
    masks: dict[str, np.ndarray | None],
) -> pd.DataFrame:
    """Long table of all curves: particle, mask, shell, frequency (cycles/px), fsc."""
    frames = []
    for name in masks:
        for particle, item in zip(particles, known, strict=True):
            curve = curves[int(item), name]
            frames.append(
                pd.DataFrame(
                    {
                        "particle": particle,
                        "mask": name,
                        "shell": np.arange(len(curve.values)),
                        "frequency": curve.frequencies,
                        "fsc": curve.values,
                    }
                )
            )
    return pd.concat(frames, ignore_index=True)


def _kinds() -> tuple[ScoreKind, ...]:
    kinds = []
    for suffix, where in (("", ""), ("-masked", ", in the mask")):
        kinds += [
            ScoreKind(f"fsc-auc{suffix}", f"FSC-AUC{where}", "cycles/px", "higher", -0.5, 0.5),
            ScoreKind(f"fsc-auc-normalised{suffix}", f"FSC-AUC, normalised{where}", "", "higher", -1.0, 1.0),
        ]
        kinds += [
            ScoreKind(
                f"resolution-{threshold}{suffix}",
                f"Resolution at FSC {threshold}{where}",
                "Å",
                "lower",
                0.0,
                float("inf"),
                "median",
            )
            for threshold in THRESHOLDS
        ]
    return tuple(kinds)


class PerImageFsc(Metric):
    """FSC of the volume at each query particle with the true volume of that particle."""

    name = "per-image-fsc"
    label = "Per-image FSC"
    scores = _kinds()
    needs = frozenset({"volumes", "true volumes"})
    reference = "Jeon et al., CryoBench, NeurIPS 2024, arXiv:2408.05526"

    def explain_missing(self, reconstruction: Reconstruction, dataset: Dataset) -> str | None:
        """As ``Metric.explain_missing``; nor can it be measured when no query particle has a known state."""
        missing = super().explain_missing(reconstruction, dataset)
        if missing is not None or dataset.truth is None:
            return missing
        queries = reconstruction.queries[reconstruction.queries < len(dataset.truth)]
        if len(queries) and (dataset.truth.states[queries] < 0).all():
            return f"needs a query particle of known state, and all {len(queries)} are unlabelled"
        return None

    def measure(
        self, reconstruction: Reconstruction, dataset: Dataset, *, seed: int = 0, progress: Progress | None = None
    ) -> Scores:
        """See ``per_image_fsc``; masked by the data set's mask if it has one."""
        return per_image_fsc(reconstruction, dataset, seed=seed, progress=progress)
