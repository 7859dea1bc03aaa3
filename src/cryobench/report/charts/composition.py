"""Chart of the occupancy error of each component."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from cryobench.report.charts.kinds import Axis, DotChart, Picture, Reference, Series, shown_limits
from cryobench.report.runs.tables import Run, by_run, column_of, gather_items

MOST_COMPONENTS = 60
"""Components drawn, those with the largest errors; the table has all."""
_WORDS = (
    "Occupancy error of each component: difference between the occupancy expected from a particle's class and that "
    "of its true state, mean over particles. 0 is perfect; the grey tick is chance (shuffled labels). Confusing "
    "states that differ in one small part costs little. Occupancies come from classes, not from density: a "
    "component missing from the volume of the correct class is not detected here."
)


def draw_composition(runs: Sequence[Run]) -> list[Picture]:
    """Dot chart with one row per component whose occupancy differs between states."""
    table = gather_items(runs, "occupancy-error")
    if table.empty:
        return []
    errors: dict[str, float] = {}
    chances: dict[str, float] = {}
    for row in table.to_dict("records"):
        name = str(row["component"])
        errors[name] = max(errors.get(name, 0.0), float(row["value"]))
        chances[name] = max(chances.get(name, 0.0), float(row["chance"]))
    shown = sorted(errors, key=lambda name: -errors[name])[:MOST_COMPONENTS]
    names = [name for name in errors if name in shown]
    table = pd.DataFrame(table.loc[table["component"].isin(names)])
    series = [
        Series(
            slug, column_of(rows, "value"), np.array([names.index(name) for name in rows["component"]], dtype=float)
        )
        for slug, rows in by_run(table)
    ]
    chance = np.array([chances[name] for name in names])
    references = [Reference("chance", chance, np.arange(len(names), dtype=np.float64))]
    high = shown_limits(np.r_[column_of(table, "value"), chance], low=0, high=0.05)[1] * 1.05
    chart = DotChart(Axis("occupancy error", -0.02 * high, high), [str(name) for name in names], series, references)
    return [Picture("composition", "classes", "Composition", chart, _WORDS)]
