"""Figures of pictures: particles, states, slices and surfaces of volumes, and findings of runs."""

from collections.abc import Mapping, Sequence
from textwrap import wrap

import numpy as np
from skimage.measure import find_contours

from cryobench.report.card.views import ParticleViews, grey_limits
from cryobench.report.colours import DIVERGING, greys, map_colours
from cryobench.report.drawing.montage import Cell, Montage
from cryobench.report.drawing.vega import COLUMN_WIDTH, PAGE_WIDTH
from cryobench.report.findings.motion import MotionView
from cryobench.report.findings.volumes import PROJECTIONS, ClassesView, ComponentsView, FramesView, grey_range
from cryobench.report.slices import PLANES


def draw_particles(particles: Sequence[ParticleViews]) -> str:
    """Views of example particles: a row per view, a column per particle, each picture on its own grey scale."""
    titles = list(dict.fromkeys(title for views in particles for title in views.views))
    rows = [
        [
            Cell(greys(image, *grey_limits(image)), _name(views) if title == titles[0] else "")
            if (image := views.views.get(title)) is not None
            else None
            for views in particles
        ]
        for title in titles
    ]
    return Montage(rows, PAGE_WIDTH, [title.replace(", ", ",\n") for title in titles]).to_svg()


def _name(views: ParticleViews) -> str:
    """As on the page, since "particle" does not fit above a picture."""
    return str(views.particle) + ("" if views.state is None else f", state {views.state}")


def draw_gallery(pictures: Sequence[np.ndarray], captions: Sequence[Sequence[str]]) -> str:
    """Pictures of states (n, n, 4), each with up to two lines below it, eight to a row."""
    cells = [Cell(picture, below=lines[:2]) for picture, lines in zip(pictures, captions, strict=True)]
    rows = _in_rows(cells, 8)
    return Montage(rows, PAGE_WIDTH, gap=6, smooth=True).to_svg()


def _in_rows(cells: Sequence[Cell], columns: int) -> list[list[Cell | None]]:
    rows = [list(cells[start : start + columns]) for start in range(0, len(cells), columns)]
    return [[*row, *[None] * (columns - len(row))] for row in rows]


def draw_slices(slices: Mapping[str, np.ndarray], white: float, width: float) -> str:
    """Three central slices of each volume (label to (3, n, n)) on one grey scale; ``width``: side of the box in Å."""
    n = next(iter(slices.values())).shape[-1]
    length = _round_length(width / 4)
    bar = (
        f'<rect x="{0.06 * n:.2f}" y="{0.9 * n:.2f}" width="{length / width * n:.2f}" height="{0.02 * n:.2f}" '
        f'fill="white"/><text x="{0.06 * n:.2f}" y="{0.87 * n:.2f}" font-size="{0.08 * n:.2f}" fill="white">'
        f"{length:g} Å</text>"
    )
    last = list(slices)[-1]
    rows = [
        [
            Cell(
                greys(plane, -0.3 * white, white),
                name if label == next(iter(slices)) else "",
                overlay=bar if label == last and name == PLANES[0] else "",
            )
            for name, plane in zip(PLANES, planes, strict=True)
        ]
        for label, planes in slices.items()
    ]
    return Montage(rows, COLUMN_WIDTH, ["\n".join(wrap(label, 18)[:2]) for label in slices]).to_svg()


def _round_length(length: float) -> float:
    """Largest of 1, 2, 5 times a power of ten that is not above a length."""
    power = 10.0 ** np.floor(np.log10(length))
    return float(max(step * power for step in (1, 2, 5) if step * power <= length))


def draw_surfaces(pictures: Mapping[str, np.ndarray], enclosed: float) -> str:
    """Shaded surfaces (label to picture) side by side; ``enclosed`` is the volume in nm³ inside each of them."""
    columns = min(len(pictures), 4)
    cells = [Cell(np.nan_to_num(picture, nan=1.0), label) for label, picture in pictures.items()]
    foot = f"each surface encloses {enclosed:.3g} nm³"
    return Montage(_in_rows(cells, columns), PAGE_WIDTH * columns // 4, foot=foot, smooth=True).to_svg()


def draw_components(view: ComponentsView) -> str:
    """Mean and components in three planes; components in one colour scale, the mean's outline over them."""
    low, high = grey_range(view.mean)
    rows = [[Cell(greys(plane, low, high), name) for name, plane in zip(PLANES, view.mean, strict=True)]]
    rows += [
        [
            Cell(_changes(plane, view.limit), overlay=_outline(mean, view.edge))
            for plane, mean in zip(planes, view.mean, strict=True)
        ]
        for planes in view.components
    ]
    words = [f"component {row}\nvariance {each:.3g}" for row, each in enumerate(view.variances.tolist(), start=1)]
    foot = f"components times their standard deviation: blue −{view.limit:.2g}, vermilion {view.limit:.2g}"
    return Montage(rows, COLUMN_WIDTH, ["mean", *words], foot).to_svg()


def _changes(values: np.ndarray, limit: float) -> np.ndarray:
    return map_colours((values[::-1] / limit + 1) / 2, DIVERGING)


def _outline(plane: np.ndarray, level: float) -> str:
    """Lines around where a plane is above a level, in its pixels, rows from the top."""
    lines = (
        " ".join(f"{column + 0.5:.2f},{len(plane) - row - 0.5:.2f}" for row, column in line)
        for line in find_contours(plane, level)
    )
    width = len(plane) / 180
    return "".join(
        f'<polyline points="{line}" fill="none" stroke="#737373" stroke-width="{width:.2f}"/>' for line in lines
    )


def draw_frames(view: FramesView) -> str:
    """Projections of ordered volumes, above their differences from their mean."""
    low, high = grey_range(view.frames)
    numbers = [str(frame + 1) for frame in view.shown.tolist()]
    rows = [
        [Cell(greys(frame, low, high), number) for frame, number in zip(view.frames, numbers, strict=True)],
        [Cell(_changes(change, view.limit)) for change in view.differences],
    ]
    foot = f"projections {PROJECTIONS[view.direction]}; change from their mean: blue less, vermilion more"
    return Montage(rows, PAGE_WIDTH, ["volume", "change"], foot).to_svg()


def draw_class_volumes(view: ClassesView, captions: Sequence[Sequence[str]]) -> str:
    """Class volumes in three planes, on one grey scale; ``captions`` are lines of each."""
    low, high = grey_range(view.planes)
    cells = []
    for planes, lines in zip(view.planes, captions, strict=True):
        gap = np.ones((planes.shape[-1], 1))
        first, second, third = (greys(plane, low, high) for plane in planes)
        cells.append(Cell(np.hstack([first, gap, second, gap, third]), below=[", ".join(lines)]))
    columns = min(2, len(cells))
    return Montage(_in_rows(cells, columns), PAGE_WIDTH if columns == 2 else COLUMN_WIDTH).to_svg()


def draw_motion(view: MotionView, colour: str) -> str:
    """Projection of the map, one panel per latent axis, with arrows from its low end to its high end."""
    picture = greys(view.picture, *grey_range(view.picture))
    cells = [
        Cell(picture, f"latent {number + 1}: {moved:.1f} Å", overlay=_arrows(paths, len(picture), colour))
        for number, (paths, moved) in enumerate(zip(view.paths, view.moved.tolist(), strict=True))
    ]
    width = COLUMN_WIDTH if len(cells) == 1 else PAGE_WIDTH
    foot = f"projections {PROJECTIONS[view.direction]}; arrows from the 2nd to the 98th percentile of a latent"
    return Montage([cells], width, foot=foot).to_svg()


def _arrows(paths: np.ndarray, size: int, colour: str) -> str:
    """Arrows from the first to the last position of each point (f, m, 2), in pixels with rows upwards."""
    ends = paths[[0, -1]] * [1, -1] + [0.5, size - 0.5]
    head = 0.028 * size
    parts = []
    for (x, y), (to_x, to_y) in zip(*ends, strict=True):
        way = np.array([to_x - x, to_y - y])
        length = float(np.hypot(*way))
        if length < 1e-6:
            continue
        along = way / length * min(head, length)
        across = 0.45 * np.array([-along[1], along[0]])
        tip = np.array([to_x, to_y])
        points = " ".join(f"{a:.2f},{b:.2f}" for a, b in (tip, tip - along + across, tip - along - across))
        base = tip - along
        parts.append(
            f'<line x1="{x:.2f}" y1="{y:.2f}" x2="{base[0]:.2f}" y2="{base[1]:.2f}" stroke="{colour}" '
            f'stroke-width="{size / 170:.2f}"/><polygon points="{points}" fill="{colour}"/>'
        )
    return "".join(parts)
