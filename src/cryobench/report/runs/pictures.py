"""Picture and mesh files of the page: particle views, slices, surfaces and their fixed pictures."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.image import imsave

from cryobench._progress import Task
from cryobench.report.card.views import ParticleViews, grey_limits
from cryobench.report.figures.style import NEUTRAL
from cryobench.report.page import write_script
from cryobench.report.runs.contents import Contents
from cryobench.report.runs.queries import DEFAULT_LEVEL, TRUTH, QueryVolumes, read_query
from cryobench.report.slices import PLANES, slices_of
from cryobench.report.surfaces import Mesh, extract_surfaces, pack_mesh

MESH_BYTES = 9_000_000
"""What all surfaces of a page may weigh together."""
BYTES_PER_FACE = 12.5
"""Three uint16 indices and half a vertex, in base64."""


def write_particles(examples: Sequence[ParticleViews], folder: Path) -> list[dict[str, Any]]:
    """One PNG per view of every example particle in ``folder``; entries for the page, a row per view."""
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
            low, high = grey_limits(views.views[title])
            imsave(folder / name, views.views[title], cmap="gray", vmin=low, vmax=high, origin="lower")
            cells.append({"file": f"assets/{folder.name}/{name}", "alt": f"Particle {views.particle}: {title}"})
        rows.append({"title": title, "cells": cells})
    return rows


def write_query_slices(contents: Contents, query: QueryVolumes, folder: Path) -> dict[str, Any]:
    """One PNG with three planes side by side per volume of a query particle, and its entry for the page."""
    folder.mkdir(parents=True, exist_ok=True)
    slices, (black, white) = slices_of(query)
    strips = []
    for slug, planes in slices.items():
        name = f"query-{query.particle}-{slug}.png"
        gap = np.full((planes.shape[-1], 1), white)
        strip = np.hstack([planes[0, ::-1], gap, planes[1, ::-1], gap, planes[2, ::-1]])
        imsave(folder / name, strip, cmap="gray", vmin=black, vmax=white)
        label = label_of(contents, slug)
        alt = f"{label}: central {', '.join(PLANES)} slices of query particle {query.particle}"
        strips.append({"slug": slug, "label": label, "file": f"assets/{folder.name}/{name}", "alt": alt})
    return {"particle": query.particle, "state": query.state, "strips": strips}


def write_query_surfaces(contents: Contents, query: QueryVolumes, folder: Path) -> dict[str, Any]:
    """A mesh script and a fixed picture per volume of a query particle, and its entry for the page."""
    folder.mkdir(parents=True, exist_ok=True)
    pixel_size = contents.dataset.particles.pixel_size
    width = pixel_size * query.reference.shape[-1]
    half_width = width / 2 * 1.02
    n_surfaces = max(1, len(contents.surface_positions) * (len(contents.runs) + 1))
    most_faces = int(MESH_BYTES / BYTES_PER_FACE / n_surfaces)
    panels, zoom = [], 1.0
    for slug, volume in query.volumes.items():
        key = f"query-{query.particle}-{slug}"
        meshes = extract_surfaces(volume, pixel_size, query.enclosed, most_faces=most_faces)
        if not panels:
            zoom = fit_zoom(meshes[DEFAULT_LEVEL], half_width)
        write_meshes(folder / f"{key}.js", key, meshes, half_width)
        colour = NEUTRAL if slug == TRUTH else contents.styles[slug].colour
        imsave(folder / f"{key}.png", tint(query.pictures[slug], colour))
        rank = _rank(contents, slug)
        panels.append({"slug": slug, "label": label_of(contents, slug), "key": key, "colour": colour, "rank": rank})
    return {
        "particle": query.particle,
        "state": query.state,
        "panels": panels,
        "zoom": zoom,
        "levels": [f"each encloses {fraction * (width / 10) ** 3:.4g} nm³" for fraction in query.enclosed],
    }


def _rank(contents: Contents, slug: str) -> int:
    """Order of display: the truth, methods, controls; last and not at first the truth control, which repeats it."""
    if slug == TRUTH:
        return 0
    control = next(run.control for run in contents.runs if run.slug == slug)
    if control is None:
        return 1
    return 3 if control.role == "ceiling" else 2


def write_meshes(path: Path, key: str, meshes: Sequence[Mesh], half_width: float) -> None:
    """The script of one surface at all its levels, which the page loads when it is first shown."""
    value = {"half_width": half_width, "meshes": [pack_mesh(mesh, half_width) for mesh in meshes]}
    write_script(path, f"cryobench.receiveSurface({key!r})", value)


def fit_zoom(mesh: Mesh, half_width: float) -> float:
    """Distance of the eye, as a part of what shows the whole box, at which a surface fills the scene."""
    if not len(mesh.vertices):
        return 1.0
    reach = float(np.percentile(np.linalg.norm(mesh.vertices, axis=1), 98)) / half_width
    return float(np.clip(1.25 * reach, 0.55, 1.0))


def write_mask(mask: np.ndarray | None, folder: Path) -> str | None:
    """The mask's three central slices as one PNG, if there is a mask."""
    if mask is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    middle = mask.shape[-1] // 2
    gap = np.ones((mask.shape[-1], 1))
    planes = (mask[middle, ::-1], mask[::-1, middle], mask[::-1, :, middle])
    imsave(folder / "mask.png", np.hstack([planes[0], gap, planes[1], gap, planes[2]]), cmap="gray", vmin=0, vmax=1)
    return f"assets/{folder.name}/mask.png"


def read_queries(contents: Contents, task: Task) -> dict[int, QueryVolumes]:
    """Volumes of the query particles that are shown, by position; those without any volume are left out."""
    positions = np.union1d(contents.slice_positions, contents.surface_positions).astype(int)
    queries = {}
    for position in positions.tolist():
        query = read_query(contents.dataset, contents.runs, position)
        if query.volumes:
            queries[position] = query
        task.advance()
    return queries


def label_of(contents: Contents, slug: str) -> str:
    """What stands beside a volume: the run's label, or "true volume"."""
    return "true volume" if slug == TRUTH else contents.styles[slug].label


def tint(shade: np.ndarray, colour: str) -> np.ndarray:
    """RGBA of a shaded picture in a colour, transparent where it is NaN."""
    seen = np.isfinite(shade)
    light = np.where(seen, shade, 0)[..., None]
    rgb = np.clip(np.array(to_rgb(colour)) * light * 1.25 + 0.08 * light, 0, 1)
    return np.concatenate([rgb, seen[..., None].astype(float)], axis=-1)
