"""Picture and mesh files of a card: the gallery of states, and rotatable surfaces of a few of them."""

from pathlib import Path
from typing import Any

import numpy as np

from cryobench.report.card.contents import Card
from cryobench.report.card.states import StateView
from cryobench.report.colours import tint, write_png
from cryobench.report.pages.pictures import BYTES_PER_FACE, fit_zoom, write_meshes
from cryobench.report.runs.queries import DEFAULT_LEVEL
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
    for title, value in list(view.variables.items())[:3]:
        name, _, unit = title.rpartition(" / ")
        unit = unit if name else ""
        text = f"{value:.4g}{'' if unit == '°' else ' '}{unit}" if np.isfinite(value) else "not known"
        lines.append(f"{name or title} {text}".rstrip())
    return lines


def label_state(card: Card, view: StateView) -> str:
    """Name of a state, or "state 7" if it has none."""
    truth = card.dataset.truth
    return view.name if truth is not None and truth.state_names is not None else f"state {view.state}"


def write_gallery(card: Card, folder: Path) -> list[dict[str, Any]]:
    """Write one PNG per state into ``folder``, and return their entries for the page."""
    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    for view, picture, colour in zip(card.views, card.pictures, card.colours, strict=True):
        name = f"state-{view.state}.png"
        write_png(folder / name, tint(picture, colour))
        label = label_state(card, view)
        entries.append({"file": f"assets/{folder.name}/{name}", "label": label, "lines": captions(view)})
    return entries


def write_state_surfaces(card: Card, folder: Path) -> list[dict[str, Any]]:
    """Write a mesh script and a fixed picture of up to ``TURNED_STATES`` states; return their entry, in a list.

    All states have the same thresholds; the volume that each surface encloses is shown with it.
    """
    if not card.views:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    pixel_size = card.dataset.particles.pixel_size
    width = pixel_size * card.dataset.particles.box_size
    half_width = width / 2 * 1.02
    rows = np.unique(np.linspace(0, len(card.views) - 1, min(TURNED_STATES, len(card.views))).round().astype(int))
    typical = float(np.median([typical_density(card.views[row].volume) for row in rows]))
    shown = set(rows[np.linspace(0, len(rows) - 1, min(SHOWN_STATES, len(rows))).round().astype(int)].tolist())
    panels, zoom = [], 0.0
    for row in rows.tolist():
        view, volume = card.views[row], card.views[row].volume
        voxel_size = width / volume.shape[-1]
        enclosed = [float((volume > fraction * typical).mean()) for fraction in TRUTH_FRACTIONS]
        most_faces = int(MESH_BYTES / BYTES_PER_FACE / len(rows))
        meshes = extract_surfaces(volume, voxel_size, enclosed, most_faces=most_faces)
        zoom = max(zoom, fit_zoom(meshes[DEFAULT_LEVEL], half_width))
        key = f"state-{view.state}"
        write_meshes(folder / f"{key}.js", key, meshes, half_width)
        picture = shade_surface(volume, TRUTH_FRACTIONS[DEFAULT_LEVEL] * typical)
        write_png(folder / f"{key}.png", tint(picture, card.colours[row]))
        panels.append(
            {
                "slug": key,
                "label": label_state(card, view),
                "key": key,
                "colour": card.colours[row],
                "rank": 0 if row in shown else 3,
                "enclosed": [float(f"{fraction * (width / 10) ** 3:.4g}") for fraction in enclosed],
            }
        )
    levels = [f"density above {fraction:.0%} of that inside a molecule" for fraction in TRUTH_FRACTIONS]
    return [{"particle": None, "state": None, "panels": panels, "zoom": zoom, "levels": levels}]
