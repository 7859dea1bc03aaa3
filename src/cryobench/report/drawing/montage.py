"""Pictures side by side with captions, as SVG: pictures are embedded as PNG, captions are text."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

import numpy as np

from cryobench.report.colours import png_link
from cryobench.report.drawing.vega import PAPER

_LINE = 11.5
"""Pixels from one line of text to the next."""
_FONT = 9.5


@dataclass(frozen=True, eq=False)
class Cell:
    """One picture with its caption and overlay."""

    picture: np.ndarray
    """(y, x) grey, (y, x, 3) or (y, x, 4), in [0, 1], first row at the top."""
    above: str = ""
    below: Sequence[str] = ()
    overlay: str = ""
    """SVG over the picture, in its pixels."""


@dataclass(frozen=True, eq=False)
class Montage:
    """Rows of pictures of one size."""

    rows: Sequence[Sequence[Cell | None]]
    width: int
    """Pixels of the whole figure."""
    beside: Sequence[str] = field(default_factory=list)
    """Rotated text at the left of each row; may have several lines."""
    foot: str = ""
    gap: float = 4
    smooth: bool = False
    """Whether pixels of pictures are interpolated."""

    def to_svg(self) -> str:
        """SVG of the figure."""
        cells = [cell for row in self.rows for cell in row if cell is not None]
        columns = max(len(row) for row in self.rows)
        left = _LINE * max((1 + words.count("\n") for words in self.beside), default=0) + (4 if self.beside else 0)
        side = (self.width - left - self.gap * (columns - 1)) / columns
        shape = cells[0].picture.shape
        tall = side * shape[0] / shape[1]
        parts: list[str] = []
        top = 0.0
        for number, row in enumerate(self.rows):
            head = _LINE + 2 if any(cell is not None and cell.above for cell in row) else 0
            top += head
            for column, cell in enumerate(row):
                if cell is not None:
                    parts += self._draw(cell, left + column * (side + self.gap), top, side, tall)
            if self.beside:
                parts.append(_turned(self.beside[number], left - 4, top + tall / 2))
            lines = max((len(cell.below) for cell in row if cell is not None), default=0)
            top += tall + self.gap + _LINE * lines
        if self.foot:
            parts.append(_text(self.foot, self.width / 2, top + _LINE, "middle"))
            top += _LINE + 5
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{self.width}" height="{top:.1f}" '
            f'viewBox="0 0 {self.width} {top:.1f}" font-family="{PAPER.font}" font-size="{_FONT}" fill="{PAPER.ink}">'
            f'<rect width="100%" height="100%" fill="white"/>{"".join(parts)}</svg>\n'
        )

    def _draw(self, cell: Cell, x: float, y: float, wide: float, tall: float) -> list[str]:
        look = "" if self.smooth else ' style="image-rendering:pixelated"'
        parts = [
            f'<image href="{png_link(cell.picture)}" x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{tall:.1f}" '
            f'preserveAspectRatio="none"{look}/>'
        ]
        if cell.overlay:
            rows, columns = cell.picture.shape[:2]
            parts.append(
                f'<svg x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{tall:.1f}" '
                f'viewBox="0 0 {columns} {rows}" preserveAspectRatio="none">{cell.overlay}</svg>'
            )
        if cell.above:
            parts.append(_text(cell.above, x + wide / 2, y - 3, "middle", limit=wide))
        for line, words in enumerate(cell.below):
            parts.append(_text(words, x + wide / 2, y + tall + _LINE * (line + 0.85), "middle", limit=wide))
        return parts


def shorten(words: str, length: int) -> str:
    """Text truncated to fit."""
    return words if len(words) <= length else words[: length - 1] + "…"


def _text(words: str, x: float, y: float, anchor: str, limit: float = np.inf) -> str:
    if np.isfinite(limit):
        words = shorten(words, max(4, int(limit / (0.44 * _FONT))))
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def _turned(words: str, x: float, y: float) -> str:
    lines = words.split("\n")
    return "".join(
        f'<text transform="translate({x - _LINE * (len(lines) - 1 - number):.1f},{y:.1f}) rotate(-90)" '
        f'text-anchor="middle">{escape(line)}</text>'
        for number, line in enumerate(lines)
    )
