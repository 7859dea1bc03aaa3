"""The tables of a card as the page's scripts read them: plain JSON, numbers rounded, what is not known null."""

from typing import Any

import numpy as np

from cryobench.report.card.contents import Card
from cryobench.report.page import number, numbers


def card_data(card: Card) -> dict[str, Any]:
    """What every plot of a card but the surfaces is drawn from."""
    return {
        "ctf": _ctf(card),
        "poses": _poses(card),
        "states": None
        if card.states is None
        else {"state": card.states["state"].tolist(), "particles": card.states["particles"].tolist()},
        "spectra": _spectra(card),
        "variables": [
            {
                "title": histogram.axis.title,
                "period": histogram.axis.period,
                "middle": numbers(histogram.centres),
                "width": number(histogram.width),
                "count": histogram.counts.tolist(),
                "range": numbers(histogram.turn),
            }
            for histogram in card.histograms
        ],
        "pair": None
        if card.pair is None
        else {
            "titles": card.pair.attrs["titles"],
            "particle": card.pair["particle"].tolist(),
            "first": numbers(card.pair["first"]),
            "second": numbers(card.pair["second"]),
        },
        "occupancies": None
        if card.occupancies is None
        else {
            "states": [str(name) for name in card.occupancies.columns],
            "components": [str(name) for name in card.occupancies.index],
            "values": [numbers(row, 3) for row in card.occupancies.to_numpy()],
        },
        "assembly": _assembly(card),
        "conventions": _conventions(card),
    }


def _conventions(card: Card) -> list[dict[str, Any]]:
    if card.check is None or card.check.curves is None:
        return []
    return [
        {"name": name, "frequency": numbers(rows["frequency"], 4), "fsc": numbers(rows["fsc"], 4)}
        for name, rows in card.check.curves.groupby("curve", sort=False)
    ]


def _spectra(card: Card) -> dict[str, Any]:
    table = card.spectra.table
    columns = {name: numbers(table[name], 4) for name in ("frequency", "images", "noise")}
    # A logarithmic axis has no place for what is zero or less.
    columns |= {name: numbers(np.where(table[name] > 0, table[name], np.nan), 4) for name in ("signal", "snr")}
    return {**columns, "from_truth": card.spectra.from_truth}


def _assembly(card: Card) -> dict[str, Any] | None:
    if card.assembly is None:
        return None
    nodes = card.assembly.nodes
    return {
        "name": [str(name) for name in nodes["name"]],
        "particles": [int(count) for count in nodes["particles"]],
        "x": numbers(nodes["x"]),
        "y": numbers(nodes["y"]),
        "edges": card.assembly.edges.tolist(),
    }


def _histogram(values: Any, bins: Any = 30) -> dict[str, Any]:
    counts, edges = np.histogram(np.asarray(values, dtype=np.float64), bins=bins)
    return {
        "middle": numbers((edges[:-1] + edges[1:]) / 2),
        "width": number(edges[1] - edges[0]),
        "count": [int(count) for count in counts],
    }


def _ctf(card: Card) -> dict[str, Any]:
    return {
        "defocus": _histogram(card.ctf["defocus"]),
        "astigmatism": _histogram(card.ctf["astigmatism"]),
        "curves": [
            {
                "particle": int(rows["particle"].iloc[0]),
                "defocus": number(rows["defocus"].iloc[0], 4),
                "frequency": numbers(rows["frequency"], 4),
                "value": numbers(rows["value"], 4),
                "envelope": numbers(rows["envelope"], 4),
            }
            for _, rows in card.ctf_curves.groupby("particle", sort=False)
        ],
    }


def _poses(card: Card) -> dict[str, Any] | None:
    if card.directions is None or card.poses is None:
        return None
    grid = card.directions.pivot(index="y", columns="x", values="count")
    hover = {name: card.directions.pivot(index="y", columns="x", values=name) for name in ("longitude", "latitude")}
    return {
        "x": numbers(grid.columns, 4),
        "y": numbers(grid.index, 4),
        "count": [[None if np.isnan(v) else int(v) for v in row] for row in grid.to_numpy()],
        "angles": [
            [None if np.isnan(a) else f"{a:.0f}°, {b:.0f}°" for a, b in zip(first, second, strict=True)]
            for first, second in zip(hover["longitude"].to_numpy(), hover["latitude"].to_numpy(), strict=True)
        ],
        "expected": number(card.directions.attrs["expected"], 4),
        "psi": _histogram(card.poses["psi"], np.linspace(-180, 180, 25)),
        "shift_x": numbers(card.poses["x"], 4),
        "shift_y": numbers(card.poses["y"], 4),
        "particle": [int(particle) for particle in card.poses["particle"]],
    }
