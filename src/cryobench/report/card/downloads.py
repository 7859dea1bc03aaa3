"""What a paper takes away from a card: every figure as SVG, every table as CSV."""

from pathlib import Path

import pandas as pd

from cryobench._progress import Task
from cryobench.report import figures
from cryobench.report.card.contents import Card
from cryobench.report.card.pictures import captions, label_state
from cryobench.report.runs.pictures import tint


def write_figures(card: Card, folder: Path, task: Task) -> dict[str, str]:
    """Write every figure into ``folder``; plot name to file name."""
    folder.mkdir(exist_ok=True)
    written: dict[str, str] = {}

    def save(key: str, figure: figures.Figure) -> None:
        figures.save_svg(figure, folder / f"{key}.svg")
        written[key] = f"{folder.name}/{key}.svg"
        task.advance()

    if card.views:
        tinted = [tint(picture, colour) for picture, colour in zip(card.pictures, card.colours, strict=True)]
        words = [f"{label_state(card, view)}\n{captions(view)[-1]}" for view in card.views]
        save("gallery", figures.draw_gallery(tinted, words))
    save("particles", figures.draw_particles(card.examples))
    save("spectra", figures.draw_spectra(card.spectra.table, from_truth=card.spectra.from_truth))
    save("ctf", figures.draw_ctf(card.ctf, card.ctf_curves))
    if card.directions is not None and card.poses is not None:
        save("poses", figures.draw_poses(card.directions, card.poses))
    if card.states is not None:
        save("states", figures.draw_states(card.states))
    if card.histograms:
        save("variables", figures.draw_variables(card.histograms, card.pair))
    if card.occupancies is not None:
        save("occupancies", figures.draw_occupancies(card.occupancies))
    if card.assembly is not None:
        save("assembly", figures.draw_assembly(card.assembly))
    return written


def write_tables(card: Card, folder: Path) -> list[tuple[str, str]]:
    """Write the tables as CSV into ``folder``: (file, what it holds) of each."""
    folder.mkdir(exist_ok=True)
    bins = [
        pd.DataFrame(
            {
                "variable": histogram.axis.title,
                "value": histogram.centres,
                "width": histogram.width,
                "particles": histogram.counts,
            }
        )
        for histogram in card.histograms
    ]
    tables = [
        ("states.csv", "states: particles, mass in kDa, collective variables", card.state_list),
        ("spectra.csv", "power of images, noise and signal, and their ratio, by frequency", card.spectra.table),
        ("ctf.csv", "defocus (µm), astigmatism (nm) and its angle (°) of each particle", card.ctf),
        ("poses.csv", "in-plane angle (°) and shift (Å) of the particles drawn", card.poses),
        ("variables.csv", "histograms of the collective variables", pd.concat(bins) if bins else None),
    ]
    written = []
    for name, words, table in tables:
        if table is not None and len(table):
            table.to_csv(folder / name, index=False, float_format="%.6g")
            written.append((f"{folder.name}/{name}", words))
    if card.occupancies is not None:
        card.occupancies.to_csv(folder / "occupancies.csv", float_format="%.6g", index_label="component")
        written.append((f"{folder.name}/occupancies.csv", "occupancy of each component in each state"))
    return written
