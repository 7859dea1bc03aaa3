"""A series of data sets that differ in one setting only, with a common seed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from cryobench._errors import UnknownName
from cryobench._progress import Progress, Silent
from cryobench.data import Dataset
from cryobench.io.atomic import write_text
from cryobench.recipes.registry import get_recipe
from cryobench.recipes.simulate import build_settings, simulate


def sweep(
    recipe: str,
    folder: str | Path,
    *,
    vary: str | None = None,
    values: Sequence[Any] = (),
    series: str | None = None,
    preset: str = "lite",
    structures: Sequence[str | Path] = (),
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
    workers: int = 1,
    progress: Progress | None = None,
) -> list[Dataset]:
    """Simulate one data set for each value of one setting, into FOLDER/SETTING-VALUE, and a table FOLDER/sweep.csv.

    Parameters
    ----------
    recipe, preset, structures, seed, settings, workers, progress
        As in ``simulate``; the same for all.
    folder
        Folder of the series.
    vary, values
        The setting that varies, and its values.
    series
        A published series of the recipe instead, such as "noise" of igg-1d.

    Raises
    ------
    UnknownName
        No such recipe, preset, setting or series.
    ValueError
        Neither or both of ``vary`` and ``series``, no values, one twice, or one out of range: before any is made.
    """
    chosen = get_recipe(recipe)
    if (vary is None) == (series is None):
        raise ValueError("expected either a setting with values (--vary) or the name of a series (--series).")
    if series is not None:
        if series not in chosen.series:
            raise UnknownName(f"series of {chosen.name}", series, chosen.series)
        vary, values = chosen.series[series]
    names = [f"{vary}-{_short(value)}" for value in values]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"a sweep over {vary} needs distinct values, got {list(values)}.")
    same = dict(settings or {})
    if vary in same:
        raise ValueError(f"{vary} varies, so it cannot also be set to {same[vary]!r}.")
    for value in values:
        build_settings(chosen, preset, {**same, str(vary): value})
    progress = progress or Silent()
    made = []
    with progress.task(f"{len(names)} data sets that differ in {vary}", total=len(names)) as task:
        for name, value in zip(names, values, strict=True):
            dataset = simulate(
                recipe,
                Path(folder) / name,
                preset=preset,
                structures=structures,
                seed=seed,
                settings={**same, str(vary): value},
                workers=workers,
                progress=progress,
            )
            made.append(dataset)
            task.advance()
    table = pd.DataFrame(
        {
            "dataset": names,
            str(vary): list(values),
            "particles": [len(dataset.particles) for dataset in made],
            "snr_all_pixels": [dataset.card["snr"]["all_pixels"] for dataset in made],
            "sha256": [dataset.card["sha256"] for dataset in made],
        }
    )
    write_text(Path(folder) / "sweep.csv", table.to_csv(index=False))
    return made


def _short(value: object) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text.replace("/", "_").replace(" ", "-")
