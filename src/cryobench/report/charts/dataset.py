"""Charts of a data set: signal and noise, contrast transfer, poses, variables, states and their components."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from cryobench.report.card.composition import Assembly
from cryobench.report.card.contents import Card
from cryobench.report.card.variables import Histogram
from cryobench.report.charts.kinds import (
    Axis,
    BarChart,
    Chart,
    GraphChart,
    GridChart,
    LineChart,
    Reference,
    ScatterChart,
    Series,
    SphereChart,
)
from cryobench.report.colours import BLUE, GREEN, ORANGE
from cryobench.report.runs.styles import RunStyle
from cryobench.report.runs.tables import column_of

_FREQUENCY = "spatial frequency / Å⁻¹"
_GREY = "#808080"


def draw_card(card: Card) -> dict[str, Chart]:
    """Charts of a card by their name on the page; there is none for unknown quantities."""
    charts: dict[str, Chart | None] = {
        "states": None if card.states is None else _draw_states(card.states),
        "spectra": _draw_power(card.spectra.table, from_truth=card.spectra.from_truth),
        "snr": _draw_ratio(card.spectra.table),
        "defocus": _draw_histogram("defocus / µm", card.ctf["defocus"]),
        "astigmatism": _draw_histogram("astigmatism / nm", card.ctf["astigmatism"]),
        "ctf": _draw_ctf(card.ctf_curves),
        "directions": None if card.directions is None else _draw_directions(card.directions),
        "psi": None if card.poses is None else _draw_psi(card.poses),
        "shifts": None if card.poses is None else _draw_shifts(card.poses),
        **{f"variable-{number}": _draw_variable(each) for number, each in enumerate(card.histograms)},
        "pair": None if card.pair is None else _draw_pair(card.pair),
        "occupancies": None if card.occupancies is None else _draw_occupancies(card.occupancies),
        "assembly": None if card.assembly is None else _draw_assembly(card.assembly),
        "conventions": None if card.check is None or card.check.curves is None else _draw_check(card.check.curves),
    }
    return {name: chart for name, chart in charts.items() if chart is not None}


def _named(x: Axis, y: Axis, curves: Mapping[str, tuple[Any, Any]], styles: list[RunStyle], *references: Reference):
    """Line chart of curves (x, y) by name, drawn in the given styles."""
    series = [
        Series(name, np.asarray(xs, dtype=np.float64), np.asarray(ys, dtype=np.float64))
        for name, (xs, ys) in curves.items()
    ]
    return LineChart(x, y, series, list(references), styles={style.label: style for style in styles})


def _draw_power(table: pd.DataFrame, *, from_truth: bool) -> LineChart:
    signal = "signal" if from_truth else "images minus noise"
    frequency = table["frequency"]
    curves = {"images": (frequency, table["images"]), "noise": (frequency, table["noise"])}
    # A logarithmic axis cannot show zero or negative values.
    curves[signal] = (frequency, table["signal"].where(table["signal"] > 0))
    styles = [RunStyle("images", BLUE), RunStyle("noise", _GREY, "dash"), RunStyle(signal, ORANGE)]
    return _named(Axis(_FREQUENCY), Axis("power", logarithmic=True), curves, styles)


def _draw_ratio(table: pd.DataFrame) -> LineChart:
    frequency = table["frequency"]
    curves = {"signal over noise": (frequency, table["snr"].where(table["snr"] > 0))}
    ends = np.array([frequency.min(), frequency.max()])
    one = Reference("1", ends, np.ones(2), "dotted")
    y = Axis("signal-to-noise ratio", logarithmic=True)
    return _named(Axis(_FREQUENCY), y, curves, [RunStyle("signal over noise", GREEN)], one)


def _draw_ctf(table: pd.DataFrame) -> LineChart:
    """CTFs of the particles of lowest, median and highest defocus; the envelope of the median one if it has any."""
    groups = {f"{rows['defocus'].iloc[0]:.2f} µm": rows for _, rows in table.groupby("particle", sort=False)}
    styles = [RunStyle(name, colour) for name, colour in zip(groups, (ORANGE, GREEN, BLUE), strict=False)]
    middle = list(groups.values())[len(groups) // 2]
    frequency, envelope = column_of(middle, "frequency"), column_of(middle, "envelope")
    references = [
        Reference("envelope" if sign > 0 else "", frequency, sign * envelope, "dotted")
        for sign in (1, -1)
        if envelope.min() < 1
    ]
    curves = {name: (rows["frequency"], rows["value"]) for name, rows in groups.items()}
    return _named(Axis(_FREQUENCY), Axis("CTF", -1.05, 1.05), curves, styles, *references)


def _draw_check(table: pd.DataFrame) -> LineChart:
    curves = {str(name): (rows["frequency"], rows["fsc"]) for name, rows in table.groupby("curve", sort=False)}
    styles = [RunStyle(name, colour) for name, colour in zip(curves, (BLUE, ORANGE, _GREY), strict=False)]
    return _named(Axis(_FREQUENCY), Axis("FSC of half-maps", -0.3, 1.05), curves, styles)


def _draw_histogram(title: str, values: Any, bins: Any = 30) -> BarChart:
    counts, edges = np.histogram(np.asarray(values, dtype=np.float64), bins=bins)
    return BarChart(
        Axis(title), Axis("particles", 0), (edges[:-1] + edges[1:]) / 2, counts, float(edges[1] - edges[0])
    )


def _draw_psi(table: pd.DataFrame) -> BarChart:
    edges = np.linspace(-180, 180, 25)
    counts = np.histogram(table["psi"], edges)[0]
    x = Axis("in-plane angle / °", -180, 180, period=360)
    return BarChart(x, Axis("particles", 0), (edges[:-1] + edges[1:]) / 2, counts, 15.0)


def _draw_variable(histogram: Histogram) -> BarChart:
    x = Axis(histogram.axis.title, *histogram.turn, period=histogram.axis.period)
    return BarChart(x, Axis("particles", 0), histogram.centres, histogram.counts, histogram.width)


def _draw_states(table: pd.DataFrame) -> BarChart:
    states = column_of(table, "state")
    width = float(np.diff(states).min()) if len(states) > 1 else 1.0
    x = Axis("state", states.min() - width / 2, states.max() + width / 2, whole=True)
    return BarChart(x, Axis("particles", 0), states, column_of(table, "particles"), width)


def _draw_directions(table: pd.DataFrame) -> SphereChart:
    centres = table[["longitude", "latitude"]].to_numpy(float)
    return SphereChart(table["outline"].tolist(), centres, table["count"].to_numpy(float), "particles per cell")


def _draw_shifts(table: pd.DataFrame) -> ScatterChart:
    positions = table[["x", "y"]].to_numpy(float)
    middle, reach = (
        (positions.min(axis=0) + positions.max(axis=0)) / 2,
        1.05 * max(float(np.ptp(positions, axis=0).max()), 0.1) / 2,
    )
    x, y = (
        Axis(f"shift {name} / Å", float(centre - reach), float(centre + reach))
        for name, centre in zip("xy", middle, strict=True)
    )
    return ScatterChart(x, y, positions, table["particle"].to_numpy(int), plain=True)


def _draw_pair(table: pd.DataFrame) -> ScatterChart:
    x, y = (Axis(title) for title in table.attrs["titles"])
    return ScatterChart(x, y, table[["first", "second"]].to_numpy(float), table["particle"].to_numpy(int), plain=True)


def _draw_occupancies(table: pd.DataFrame) -> GridChart:
    columns, rows = ([str(name) for name in names] for names in (table.columns, table.index))
    return GridChart(Axis("state"), Axis("component"), columns, rows, table.to_numpy(float), title="occupancy")


def _draw_assembly(assembly: Assembly) -> GraphChart:
    nodes = assembly.nodes
    names = [str(name) for name in nodes["name"]]
    positions, particles = nodes[["x", "y"]].to_numpy(float), nodes["particles"].to_numpy(float)
    return GraphChart(Axis("components present", whole=True), names, positions, particles, assembly.edges)
