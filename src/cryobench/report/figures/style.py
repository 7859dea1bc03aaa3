"""Colours, sizes and fonts of the figures, and how one is saved.

Colours are of the Okabe-Ito palette (Okabe & Ito, "Color Universal Design", 2008), which colour-blind readers tell
apart. Controls are dashed with hollow markers wherever they appear, methods solid and filled; after the eighth method
of the registry colours come again, with other markers and long dashes.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from hashlib import blake2b
from itertools import count
from pathlib import Path
from typing import Any, ParamSpec

import matplotlib
import numpy as np
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from cryobench.methods.registry import list_methods
from cryobench.report.runs.tables import Run

COLUMN_WIDTH = 3.5
"""Inch: one column of a journal page."""
PAGE_WIDTH = 7.2
"""Inch: both columns."""

NEUTRAL = "#8a8f98"
"""Of what is no run: true volumes."""
CYCLIC = LinearSegmentedColormap.from_list("cyclic", ["#7a44a8", "#3f8fd2", "#efe3b4", "#dd7430", "#7a44a8"])
"""Violet, blue, sand, orange and back: told apart by colour-blind readers, seen on white and on black."""
DIVERGING = LinearSegmentedColormap.from_list("diverging", ["#0072B2", "#ffffff", "#D55E00"])
"""Less in blue, more in vermilion; pictures of the page leave out the white and let the page shine through."""
SEQUENTIAL = "viridis"
DISCRETE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#808080", "#F0E442")
"""Of a few states."""
_METHOD_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#AA4499", "#44AA99", "#CC6677", "#6699CC", "#997700")
_METHOD_MARKERS = ("o", "s", "D", "^", "v", "P", "X", "h")
_RC: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 7.5,
    "axes.titlesize": 8,
    "axes.labelsize": 7.5,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.2,
    "legend.frameon": False,
    "figure.dpi": 100,
    "savefig.dpi": 300,
    "image.cmap": "gray",
    "svg.fonttype": "path",
    "svg.hashsalt": "cryobench",
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.h_pad": 0.03,
    "figure.constrained_layout.w_pad": 0.03,
    "text.parse_math": False,
}


@dataclass(frozen=True)
class RunStyle:
    """How one run looks in every plot of the report."""

    label: str
    colour: str
    dash: str
    """As plotly names it: solid, dash, dot, dashdot, longdash."""
    marker: str
    """As matplotlib names it."""
    is_control: bool

    @property
    def line(self) -> Any:
        """Line style as matplotlib names it."""
        return {"solid": "-", "dash": "--", "dot": ":", "dashdot": "-.", "longdash": (0, (9, 1.5))}[self.dash]


def style_runs(runs: Sequence[Run]) -> dict[str, RunStyle]:
    """Style of every run by slug.

    A control looks as its class says. A method has the same colour and marker in every report, by its name; where
    that is taken on this page, because its method is there twice, a run takes the next one that is free.
    """
    styles: dict[str, RunStyle] = {}
    names = list_methods()
    taken: set[int] = set()
    waiting: list[Run] = []
    for run in runs:
        if (control := run.control) is not None:
            styles[run.slug] = RunStyle(run.label, control.colour, control.dash, "o", True)
            continue
        wish = _place_of(run.reconstruction.name, names)
        if wish in taken:
            waiting.append(run)
        else:
            taken.add(wish)
            styles[run.slug] = _method_style(run, wish)
    for run in waiting:
        place = next(place for place in count() if place not in taken)
        taken.add(place)
        styles[run.slug] = _method_style(run, place)
    return {run.slug: styles[run.slug] for run in runs}


def _place_of(name: str, names: Sequence[str]) -> int:
    """Place of a method in the row of styles: that in the registry, or one by the name alone."""
    if name in names:
        return names.index(name)
    return blake2b(name.encode(), digest_size=2).digest()[0] % len(_METHOD_COLOURS)


def _method_style(run: Run, place: int) -> RunStyle:
    rounds, turn = divmod(place, len(_METHOD_COLOURS))
    marker = _METHOD_MARKERS[(turn + 3 * rounds) % len(_METHOD_MARKERS)]
    return RunStyle(run.label, _METHOD_COLOURS[turn], "solid" if rounds == 0 else "longdash", marker, False)


@contextmanager
def _house_style() -> Iterator[None]:
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        with matplotlib.rc_context(_RC):
            yield


_Arguments = ParamSpec("_Arguments")


def styled(draw: Callable[_Arguments, Figure]) -> Callable[_Arguments, Figure]:
    """Draw with the house style, whatever the user's matplotlib settings are."""

    @wraps(draw)
    def drawn(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> Figure:
        with _house_style():
            return draw(*args, **kwargs)

    return drawn


def save_svg(figure: Figure, path: Path) -> None:
    """Write a figure as SVG, the same bytes for the same figure."""
    with _house_style():
        FigureCanvasSVG(figure)
        figure.savefig(path, format="svg", metadata={"Date": None})


def fixed_figure(width: float, height: float, **margins: float) -> Figure:
    """A figure of pictures only, whose places are given in fractions of it: cheaper than a solved layout."""
    with matplotlib.rc_context({"figure.constrained_layout.use": False}):
        figure = Figure(figsize=(width, height))
    figure.subplots_adjust(**margins)
    return figure


def shorten(label: str, length: int = 26) -> str:
    """A label cut to a length that fits beside an axis."""
    return label if len(label) <= length else label[: length - 1] + "…"


def tile_pictures(rows: Sequence[Sequence[np.ndarray | None]]) -> tuple[np.ndarray, int]:
    """Pictures (n, n) or (n, n, 4) of one size in one array with gaps of white, and the pixels from one to the next.

    One picture is drawn far faster than many axes with one each. None leaves a gap.
    """
    size = next(picture.shape[0] for row in rows for picture in row if picture is not None)
    channels = next(picture.shape[2:] for row in rows for picture in row if picture is not None)
    step = size + max(1, size // 24)
    mosaic = np.ones((step * len(rows), step * max(len(row) for row in rows), *channels))
    if channels:
        mosaic[..., 3] = 0
    for i, row in enumerate(rows):
        for j, picture in enumerate(row):
            if picture is not None:
                mosaic[i * step : i * step + size, j * step : j * step + size] = picture
    return mosaic, step
