"""Picture and mesh files of findings: strips of slices, frames along paths, and surfaces moved along components."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cryobench.data import Components
from cryobench.report.colours import DIVERGING, NEUTRAL, colour_change, greys, rgb, tint, write_png
from cryobench.report.findings.motion import animate_motion
from cryobench.report.findings.series import SeriesView
from cryobench.report.findings.volumes import ComponentsView, FramesView, find_outline, grey_range
from cryobench.report.pages.contents import Contents
from cryobench.report.pages.folder import write_script
from cryobench.report.pages.pictures import BYTES_PER_FACE, fit_zoom, grey_strip, write_meshes
from cryobench.report.surfaces import BOX_SIZES, extract_surfaces, reduce_volume, shade_surface, typical_density

Entry = dict[str, Any]

LEVELS = (0.15, 0.25, 0.4)
"""Thresholds of moved surfaces, as fractions of the typical density inside the mean."""
DEFAULT_LEVEL = 1
MOVED_COMPONENTS = 3
DEVIATIONS = 2.0
MESH_BYTES, MESH_BYTES_A_RUN = 4_000_000, 1_000_000
"""Maximum size of moved surfaces, in total and per run."""
_ENLARGED = 160
"""Pixels to which slices of components are enlarged, so that the outline of the mean is thin."""
_SIDES = (("minus", -DEVIATIONS), ("mean", 0.0), ("plus", DEVIATIONS))
_COLOURS = {"minus": DIVERGING[0], "mean": NEUTRAL, "plus": DIVERGING[-1]}


def write_findings(contents: Contents, folder: Path) -> dict[str, dict[str, list[Entry]]]:
    """Write pictures of slices and projections into ``folder``; return entries for the page by part and slug."""
    found = contents.findings
    if found.components or found.paths or found.volumes or found.motions:
        folder.mkdir(parents=True, exist_ok=True)
    return {
        "components": {slug: _write_components(slug, view, folder) for slug, view in found.components.items()},
        "paths": {
            slug: write_frames(view, folder, f"path-{slug}", [str(frame + 1) for frame in range(view.n_frames)])
            for slug, view in found.paths.items()
        },
        "volumes": {slug: _write_classes(contents, slug, folder) for slug in found.volumes},
        "motions": {slug: _write_motion(contents, slug, folder) for slug in found.motions},
    }


def _write_components(slug: str, view: ComponentsView, folder: Path) -> list[Entry]:
    low, high = grey_range(view.mean)
    name = f"mean-{slug}.png"
    write_png(folder / name, grey_strip(view.mean, low, high))
    entries = [_entry(folder, name, "mean", "Mean volume in three planes")]
    scale = max(1, _ENLARGED // view.mean.shape[-1])
    outlines = [find_outline(plane, view.edge, scale) for plane in view.mean]
    for number, (planes, variance) in enumerate(zip(view.components, view.variances.tolist(), strict=True), start=1):
        pictures = [colour_change(np.kron(plane, np.ones((scale, scale))), view.limit) for plane in planes]
        for picture, outline in zip(pictures, outlines, strict=True):
            picture[outline] = (*rgb(NEUTRAL), 1)
        name = f"component-{slug}-{number}.png"
        write_png(folder / name, _strip(np.stack(pictures)[:, ::-1]))
        words = f"component {number}, variance {variance:.3g}"
        entries.append(_entry(folder, name, words, f"Component {number} in three planes"))
    return entries


def write_series(contents: Contents, folder: Path) -> list[tuple[SeriesView, list[Entry]]]:
    """Write pictures of volume series into ``folder``, and return their entries for the page."""
    if contents.series:
        folder.mkdir(parents=True, exist_ok=True)
    written = []
    for view in contents.series:
        captions = [view.caption(frame) for frame in range(view.frames.n_frames)]
        written.append((view, write_frames(view.frames, folder, view.key, captions)))
    return written


def write_frames(view: FramesView, folder: Path, key: str, captions: Sequence[str]) -> list[Entry]:
    """Write projections and differences of ordered volumes, and return entries; ``captions`` are of all volumes."""
    low, high = grey_range(view.frames)
    entries = []
    for frame, picture, change in zip(view.shown.tolist(), view.frames, view.differences, strict=True):
        name, changed = f"{key}-{frame}.png", f"{key}-change-{frame}.png"
        write_png(folder / name, greys(picture, low, high))
        write_png(folder / changed, colour_change(change[::-1], view.limit))
        entry = _entry(folder, name, captions[int(frame)], f"Volume {frame + 1} of {view.n_frames}, projected")
        entries.append({**entry, "change": f"assets/{folder.name}/{changed}"})
    return entries


def _write_classes(contents: Contents, slug: str, folder: Path) -> list[Entry]:
    view, captions = contents.findings.volumes[slug], contents.findings.class_captions(slug)
    low, high = grey_range(view.planes)
    entries = []
    for number, planes, lines in zip(view.shown.tolist(), view.planes, captions, strict=True):
        name = f"class-{slug}-{number}.png"
        write_png(folder / name, grey_strip(planes, low, high))
        entries.append(_entry(folder, name, ", ".join(lines), f"Volume of class {number} in three planes"))
    return entries


def _write_motion(contents: Contents, slug: str, folder: Path) -> list[Entry]:
    view, colour = contents.findings.motions[slug], contents.styles[slug].colour
    entries = []
    for axis, moved in enumerate(view.moved.tolist()):
        name = f"motion-{slug}-{axis + 1}.svg"
        (folder / name).write_text(animate_motion(view, axis, colour), encoding="utf-8")
        words = f"latent {axis + 1}: displacement {moved:.1f} Å"
        entries.append(_entry(folder, name, words, f"Points of the map moving along latent {axis + 1}"))
    return entries


def _strip(planes: np.ndarray) -> np.ndarray:
    """Three pictures (3, n, n, 4) side by side, with transparent gaps."""
    between = np.zeros((planes.shape[1], max(1, planes.shape[1] // 64), planes.shape[3]))
    return np.hstack([planes[0], between, planes[1], between, planes[2]])


def _entry(folder: Path, name: str, caption: str, alt: str) -> Entry:
    return {"file": f"assets/{folder.name}/{name}", "caption": caption, "alt": alt}


def write_moved(contents: Contents, script: Path, folder: Path) -> list[Entry]:
    """Write surfaces of each run's mean, and of the mean moved to either side along its first components.

    Mesh scripts and fixed pictures go into ``folder``; their list, one entry per run and component, is written to
    ``script`` and returned.
    """
    folder.mkdir(parents=True, exist_ok=True)
    runs = [run for run in contents.runs if run.slug in contents.findings.components]
    moved = {run.slug: found for run in runs if (found := run.find(Components)) is not None}
    count = sum(1 + 2 * min(MOVED_COMPONENTS, len(found.components)) for found in moved.values())
    sets: list[Entry] = []
    for slug, found in moved.items():
        own = 1 + 2 * min(MOVED_COMPONENTS, len(found.components))
        weight = min(MESH_BYTES / count, MESH_BYTES_A_RUN / own)
        sets += _move_run(contents, slug, found, folder, most_faces=int(weight / BYTES_PER_FACE))
    write_script(script, "cryobench.receiveMoved", sets)
    return sets


def _move_run(contents: Contents, slug: str, found: Components, folder: Path, *, most_faces: int) -> list[Entry]:
    particles = contents.dataset.particles
    width = particles.pixel_size * particles.box_size
    mean = _reduce(found.mean)
    typical = typical_density(mean)
    sets, zoom = [], 1.0
    for number in range(min(MOVED_COMPONENTS, len(found.components))):
        step = float(found.deviations[number]) * _reduce(found.components[number])
        panels = []
        for rank, (side, deviations) in enumerate(_SIDES):
            volume = mean + deviations * step
            key = f"moved-{slug}-mean" if side == "mean" else f"moved-{slug}-{number + 1}-{side}"
            colour = _COLOURS[side]
            enclosed = [float((volume > fraction * typical).mean()) for fraction in LEVELS]
            if not (folder / f"{key}.js").exists():
                meshes = extract_surfaces(volume, width / len(volume), enclosed, most_faces=most_faces)
                write_meshes(folder / f"{key}.js", key, meshes, width / 2 * 1.02)
                picture = shade_surface(volume, LEVELS[DEFAULT_LEVEL] * typical)
                write_png(folder / f"{key}.png", tint(picture, colour))
                if side == "mean":
                    zoom = fit_zoom(meshes[DEFAULT_LEVEL], width / 2 * 1.02)
            label = "mean" if side == "mean" else f"mean {'−' if deviations < 0 else '+'} {DEVIATIONS:.0f} σ"
            volumes = [float(f"{fraction * (width / 10) ** 3:.4g}") for fraction in enclosed]
            panels.append(
                {"slug": side, "label": label, "key": key, "colour": colour, "rank": rank, "enclosed": volumes}
            )
        name = f"{contents.styles[slug].label} · component {number + 1}"
        levels = [f"density above {fraction:.0%} of that inside the mean" for fraction in LEVELS]
        sets.append({"name": name, "panels": panels, "zoom": zoom, "levels": levels})
    for entry in sets:
        entry["zoom"] = zoom
    return sets


def _reduce(volume: np.ndarray) -> np.ndarray:
    return reduce_volume(np.nan_to_num(np.asarray(volume, dtype=np.float32)), BOX_SIZES[0])
