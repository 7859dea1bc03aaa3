"""Figure of the states: their surfaces side by side, from one direction and on one scale."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from cryobench.report.figures.style import PAGE_WIDTH, fixed_figure, shorten, styled, tile_pictures

COLUMNS = 8


@styled
def draw_gallery(pictures: Sequence[np.ndarray], captions: Sequence[str]) -> Figure:
    """Square pictures (n, n, 4), each with up to two lines below it, eight to a row."""
    size = pictures[0].shape[0]
    room = np.zeros((size + 2 * (size // 7), size + 2 * (size // 7), 4))
    framed = []
    for picture in pictures:
        frame = room.copy()
        frame[:size, size // 7 : size // 7 + size] = picture
        framed.append(frame)
    rows: list[list[np.ndarray | None]] = [
        [*framed[start : start + COLUMNS], *[None] * (start + COLUMNS - len(framed))]
        for start in range(0, len(framed), COLUMNS)
    ]
    mosaic, step = tile_pictures(rows)
    height = PAGE_WIDTH * len(rows) / COLUMNS
    figure = fixed_figure(PAGE_WIDTH, height, left=0, right=1, bottom=0, top=1)
    axis = figure.subplots()
    axis.set_axis_off()
    axis.imshow(mosaic, interpolation="none", aspect="auto")
    for place, caption in enumerate(captions):
        row, column = divmod(place, COLUMNS)
        words = "\n".join(shorten(line, 20) for line in caption.split("\n")[:2])
        axis.text((column + 0.5) * step, row * step + size, words, fontsize=6.5, ha="center", va="top")
    return figure
