"""Figures of what runs found: components about their mean, volumes along a path, class volumes."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cryobench.report.figures.style import (
    COLUMN_WIDTH,
    DIVERGING,
    PAGE_WIDTH,
    fixed_figure,
    shorten,
    styled,
    tile_pictures,
)
from cryobench.report.findings.motion import MotionView
from cryobench.report.findings.volumes import PROJECTIONS, ClassesView, ComponentsView, FramesView, grey_range
from cryobench.report.slices import PLANES


@styled
def draw_components(view: ComponentsView) -> Figure:
    """Mean and components in three planes; components in one colour scale, the mean's outline over them."""
    rows = 1 + len(view.components)
    head, foot = 0.2, 0.22  # inch
    height = head + foot + 1.05 * rows
    figure = fixed_figure(
        COLUMN_WIDTH, height, left=0.12, right=0.995, bottom=foot / height, top=1 - head / height, wspace=0.03,
        hspace=0.03,
    )  # fmt: skip
    grid = figure.subplots(rows, 3, squeeze=False)
    low, high = grey_range(view.mean)
    for column in range(3):
        grid[0, column].imshow(view.mean[column], vmin=low, vmax=high, origin="lower", interpolation="none")
        grid[0, column].set_title(PLANES[column])
        for row, planes in enumerate(view.components, start=1):
            grid[row, column].imshow(
                planes[column],
                cmap=DIVERGING,
                vmin=-view.limit,
                vmax=view.limit,
                origin="lower",
                interpolation="none",
            )
            if view.mean[column].min() < view.edge < view.mean[column].max():
                grid[row, column].contour(view.mean[column], [view.edge], colors="0.45", linewidths=0.5)
    for axis in grid.ravel():
        _bare(axis)
    grid[0, 0].set_ylabel("mean")
    for row, variance in enumerate(view.variances.tolist(), start=1):
        grid[row, 0].set_ylabel(f"component {row}\nvariance {variance:.3g}")
    words = f"components times their standard deviation: blue −{view.limit:.2g}, vermilion {view.limit:.2g}"
    figure.text(0.5, 0.06 / height, words, fontsize=7, ha="center")
    return figure


@styled
def draw_frames(view: FramesView) -> Figure:
    """Projections of volumes in an order above their differences from the mean of them."""
    low, high = grey_range(view.frames)
    greys = np.clip((view.frames[:, ::-1] - low) / (high - low), 0, 1)
    changes = DIVERGING((view.differences[:, ::-1] / view.limit + 1) / 2)
    colours = np.repeat(greys[..., None], 4, axis=-1)
    colours[..., 3] = 1
    mosaic, step = tile_pictures([list(colours), list(changes)])
    left, head, foot = 0.2, 0.2, 0.22  # inch
    height = head + foot + (PAGE_WIDTH - left) * 2 / len(view.frames)
    figure = fixed_figure(
        PAGE_WIDTH, height, left=left / PAGE_WIDTH, right=1, bottom=foot / height, top=1 - head / height
    )
    axis = figure.subplots()
    axis.set_axis_off()
    axis.imshow(mosaic, interpolation="none", aspect="auto")
    for column, frame in enumerate(view.shown.tolist()):
        axis.text((column + 0.48) * step, -0.06 * step, str(frame + 1), fontsize=7, ha="center", va="bottom")
    for row, words in enumerate(("volume", "change")):
        axis.text(-0.06 * step, (row + 0.48) * step, words, fontsize=7, ha="right", va="center", rotation=90)
    words = f"projections {PROJECTIONS[view.direction]}; change from their mean: blue less, vermilion more"
    figure.text(0.5, 0.06 / height, words, fontsize=7, ha="center")
    return figure


@styled
def draw_class_volumes(view: ClassesView, captions: Sequence[Sequence[str]]) -> Figure:
    """Class volumes in three planes, one scale of grey for all; ``captions`` are lines of each."""
    columns = min(2, len(view.planes))
    rows = -(-len(view.planes) // columns)
    width = PAGE_WIDTH if columns == 2 else COLUMN_WIDTH
    foot = 0.2  # inch under each
    height = rows * (width / columns / 3 + foot)
    figure = fixed_figure(width, height, left=0.005, right=0.995, bottom=0.005, top=0.995, wspace=0.02, hspace=0)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    low, high = grey_range(view.planes)
    for axis in axes:
        axis.set_axis_off()
    for axis, planes, lines in zip(axes, view.planes, captions, strict=False):
        gap = np.full((planes.shape[-1], 1), high)
        strip = np.hstack([planes[0], gap, planes[1], gap, planes[2]])
        axis.imshow(strip, vmin=low, vmax=high, origin="lower", interpolation="none")
        axis.text(
            0.5, -0.03, shorten(", ".join(lines), 60), transform=axis.transAxes, fontsize=7, ha="center", va="top"
        )
    return figure


@styled
def draw_motion(view: MotionView, colour: str) -> Figure:
    """The map projected, a panel for each latent axis, with arrows from the axis's low end to its high end."""
    columns = len(view.paths)
    width = COLUMN_WIDTH if columns == 1 else PAGE_WIDTH
    side, head, foot = min(width / columns, COLUMN_WIDTH), 0.2, 0.22  # inch
    height = side + head + foot
    figure = fixed_figure(
        side * columns, height, left=0.01, right=0.99, bottom=foot / height, top=1 - head / height, wspace=0.03
    )
    low, high = grey_range(view.picture)
    axes = figure.subplots(1, columns, squeeze=False)[0]
    for number, (axis, paths) in enumerate(zip(axes, view.paths, strict=True)):
        axis.imshow(view.picture, vmin=low, vmax=high, cmap="gray", origin="lower", interpolation="none")
        tails, ways = paths[0], paths[-1] - paths[0]
        axis.quiver(
            tails[:, 0], tails[:, 1], ways[:, 0], ways[:, 1], color=colour, angles="xy", scale_units="xy", scale=1,
            width=0.006,
        )  # fmt: skip
        axis.set_xlim(-0.5, view.picture.shape[1] - 0.5)
        axis.set_ylim(-0.5, view.picture.shape[0] - 0.5)
        axis.set_title(f"latent {number + 1}: {view.moved[number]:.1f} Å")
        _bare(axis)
    words = f"projections {PROJECTIONS[view.direction]}; arrows from the 2nd to the 98th percentile of a latent"
    figure.text(0.5, 0.06 / height, words, fontsize=7, ha="center")
    return figure


def _bare(axis: Axes) -> None:
    axis.set_xticks([])
    axis.set_yticks([])
    for spine in axis.spines.values():
        spine.set_visible(False)
