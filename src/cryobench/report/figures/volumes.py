"""Figures of volumes: slices and shaded surfaces of reconstructions beside the truth."""

from collections.abc import Mapping
from textwrap import wrap

import numpy as np
from matplotlib.figure import Figure

from cryobench.report.figures.style import COLUMN_WIDTH, PAGE_WIDTH, fixed_figure, shorten, styled
from cryobench.report.slices import PLANES


@styled
def draw_slices(slices: Mapping[str, np.ndarray], limits: tuple[float, float], width: float) -> Figure:
    """Three central slices per volume on one grey scale.

    ``slices`` maps labels to (3, n, n), ``width`` is the side of the box in Å.
    """
    height = 0.2 + 1.05 * len(slices)
    figure = fixed_figure(
        COLUMN_WIDTH, height, left=0.09, right=0.995, bottom=0.01, top=1 - 0.2 / height, wspace=0.03, hspace=0.03
    )
    grid = figure.subplots(len(slices), 3, squeeze=False)
    for row, (label, planes) in enumerate(slices.items()):
        for column, plane in enumerate(planes):
            axis = grid[row, column]
            axis.imshow(plane, vmin=limits[0], vmax=limits[1], origin="lower", interpolation="none")
            _bare(axis)
            if row == 0:
                axis.set_title(PLANES[column])
            if column == 0:
                axis.set_ylabel("\n".join(wrap(label, 18)[:2]), fontsize=7)
    n = next(iter(slices.values())).shape[-1]
    bar = _round_length(width / 4)
    corner = grid[-1, 0]
    corner.plot(
        [0.06 * n, 0.06 * n + bar / width * n], [0.08 * n] * 2, color="white", linewidth=2, solid_capstyle="butt"
    )
    corner.text(0.06 * n, 0.11 * n, f"{bar:g} Å", color="white", fontsize=7)
    return figure


def _round_length(length: float) -> float:
    """The largest of 1, 2, 5 times a power of ten that is not above a length."""
    power = 10.0 ** np.floor(np.log10(length))
    return float(max(step * power for step in (1, 2, 5) if step * power <= length))


@styled
def draw_surfaces(pictures: Mapping[str, np.ndarray], enclosed: float) -> Figure:
    """Shaded surfaces (label to picture) side by side; ``enclosed`` is the volume in nm³ inside each of them."""
    columns = min(len(pictures), 4)
    rows = -(-len(pictures) // columns)
    height = 0.25 + 1.95 * rows
    figure = fixed_figure(
        PAGE_WIDTH * columns / 4,
        height,
        left=0.005,
        right=0.995,
        bottom=0.25 / height,
        top=1 - 0.17 / height,
        wspace=0.02,
        hspace=0.12,
    )
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes:
        axis.set_axis_off()
    for axis, (label, picture) in zip(axes, pictures.items(), strict=False):
        axis.imshow(np.ma.masked_invalid(picture), vmin=0, vmax=1, interpolation="bilinear")
        axis.set_title(shorten(label, 24))
    figure.text(0.5, 0.06 / height, f"each surface encloses {enclosed:.3g} nm³", fontsize=7, ha="center")
    return figure


def _bare(axis) -> None:
    axis.set_xticks([])
    axis.set_yticks([])
    for spine in axis.spines.values():
        spine.set_visible(False)
