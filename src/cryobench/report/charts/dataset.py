"""Charts of a data set: signal and noise, contrast transfer, poses, variables, states and their components."""

from collections.abc import Mapping
from functools import partial
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
from cryobench.report.scored_runs.styles import RunStyle
from cryobench.report.scored_runs.tables import column_of

_GREY = "#808080"


def draw_card(card: Card) -> dict[str, Chart]:
    """Charts of a card by their name on the page; there is none for unknown quantities."""
    psi = Axis("in-plane angle / °", -180, 180, period=360)
    signal = "signal" if card.spectra.from_truth else "images minus noise"
    wanted = {
        "states": (_draw_states, card.states),
        "spectra": (partial(_draw_power, signal), card.spectra.table),
        "snr": (_draw_ratio, card.spectra.table),
        "defocus": (partial(_draw_histogram, Axis("defocus / µm"), "defocus"), card.ctf),
        "astigmatism": (partial(_draw_histogram, Axis("astigmatism / nm"), "astigmatism"), card.ctf),
        "ctf": (_draw_ctf, card.ctf_curves),
        "directions": (_draw_directions, card.directions),
        "psi": (partial(_draw_histogram, psi, "psi", bins=np.linspace(-180, 180, 25)), card.poses),
        "shifts": (_draw_shifts, card.poses),
        **{f"variable-{number}": (_draw_variable, each) for number, each in enumerate(card.histograms)},
        "pair": (_draw_pair, card.pair),
        "occupancies": (_draw_occupancies, card.occupancies),
        "assembly": (_draw_assembly, card.assembly),
        "conventions": (_draw_check, None if card.check is None else card.check.curves),
    }
    return {name: draw(content) for name, (draw, content) in wanted.items() if content is not None}


def _draw_curves(y: Axis, curves: Mapping[RunStyle, tuple[Any, Any]], *references: Reference) -> LineChart:
    """Curves over spatial frequency, each (x, y) in its own style."""
    series = [
        Series(style.label, *(np.asarray(values, dtype=np.float64) for values in curve))
        for style, curve in curves.items()
    ]
    styles = {style.label: style for style in curves}
    return LineChart(Axis("spatial frequency / Å⁻¹"), y, series, list(references), styles=styles)


def _draw_power(signal: str, table: pd.DataFrame) -> LineChart:
    frequency = table["frequency"]
    looks = {"images": RunStyle("images", BLUE), "noise": RunStyle("noise", _GREY, "dash")}
    looks["signal"] = RunStyle(signal, ORANGE)
    # A logarithmic axis cannot show zero or negative values.
    curves = {style: (frequency, table[name].where(table[name] > 0)) for name, style in looks.items()}
    return _draw_curves(Axis("power", logarithmic=True), curves)


def _draw_ratio(table: pd.DataFrame) -> LineChart:
    frequency = table["frequency"]
    curves = {RunStyle("signal over noise", GREEN): (frequency, table["snr"].where(table["snr"] > 0))}
    one = Reference("1", np.array([frequency.min(), frequency.max()]), np.ones(2), "dotted")
    return _draw_curves(Axis("signal-to-noise ratio", logarithmic=True), curves, one)


def _draw_ctf(table: pd.DataFrame) -> LineChart:
    """CTFs of the particles of lowest, median and highest defocus; the envelope of the median one if it has any."""
    groups = {f"{rows['defocus'].iloc[0]:.2f} µm": rows for _, rows in table.groupby("particle", sort=False)}
    curves = {
        RunStyle(name, colour): (rows["frequency"], rows["value"])
        for (name, rows), colour in zip(groups.items(), (ORANGE, GREEN, BLUE), strict=False)
    }
    middle = list(groups.values())[len(groups) // 2]
    frequency, envelope = column_of(middle, "frequency"), column_of(middle, "envelope")
    references = [
        Reference("envelope" if sign > 0 else "", frequency, sign * envelope, "dotted")
        for sign in (1, -1)
        if envelope.min() < 1
    ]
    return _draw_curves(Axis("CTF", -1.05, 1.05), curves, *references)


def _draw_check(table: pd.DataFrame) -> LineChart:
    curves = {
        RunStyle(str(name), colour): (rows["frequency"], rows["fsc"])
        for (name, rows), colour in zip(table.groupby("curve", sort=False), (BLUE, ORANGE, _GREY), strict=False)
    }
    return _draw_curves(Axis("FSC of half-maps", -0.3, 1.05), curves)


def _draw_histogram(x: Axis, column: str, table: pd.DataFrame, bins: Any = 30) -> BarChart:
    counts, edges = np.histogram(column_of(table, column), bins=bins)
    return BarChart(x, Axis("particles", 0), (edges[:-1] + edges[1:]) / 2, counts, float(edges[1] - edges[0]))


def _draw_variable(histogram: Histogram) -> BarChart:
    x = Axis(histogram.axis.title, *histogram.turn, period=histogram.axis.period)
    return BarChart(x, Axis("particles", 0), *histogram.bars, histogram.width)


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
    middle = (positions.min(axis=0) + positions.max(axis=0)) / 2
    reach = 1.05 * max(float(np.ptp(positions, axis=0).max()), 0.1) / 2
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
