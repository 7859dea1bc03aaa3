"""All scores of one reconstruction: every metric that can be measured, and the reasons why others cannot."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np

from cryobench._one_thread import one_blas_thread
from cryobench._progress import Progress
from cryobench._version import __version__
from cryobench.data import Dataset, Reconstruction, Score, Scores
from cryobench.io.adoption.masks import check_extent, check_power
from cryobench.metrics.metric import Metric, check_particles, reads
from cryobench.metrics.registry import METRICS, get_metric, list_metrics
from cryobench.metrics.volumes.frames import Align, Frame, bring_into_frame, find_frame, fits_grid
from cryobench.metrics.volumes.query_pairs import hash_mask
from cryobench.volumes import Alignment


@runtime_checkable
class Keeper(Protocol):
    """Store of the results of single metrics, so that none is measured twice."""

    def find(self, metric: Metric) -> Scores | None:
        """Stored result of this metric if it is still valid, else None."""
        ...

    def keep(self, metric: Metric, measured: Scores) -> None:
        """Store a result as soon as it is measured."""
        ...


@one_blas_thread()
def score(
    reconstruction: Reconstruction,
    dataset: Dataset,
    metrics: Sequence[str] | None = None,
    *,
    align: Align | Frame | Sequence[Alignment] = "auto",
    mask: np.ndarray | Literal["none"] | None = None,
    resample: bool = False,
    seed: int = 0,
    progress: Progress | None = None,
    keeper: Keeper | None = None,
) -> Scores:
    """Measure a reconstruction against the truth of its data set.

    Parameters
    ----------
    metrics
        Names from ``METRICS``, or None for all that can be measured, but those that take very long here
        (``Metric.explain_wait``). The others are listed with the reason in ``Scores.context["not_measured"]``.
    align
        How volumes are aligned to the true ones before they are compared: "none"; "reconstruction", one
        transform for all; "class", one per class; "volume", one per volume; "auto", "class" if its classes have
        own frames, "reconstruction" if it gives rotations other than those the particles came with, or those are
        in another frame than the truth, else "none"; or alignments computed before. See
        ``metrics.volumes.frames``. Other metrics see the reconstruction unaligned: ``poses`` fits its own frame.
    mask
        (z, y, x) in [0, 1], to score in instead of the data set's own; "none" for none. Volumes are aligned in the
        data set's own in any case.
    resample
        Whether volumes with another box or pixel size are resampled to the data set's grid; else they are refused.
    seed
        For the bootstrap intervals, and for random draws of metrics: subsets, k-means, folds.
    keeper
        Store of results; those it has are not measured again.

    Raises
    ------
    UnknownName
        If there is no metric, or no alignment mode, of that name.
    ValueError
        If none of the metrics requested by name can be measured, or the reconstruction does not fit the data set:
        another number of particles, volumes on another grid, a mask of another shape, or an empty mask.
    """
    chosen = [get_metric(name)() for name in (list_metrics() if metrics is None else metrics)]
    check_particles(reconstruction, dataset)
    scored = dataset
    if mask is not None:
        voxels = None if isinstance(mask, str) else mask
        scored = replace(dataset, particles=replace(dataset.particles, mask=voxels))
    context: dict[str, Any] = {
        "dataset": dataset.name,
        "method": reconstruction.name,
        "version": __version__,
        "seed": seed,
        "mask_sha256": hash_mask(scored.particles.mask),
        "not_measured": {},
    }
    seen = reconstruction
    if compares_volumes(reconstruction, dataset) and any(reads(metric, "volumes") for metric in chosen):
        check_grid(reconstruction, dataset, resample=resample)
        check_mask(reconstruction, scored, scored.particles.mask)
        frame = align if isinstance(align, Frame) else find_frame(reconstruction, dataset, align, progress=progress)
        seen = bring_into_frame(reconstruction, dataset, frame)
        context["alignment"] = frame.describe()
        context["resampled"] = not fits_grid(reconstruction, dataset)
    scores: dict[str, Score] = {}
    curves: dict[str, Any] = {}
    for metric in chosen:
        try:
            reason = metric.explain_missing(seen, scored)
            measured = None if reason or keeper is None else keeper.find(metric)
            if metrics is None and not measured:
                reason = reason or metric.explain_wait(seen, scored)
            found = measured if reason or measured else metric.measure(seen, scored, seed=seed, progress=progress)
        except Exception as error:
            if metrics is not None or metric.name in METRICS:
                raise
            # An error in another package's metric does not stop the other metrics.
            context["not_measured"][metric.name] = f"failed ({type(error).__name__}: {error})"
            continue
        if found is None:
            context["not_measured"][metric.name] = reason
            continue
        if measured is None and keeper is not None:
            keeper.keep(metric, found)
        scores.update(found.scores)
        curves.update(found.curves)
        context[metric.name] = dict(found.context)
    if metrics is not None and len(context["not_measured"]) == len(chosen) > 0:
        reasons = "; ".join(f"{name} {reason}" for name, reason in context["not_measured"].items())
        raise ValueError(f"no metric asked for can be measured on {reconstruction.name}: {reasons}.")
    return Scores(scores=scores, curves=curves, context=context)


def check_mask(reconstruction: Reconstruction, dataset: Dataset, mask: np.ndarray | None) -> None:
    """FormatError if a scoring mask is nearly empty, or holds none of the true volumes' density."""
    truth = dataset.truth
    if mask is None or truth is None or truth.volumes is None:
        return
    states = truth.states[reconstruction.queries]
    check_extent(mask, "the mask")
    if (states >= 0).any():
        check_power(mask, truth.volumes, np.unique(states[states >= 0]), "the mask")


def compares_volumes(reconstruction: Reconstruction, dataset: Dataset) -> bool:
    """Whether there are volumes, or a decoder, and true volumes to compare them with."""
    has_volumes = reconstruction.volumes is not None or reconstruction.decoder is not None
    return has_volumes and dataset.truth is not None and dataset.truth.volumes is not None


def check_grid(reconstruction: Reconstruction, dataset: Dataset, *, resample: bool) -> None:
    """ValueError if volumes are on another grid than the data set's and are not to be resampled."""
    volumes, particles = reconstruction.volumes, dataset.particles
    if volumes is None or resample or fits_grid(reconstruction, dataset):
        return
    sampling = reconstruction.pixel_size or particles.pixel_size
    raise ValueError(
        f"volumes of {reconstruction.name} have {volumes.box_size} voxels of {sampling:.6g} Å a side, {dataset.name} "
        f"has {particles.box_size} of {particles.pixel_size:.6g} Å. Resample them with --resample."
    )
