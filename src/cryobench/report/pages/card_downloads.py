"""Downloads of a card: every figure as SVG, every table as CSV."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd

from cryobench.report.card.contents import Card
from cryobench.report.card.states import StateView
from cryobench.report.charts.kinds import Chart
from cryobench.report.colours import tint
from cryobench.report.drawing import draw, pictures
from cryobench.report.pages.card_pictures import captions, label_state, write_variable
from cryobench.report.pages.downloads import Figure, save_tables

_PANELS = (
    ("spectra", ("spectra", "snr"), 2),
    ("ctf", ("defocus", "astigmatism", "ctf"), 3),
    ("poses", ("directions", "psi", "shifts"), 3),
    ("states", ("states",), 1),
    ("variables", ("variable", "pair"), 4),
    ("occupancies", ("occupancies",), 1),
    ("assembly", ("assembly",), 1),
)
"""Figures, their charts, and the number of charts per row."""


def draw_figures(card: Card, charts: Mapping[str, Chart]) -> Iterator[tuple[str, Figure]]:
    """(name, SVG or specification) of every figure of a card."""
    if card.views:
        tinted = [tint(picture, colour) for picture, colour in zip(card.pictures, card.colours, strict=True)]
        words = [(label_state(card, view), _caption(card, view)) for view in card.views]
        yield "gallery", pictures.draw_gallery(tinted, words)
    yield "particles", pictures.draw_particles(card.examples)
    for name, panels, columns in _PANELS:
        known = [chart for key, chart in charts.items() if key in panels or key.split("-")[0] in panels]
        if len(known) > 1:
            yield name, draw.beside(known, {}, columns=min(columns, len(known)))
        elif known:
            yield name, draw.draw_on_paper(known[0], {})


def _caption(card: Card, view: StateView) -> str:
    """The variable that colours the states, or else the last of the lines on a state."""
    title = card.colour_title
    return captions(view)[-1] if title is None else write_variable(title, view.variables[title])


def write_tables(card: Card, folder: Path) -> list[tuple[str, str]]:
    """Write the tables as CSV into ``folder``, and return (file, description) of each."""
    bins = [
        pd.DataFrame(
            {"variable": each.axis.title, "value": each.centres, "width": each.width, "particles": each.counts}
        )
        for each in card.histograms
    ]
    occupancies = None if card.occupancies is None else card.occupancies.rename_axis("component").reset_index()
    tables = [
        ("states.csv", "states: particles, mass in kDa, collective variables", card.state_list),
        ("spectra.csv", "power of images, noise and signal, and their ratio, by frequency", card.spectra.table),
        ("ctf.csv", "defocus (µm), astigmatism (nm) and its angle (°) of each particle", card.ctf),
        ("poses.csv", "in-plane angle (°) and shift (Å) of the particles drawn", card.poses),
        ("variables.csv", "histograms of the collective variables", pd.concat(bins) if bins else None),
        ("occupancies.csv", "occupancy of each component in each state", occupancies),
    ]
    return save_tables(tables, folder, "%.6g")
