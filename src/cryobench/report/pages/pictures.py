"""Picture and mesh files of the page: particle views, slices, surfaces and their fixed pictures."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cryobench.report.card.conventions import ConventionView
from cryobench.report.card.views import ParticleViews, grey_limits
from cryobench.report.colours import encode_png, greys, tint
from cryobench.report.pages.contents import Contents
from cryobench.report.pages.folder import write_script
from cryobench.report.scored_runs.queries import DEFAULT_LEVEL, TRUTH, QueryVolumes
from cryobench.report.slices import PLANES, cut_slices, match_slices
from cryobench.report.surfaces import Mesh, extract_surfaces, pack_mesh

MESH_BYTES = 9_000_000
"""Maximum total size of all surfaces of a page."""
BYTES_PER_FACE = 12.5
"""Three uint16 indices and half a vertex, in base64."""
MARGIN = 1.02
"""Width of the scene of a surface, relative to the box of its volume."""

Entry = dict[str, Any]
"""File of a picture, and words on it for the page."""


def write_picture(folder: Path, name: str, picture: np.ndarray, **words: Any) -> Entry:
    """Write a picture as NAME.png into a folder of the assets; return its entry."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.png").write_bytes(encode_png(picture))
    return {"file": f"assets/{folder.name}/{name}.png", **words}


def write_particles(examples: Sequence[ParticleViews], folder: Path) -> list[Entry]:
    """Write one PNG per view of every example particle into ``folder``; return rows of entries, one per view."""
    titles = list(dict.fromkeys(title for views in examples for title in views.views))
    rows = []
    for row, title in enumerate(titles):
        cells: list[Entry | None] = []
        for views in examples:
            image, name = views.views.get(title), f"particle-{views.particle}-view-{row}"
            words = f"Particle {views.particle}: {title}"
            cells.append(
                None if image is None else write_picture(folder, name, greys(image, *grey_limits(image)), alt=words)
            )
        rows.append({"title": title, "cells": cells})
    return rows


def write_query_slices(contents: Contents, query: QueryVolumes, folder: Path) -> Entry:
    """Write one PNG with three planes side by side per volume of a query particle; return its entry for the page."""
    slices, white = match_slices(query.volumes, query.reference)
    strips = []
    for slug, planes in slices.items():
        label = contents.label_of(slug)
        alt = f"{label}: central {', '.join(PLANES)} slices of query particle {query.particle}"
        picture = grey_strip(planes, -0.3 * white, white)
        strips.append(
            write_picture(folder, f"query-{query.particle}-{slug}", picture, slug=slug, label=label, alt=alt)
        )
    return {"particle": query.particle, "state": query.state, "strips": strips}


def write_query_surfaces(contents: Contents, query: QueryVolumes, folder: Path) -> Entry:
    """Write a mesh script and a fixed picture per volume of a query particle; return its entry for the page."""
    pixel_size = contents.dataset.particles.pixel_size
    width = pixel_size * query.reference.shape[-1]
    n_surfaces = max(1, len(contents.surfaces) * (len(contents.runs) + 1))
    most_faces = int(MESH_BYTES / BYTES_PER_FACE / n_surfaces)
    panels, zooms = [], []
    for slug, volume in query.volumes.items():
        panel = {"slug": slug, "label": contents.label_of(slug), "key": f"query-{query.particle}-{slug}"}
        panel |= {"colour": contents.colour_of(slug), "rank": _rank(contents, slug)}
        meshes = extract_surfaces(volume, pixel_size, query.enclosed, most_faces=most_faces)
        zooms.append(write_surface(folder, panel, meshes, width, query.pictures[slug], DEFAULT_LEVEL))
        panels.append(panel)
    levels = [f"each encloses {fraction * (width / 10) ** 3:.4g} nm³" for fraction in query.enclosed]
    return {
        "particle": query.particle,
        "state": query.state,
        "panels": panels,
        "zoom": zooms[0] if zooms else 1.0,
        "levels": levels,
    }


def _rank(contents: Contents, slug: str) -> int:
    """Order of display: truth, methods, controls; the truth control, a duplicate, is last and initially hidden."""
    if slug == TRUTH:
        return 0
    control = next(run.control for run in contents.runs if run.slug == slug)
    if control is None:
        return 1
    return 3 if control.role == "ceiling" else 2


def write_surface(
    folder: Path, panel: Entry, meshes: Sequence[Mesh], width: float, picture: np.ndarray, level: int
) -> float:
    """Write the script of a surface at all levels, which the page loads when it is first shown, and its picture.

    ``width`` is that of the box in Å, ``picture`` the shaded surface at ``level``. Returns the zoom for that level.
    """
    folder.mkdir(parents=True, exist_ok=True)
    key, half_width = panel["key"], width / 2 * MARGIN
    value = {"half_width": half_width, "meshes": [pack_mesh(mesh, half_width) for mesh in meshes]}
    write_script(folder / f"{key}.js", f"cryobench.receiveSurface({key!r})", value)
    write_picture(folder, key, tint(picture, panel["colour"]))
    return fit_zoom(meshes[level], half_width)


def fit_zoom(mesh: Mesh, half_width: float) -> float:
    """Camera distance at which a surface fills the scene, as a fraction of that which shows the whole box."""
    if not len(mesh.vertices):
        return 1.0
    reach = float(np.percentile(np.linalg.norm(mesh.vertices, axis=1), 98)) / half_width
    return float(np.clip(1.25 * reach, 0.55, 1.0))


def write_mask(mask: np.ndarray | None, folder: Path) -> str | None:
    """Write the mask's three central slices as one PNG and return its file; None without a mask."""
    return None if mask is None else write_picture(folder, "mask", grey_strip(cut_slices(mask), 0, 1))["file"]


def write_halves(view: ConventionView | None, folder: Path) -> list[Entry]:
    """Write one PNG of three central planes per half-map of a check, on one grey scale; return their entries."""
    if view is None or view.halves is None:
        return []
    planes = np.stack([cut_slices(half) for half in view.halves])
    white = float(np.percentile(np.abs(planes), 99.9)) or 1.0
    entries = []
    for number, half in enumerate(planes, start=1):
        alt = f"Half-map {number}: central {', '.join(PLANES)} slices"
        picture, label = grey_strip(half, -0.3 * white, white), f"half-map {number}"
        entries.append(write_picture(folder, f"half-map-{number}", picture, label=label, alt=alt))
    return entries


def grey_strip(planes: np.ndarray, low: float, high: float) -> np.ndarray:
    """Three planes (3, n, n), rows upwards, side by side with white between them."""
    first, second, third = (greys(plane, low, high) for plane in planes)
    gap = np.ones((planes.shape[-1], max(1, planes.shape[-1] // 64)))
    return np.hstack([first, gap, second, gap, third])
