"""What runs found, as tables in long form: one row per component, class, shell, iteration or point of a path.

All have the columns slug and run. Runs without the arrays have no rows.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from cryobench.data import Dataset
from cryobench.report.findings.arrays import model_array, read_density
from cryobench.report.tables import Run


def tabulate_variances(runs: Sequence[Run]) -> pd.DataFrame:
    """Variance of the latents along each component, counted from 1: columns component, variance."""
    return _gather(runs, ("component", "variance"), _variances)


def _variances(run: Run) -> Iterable[tuple[Any, ...]]:
    values = model_array(run, "variances", 1)
    return [] if values is None else enumerate(values.astype(float).tolist(), start=1)


def tabulate_half_sets(runs: Sequence[Run], dataset: Dataset) -> pd.DataFrame:
    """Half-set FSC: columns class (−1 where there is one curve for all), shell, frequency in 1/Å, fsc."""
    length = dataset.particles.box_size * dataset.particles.pixel_size
    return _gather(runs, ("class", "shell", "frequency", "fsc"), lambda run: _half_sets(run, length))


def _half_sets(run: Run, length: float) -> Iterable[tuple[Any, ...]]:
    curves = model_array(run, "half_set_fsc", 1, 2)
    if curves is None:
        return
    for number, curve in enumerate(np.atleast_2d(curves)):
        name = -1 if curves.ndim == 1 else number
        for shell, value in enumerate(curve.astype(float).tolist()):
            yield name, shell, shell / length, value


def tabulate_classes(runs: Sequence[Run]) -> pd.DataFrame:
    """Classes: columns class, population (share of the particles), resolution in Å; NaN where it is not known.

    A class without particles has no resolution.
    """
    return _gather(runs, ("class", "population", "resolution"), _classes)


def _classes(run: Run) -> Iterable[tuple[Any, ...]]:
    columns = [model_array(run, name, 1) for name in ("populations", "resolutions")]
    known = [values for values in columns if values is not None]
    if not known or len({len(values) for values in known}) > 1:
        return []
    count = len(known[0])
    populations, resolutions = (
        np.full(count, np.nan) if values is None else values.astype(np.float64) for values in columns
    )
    resolutions = np.where(populations == 0, np.nan, resolutions)
    return zip(range(count), populations.tolist(), resolutions.tolist(), strict=True)


def tabulate_progress(runs: Sequence[Run]) -> pd.DataFrame:
    """Objective of each iteration that the record's log has: columns definition, iteration, objective."""
    return _gather(runs, ("definition", "iteration", "objective"), _progress)


def _progress(run: Run) -> Iterable[tuple[Any, ...]]:
    log = run.record.get("log")
    if run.status == "failed" or not isinstance(log, Sequence) or isinstance(log, str):
        return
    definition = str(run.record.get("objective_definition") or "")
    for entry in log:
        if isinstance(entry, Mapping) and all(_is_number(entry.get(name)) for name in ("iteration", "objective")):
            yield definition, int(entry["iteration"]), float(entry["objective"])


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and bool(np.isfinite(value))


def tabulate_densities(runs: Sequence[Run]) -> pd.DataFrame:
    """Density at each point of its grid: columns first, second (NaN where it is over one latent), density."""
    return _gather(runs, ("first", "second", "density"), _densities)


def _densities(run: Run) -> Iterable[tuple[Any, ...]]:
    found = read_density(run)
    if found is None:
        return []
    values, axes = found
    places = np.meshgrid(*axes, indexing="ij")
    second = places[1] if len(axes) > 1 else np.full(values.shape, np.nan)
    return zip(places[0].ravel().tolist(), second.ravel().tolist(), values.ravel().tolist(), strict=True)


def tabulate_paths(runs: Sequence[Run]) -> pd.DataFrame:
    """Latents along the path through each latent space, frames counted from 1: columns frame, axis, latent."""
    return _gather(runs, ("frame", "axis", "latent"), _paths)


def _paths(run: Run) -> Iterable[tuple[Any, ...]]:
    path = model_array(run, "path_latents", 2)
    if path is None:
        return
    for (frame, axis), value in np.ndenumerate(path.astype(np.float64)):
        yield frame + 1, axis + 1, float(value)


def collect_notes(runs: Sequence[Run]) -> dict[str, list[str]]:
    """What the methods want their user to read, by slug, in the order of the runs."""
    notes = {run.slug: run.record.get("notes") for run in runs if run.status != "failed"}
    return {slug: [str(each) for each in said] for slug, said in notes.items() if isinstance(said, list) and said}


def _gather(
    runs: Sequence[Run], columns: tuple[str, ...], rows_of: Callable[[Run], Iterable[tuple[Any, ...]]]
) -> pd.DataFrame:
    rows = [(run.slug, run.label, *row) for run in runs for row in rows_of(run)]
    return pd.DataFrame(rows, columns=["slug", "run", *columns])
