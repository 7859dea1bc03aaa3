"""Picture and mesh files of a card: the gallery of states, and rotatable surfaces of a few of them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cryobench._sampling import spread_indices
from cryobench.report.card.contents import Card
from cryobench.report.card.states import StateView
from cryobench.report.colours import tint
from cryobench.report.pages.pictures import BYTES_PER_FACE, Entry, write_picture, write_surface
from cryobench.report.surfaces import TRUTH_FRACTIONS, extract_surfaces, shade_surface, typical_density

TURNED_STATES, SHOWN_STATES = 8, 4
"""States with rotatable surfaces, and the number of them shown initially."""
MESH_BYTES = 5_000_000
"""Maximum total size of these surfaces."""


def captions(view: StateView) -> list[str]:
    """Particles of a state, its mass if it is known, and its first collective variables, one line each."""
    lines = [f"{view.particles:,} particle{'' if view.particles == 1 else 's'}"]
    if np.isfinite(view.mass) and not any(title.startswith("mass / ") for title in view.variables):
        lines.append(f"{view.mass:,.4g} kDa")
    return lines + [write_variable(*each) for each in list(view.variables.items())[:3]]


def write_variable(title: str, value: float) -> str:
    """Name, value and unit of a collective variable, from its title with unit."""
    name, _, unit = title.rpartition(" / ")
    unit = unit if name else ""
    text = f"{value:.4g}{'' if unit == '°' else ' '}{unit}" if np.isfinite(value) else "not known"
    return f"{name or title} {text}".rstrip()


def label_state(card: Card, view: StateView) -> str:
    """Name of a state, or "state 7" if it has none."""
    truth = card.dataset.truth
    return view.name if truth is not None and truth.state_names is not None else f"state {view.state}"


def write_gallery(card: Card, folder: Path) -> list[Entry]:
    """Write one PNG per state into ``folder``, and return their entries for the page."""
    return [
        write_picture(
            folder, f"state-{view.state}", tint(picture, colour), label=label_state(card, view), lines=captions(view)
        )
        for view, picture, colour in zip(card.views, card.pictures, card.colours, strict=True)
    ]


def write_state_surfaces(card: Card, folder: Path) -> list[Entry]:
    """Write a mesh script and a fixed picture of up to ``TURNED_STATES`` states; return their entry, in a list.

    All states have the same thresholds; the volume that each surface encloses is shown with it.
    """
    if not card.views:
        return []
    width = card.dataset.particles.pixel_size * card.dataset.particles.box_size
    rows = spread_indices(len(card.views), TURNED_STATES, nearest=True)
    typical = float(np.median([typical_density(card.views[row].volume) for row in rows]))
    shown = set(rows[spread_indices(len(rows), SHOWN_STATES, nearest=True)].tolist())
    most_faces = int(MESH_BYTES / BYTES_PER_FACE / len(rows))
    panels, zooms = [], []
    for row in rows.tolist():
        view, colour, key = card.views[row], card.colours[row], f"state-{card.views[row].state}"
        panel = {"slug": key, "label": label_state(card, view), "key": key, "colour": colour}
        panel |= {"rank": 0 if row in shown else 3}
        zooms.append(write_thresholds(folder, panel, view.volume, width, typical, TRUTH_FRACTIONS, most_faces))
        panels.append(panel)
    levels = [f"density above {fraction:.0%} of that inside a molecule" for fraction in TRUTH_FRACTIONS]
    return [{"particle": None, "state": None, "panels": panels, "zoom": max(zooms), "levels": levels}]


def write_thresholds(
    folder: Path,
    panel: Entry,
    volume: np.ndarray,
    width: float,
    typical: float,
    fractions: Sequence[float],
    most: int,
) -> float:
    """Write the surface of a volume at fractions of a typical density, and add to its panel what each encloses (nm³).

    As ``write_surface``, with at most ``most`` faces; the level shown first is the middle one of the fractions.
    """
    level = len(fractions) // 2
    enclosed = [float((volume > fraction * typical).mean()) for fraction in fractions]
    panel["enclosed"] = [float(f"{fraction * (width / 10) ** 3:.4g}") for fraction in enclosed]
    meshes = extract_surfaces(volume, width / len(volume), enclosed, most_faces=most)
    return write_surface(folder, panel, meshes, width, shade_surface(volume, fractions[level] * typical), level)
