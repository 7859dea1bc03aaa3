"""Charts of the distribution along each collective variable, as fractions of particles and as free energies."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from cryobench.data import Dataset
from cryobench.report.axes import variable_axis
from cryobench.report.charts.kinds import Axis, LineChart, Picture, Reference, read_captions, series_by_run
from cryobench.report.scored_runs.tables import Run, by_run, column_of, gather_curve

_GROUP = "Distributions along collective variables"
MOST_VARIABLES = 6
"""Variables drawn; the table has all."""


def draw_profiles(runs: Sequence[Run], dataset: Dataset) -> list[Picture]:
    """Two pictures per collective variable."""
    table = gather_curve(runs, "profiles")
    if table.empty or dataset.truth is None:
        return []
    pictures = []
    for name in list(dict.fromkeys(table["variable"]))[:MOST_VARIABLES]:
        if name not in dataset.truth.variables:
            continue
        variable = variable_axis(name, dataset.truth.variables[name])
        factor = np.rad2deg(1.0) if dataset.truth.variables[name].unit == "rad" else 1.0
        safe = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in name)
        if any(picture.key == f"profile-share-{safe}" for picture in pictures):
            safe = f"{safe}-{len(pictures)}"
        rows = pd.DataFrame(table.loc[table["variable"] == name])
        rows = rows.assign(middle=(rows["low"] + rows["high"]) / 2 * factor)
        total = rows.groupby("slug")["true"].transform("sum")
        rows = rows.assign(true_fraction=rows["true"] / total, fraction=rows["recovered"] / total)
        first = by_run(rows)[0][1]
        for key, title, recovered, true in (
            ("share", "fraction of particles", "fraction", "true_fraction"),
            ("energy", "free energy / kT", "free_energy", "true_free_energy"),
        ):
            shape = "bars" if key == "share" else "line"
            reference = Reference("true", column_of(first, "middle"), column_of(first, true), shape)
            x = Axis(variable.title, period=variable.period)
            chart = LineChart(x, Axis(title, 0), series_by_run(rows, "middle", recovered), [reference], "steps")
            caption = f"{variable.title}: {read_captions()[f'profile-{key}']}"
            pictures.append(Picture(f"profile-{key}-{safe}", "classes", _GROUP, chart, caption))
    return pictures
