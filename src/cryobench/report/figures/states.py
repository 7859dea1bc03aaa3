"""Figure of the states: their surfaces side by side, from one direction and on one scale."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from cryobench.report.figures.style import PAGE_WIDTH, fixed_figure, shorten, styled


@styled
def draw_gallery(pictures: Sequence[np.ndarray], captions: Sequence[str]) -> Figure:
    """Pictures (y, x, 4), each with up to two lines below it, eight to a row."""
    columns = min(8, len(pictures))
    rows = -(-len(pictures) // columns)
    height = 1.18 * rows
    figure = fixed_figure(
        PAGE_WIDTH * max(columns, 4) / 8, height, left=0.005, right=0.995, bottom=0.3 / height, top=1, wspace=0.03,
        hspace=0.36,
    )  # fmt: skip
    axes = figure.subplots(rows, max(columns, 4), squeeze=False).ravel()
    for axis in axes:
        axis.set_axis_off()
    for axis, picture, caption in zip(axes, pictures, captions, strict=False):
        axis.imshow(picture, interpolation="bilinear")
        lines = [shorten(line, 20) for line in caption.split("\n")[:2]]
        axis.text(0.5, -0.02, "\n".join(lines), fontsize=6.5, ha="center", va="top", transform=axis.transAxes)
    return figure
