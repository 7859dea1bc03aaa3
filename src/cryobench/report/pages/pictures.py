"""Picture and mesh files of the page: particle views, slices, surfaces and their fixed pictures."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cryobench.report.card.conventions import ConventionView
from cryobench.report.card.views import ParticleViews, grey_limits
from cryobench.report.colours import NEUTRAL, greys, tint, write_png
from cryobench.report.pages.contents import Contents
from cryobench.report.pages.folder import write_script
from cryobench.report.runs.queries import DEFAULT_LEVEL, TRUTH, QueryVolumes
from cryobench.report.slices import PLANES, cut_slices, match_slices
from cryobench.report.surfaces import Mesh, extract_surfaces, pack_mesh

MESH_BYTES = 9_000_000
"""Maximum total size of all surfaces of a page."""
BYTES_PER_FACE = 12.5
"""Three uint16 indices and half a vertex, in base64."""


def write_particles(examples: Sequence[ParticleViews], folder: Path) -> list[dict[str, Any]]:
    """Write one PNG per view of every example particle into ``folder``; return rows of entries, one per view."""
    folder.mkdir(parents=True, exist_ok=True)
    titles = list(dict.fromkeys(title for views in examples for title in views.views))
    rows = []
    for row, title in enumerate(titles):
        cells = []
        for views in examples:
            if title not in views.views:
                cells.append(None)
                continue
            name = f"particle-{views.particle}-view-{row}.png"
            write_png(folder / name, greys(views.views[title], *grey_limits(views.views[title])))
            cells.append({"file": f"assets/{folder.name}/{name}", "alt": f"Particle {views.particle}: {title}"})
        rows.append({"title": title, "cells": cells})
    return rows


def write_query_slices(contents: Contents, query: QueryVolumes, folder: Path) -> dict[str, Any]:
    """Write one PNG with three planes side by side per volume of a query particle; return its entry for the page."""
    folder.mkdir(parents=True, exist_ok=True)
    slices, white = match_slices(query.volumes, query.reference)
    strips = []
    for slug, planes in slices.items():
        name = f"query-{query.particle}-{slug}.png"
        write_png(folder / name, grey_strip(planes, -0.3 * white, white))
        label = contents.label_of(slug)
        alt = f"{label}: central {', '.join(PLANES)} slices of query particle {query.particle}"
        strips.append({"slug": slug, "label": label, "file": f"assets/{folder.name}/{name}", "alt": alt})
    return {"particle": query.particle, "state": query.state, "strips": strips}


def write_query_surfaces(contents: Contents, query: QueryVolumes, folder: Path) -> dict[str, Any]:
    """Write a mesh script and a fixed picture per volume of a query particle; return its entry for the page."""
    folder.mkdir(parents=True, exist_ok=True)
    pixel_size = contents.dataset.particles.pixel_size
    width = pixel_size * query.reference.shape[-1]
    half_width = width / 2 * 1.02
    n_surfaces = max(1, len(contents.surfaces) * (len(contents.runs) + 1))
    most_faces = int(MESH_BYTES / BYTES_PER_FACE / n_surfaces)
    panels, zoom = [], 1.0
    for slug, volume in query.volumes.items():
        key = f"query-{query.particle}-{slug}"
        meshes = extract_surfaces(volume, pixel_size, query.enclosed, most_faces=most_faces)
        if not panels:
            zoom = fit_zoom(meshes[DEFAULT_LEVEL], half_width)
        write_meshes(folder / f"{key}.js", key, meshes, half_width)
        colour = NEUTRAL if slug == TRUTH else contents.styles[slug].colour
        write_png(folder / f"{key}.png", tint(query.pictures[slug], colour))
        rank = _rank(contents, slug)
        panels.append({"slug": slug, "label": contents.label_of(slug), "key": key, "colour": colour, "rank": rank})
    return {
        "particle": query.particle,
        "state": query.state,
        "panels": panels,
        "zoom": zoom,
        "levels": [f"each encloses {fraction * (width / 10) ** 3:.4g} nm³" for fraction in query.enclosed],
    }


def _rank(contents: Contents, slug: str) -> int:
    """Order of display: truth, methods, controls; the truth control, a duplicate, is last and initially hidden."""
    if slug == TRUTH:
        return 0
    control = next(run.control for run in contents.runs if run.slug == slug)
    if control is None:
        return 1
    return 3 if control.role == "ceiling" else 2


def write_meshes(path: Path, key: str, meshes: Sequence[Mesh], half_width: float) -> None:
    """Write the script of one surface at all levels, which the page loads when it is first shown."""
    value = {"half_width": half_width, "meshes": [pack_mesh(mesh, half_width) for mesh in meshes]}
    write_script(path, f"cryobench.receiveSurface({key!r})", value)


def fit_zoom(mesh: Mesh, half_width: float) -> float:
    """Camera distance at which a surface fills the scene, as a fraction of that which shows the whole box."""
    if not len(mesh.vertices):
        return 1.0
    reach = float(np.percentile(np.linalg.norm(mesh.vertices, axis=1), 98)) / half_width
    return float(np.clip(1.25 * reach, 0.55, 1.0))


def write_mask(mask: np.ndarray | None, folder: Path) -> str | None:
    """Write the mask's three central slices as one PNG and return its file; None without a mask."""
    if mask is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    write_png(folder / "mask.png", grey_strip(cut_slices(mask), 0, 1))
    return f"assets/{folder.name}/mask.png"


def write_halves(view: ConventionView | None, folder: Path) -> list[dict[str, str]]:
    """Write one PNG of three central planes per half-map of a check, on one grey scale; return their entries."""
    if view is None or view.halves is None:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    planes = np.stack([cut_slices(half) for half in view.halves])
    white = float(np.percentile(np.abs(planes), 99.9)) or 1.0
    entries = []
    for number, half in enumerate(planes, start=1):
        name = f"half-map-{number}.png"
        write_png(folder / name, grey_strip(half, -0.3 * white, white))
        entries.append(
            {
                "file": f"assets/{folder.name}/{name}",
                "label": f"half-map {number}",
                "alt": f"Half-map {number}: central {', '.join(PLANES)} slices",
            }
        )
    return entries


def grey_strip(planes: np.ndarray, low: float, high: float) -> np.ndarray:
    """Three planes (3, n, n), rows upwards, side by side with white between them."""
    first, second, third = (greys(plane, low, high) for plane in planes)
    gap = np.ones((planes.shape[-1], max(1, planes.shape[-1] // 64)))
    return np.hstack([first, gap, second, gap, third])
