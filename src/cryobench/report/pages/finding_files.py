"""Picture and mesh files of findings: strips of slices, frames along paths, and surfaces moved along components."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cryobench.data import Components
from cryobench.report.colours import DIVERGING, NEUTRAL, colour_change, greys, rgb
from cryobench.report.findings.motion import animate_motion
from cryobench.report.findings.series import SeriesView
from cryobench.report.findings.volumes import ComponentsView, FramesView, find_outline, grey_range
from cryobench.report.pages.card_pictures import write_thresholds
from cryobench.report.pages.contents import Contents
from cryobench.report.pages.folder import write_script
from cryobench.report.pages.pictures import BYTES_PER_FACE, Entry, grey_strip, write_picture
from cryobench.report.surfaces import BOX_SIZES, reduce_volume, typical_density

LEVELS = (0.15, 0.25, 0.4)
"""Thresholds of moved surfaces, as fractions of the typical density inside the mean."""
MOVED_COMPONENTS = 3
DEVIATIONS = 2.0
MESH_BYTES, MESH_BYTES_A_RUN = 4_000_000, 1_000_000
"""Maximum size of moved surfaces, in total and per run."""
_ENLARGED = 160
"""Pixels to which slices of components are enlarged, so that the outline of the mean is thin."""
_SIDES = (
    ("minus", -DEVIATIONS, f"mean − {DEVIATIONS:.0f} σ", DIVERGING[0]),
    ("mean", 0.0, "mean", NEUTRAL),
    ("plus", DEVIATIONS, f"mean + {DEVIATIONS:.0f} σ", DIVERGING[-1]),
)


def write_findings(contents: Contents, folder: Path) -> dict[str, dict[str, list[Entry]]]:
    """Write pictures of slices and projections into ``folder``; return entries for the page by part and slug."""
    found = contents.findings
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
    picture = grey_strip(view.mean, *grey_range(view.mean))
    words = {"caption": "mean", "alt": "Mean volume in three planes"}
    entries = [write_picture(folder, f"mean-{slug}", picture, **words)]
    scale = max(1, _ENLARGED // view.mean.shape[-1])
    outlines = [find_outline(plane, view.edge, scale) for plane in view.mean]
    for number, (planes, variance) in enumerate(zip(view.components, view.variances.tolist(), strict=True), start=1):
        pictures = [colour_change(np.kron(plane, np.ones((scale, scale))), view.limit) for plane in planes]
        for picture, outline in zip(pictures, outlines, strict=True):
            picture[outline] = (*rgb(NEUTRAL), 1)
        strip = _strip(np.stack(pictures)[:, ::-1])
        words = {
            "caption": f"component {number}, variance {variance:.3g}",
            "alt": f"Component {number} in three planes",
        }
        entries.append(write_picture(folder, f"component-{slug}-{number}", strip, **words))
    return entries


def write_series(contents: Contents, folder: Path) -> list[tuple[SeriesView, list[Entry]]]:
    """Write pictures of volume series into ``folder``, and return their entries for the page."""
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
        words = {"caption": captions[int(frame)], "alt": f"Volume {frame + 1} of {view.n_frames}, projected"}
        entry = write_picture(folder, f"{key}-{frame}", greys(picture, low, high), **words)
        changed = write_picture(folder, f"{key}-change-{frame}", colour_change(change[::-1], view.limit))
        entries.append({**entry, "change": changed["file"]})
    return entries


def _write_classes(contents: Contents, slug: str, folder: Path) -> list[Entry]:
    view, captions = contents.findings.volumes[slug], contents.findings.class_captions(slug)
    low, high = grey_range(view.planes)
    entries = []
    for number, planes, lines in zip(view.shown.tolist(), view.planes, captions, strict=True):
        words = {"caption": ", ".join(lines), "alt": f"Volume of class {number} in three planes"}
        entries.append(write_picture(folder, f"class-{slug}-{number}", grey_strip(planes, low, high), **words))
    return entries


def _write_motion(contents: Contents, slug: str, folder: Path) -> list[Entry]:
    folder.mkdir(parents=True, exist_ok=True)
    view, colour = contents.findings.motions[slug], contents.styles[slug].colour
    entries = []
    for axis, moved in enumerate(view.moved.tolist()):
        name = f"motion-{slug}-{axis + 1}.svg"
        (folder / name).write_text(animate_motion(view, axis, colour), encoding="utf-8")
        words = {
            "caption": f"latent {axis + 1}: displacement {moved:.1f} Å",
            "alt": f"Points of the map moving along latent {axis + 1}",
        }
        entries.append({"file": f"assets/{folder.name}/{name}", **words})
    return entries


def _strip(planes: np.ndarray) -> np.ndarray:
    """Three pictures (3, n, n, 4) side by side, with transparent gaps."""
    between = np.zeros((planes.shape[1], max(1, planes.shape[1] // 64), planes.shape[3]))
    return np.hstack([planes[0], between, planes[1], between, planes[2]])


def write_moved(contents: Contents, script: Path, folder: Path) -> list[Entry]:
    """Write surfaces of each run's mean, and of the mean moved to either side along its first components.

    Mesh scripts and fixed pictures go into ``folder``; their list, one entry per run and component, is written to
    ``script`` and returned.
    """
    moved = {
        run.slug: found
        for run in contents.runs
        if run.slug in contents.findings.components and (found := run.find(Components)) is not None
    }
    counts = {slug: 1 + 2 * min(MOVED_COMPONENTS, len(found.components)) for slug, found in moved.items()}
    sets: list[Entry] = []
    for slug, found in moved.items():
        most = min(MESH_BYTES / sum(counts.values()), MESH_BYTES_A_RUN / counts[slug])
        sets += _move_run(contents, slug, found, folder, most_faces=int(most / BYTES_PER_FACE))
    write_script(script, "cryobench.receiveMoved", sets)
    return sets


def _move_run(contents: Contents, slug: str, found: Components, folder: Path, *, most_faces: int) -> list[Entry]:
    width = contents.dataset.particles.pixel_size * contents.dataset.particles.box_size
    mean = _reduce(found.mean)
    typical = typical_density(mean)
    panels, zooms = {}, {}
    for number in range(min(MOVED_COMPONENTS, len(found.components))):
        step = float(found.deviations[number]) * _reduce(found.components[number])
        for rank, (side, deviations, label, colour) in enumerate(_SIDES):
            key = f"moved-{slug}-mean" if side == "mean" else f"moved-{slug}-{number + 1}-{side}"
            panel = {"slug": side, "label": label, "key": key, "colour": colour, "rank": rank}
            if key not in zooms:
                volume = mean + deviations * step
                zooms[key] = write_thresholds(folder, panel, volume, width, typical, LEVELS, most_faces)
                panels[key] = panel
            panels[number, side] = panels[key]
    levels = [f"density above {fraction:.0%} of that inside the mean" for fraction in LEVELS]
    return [
        {
            "name": f"{contents.styles[slug].label} · component {number + 1}",
            "panels": [panels[number, side] for side, *_ in _SIDES],
            "zoom": zooms[f"moved-{slug}-mean"],
            "levels": levels,
        }
        for number in range(min(MOVED_COMPONENTS, len(found.components)))
    ]


def _reduce(volume: np.ndarray) -> np.ndarray:
    return reduce_volume(np.nan_to_num(np.asarray(volume, dtype=np.float32)), BOX_SIZES[0])
