"""How runs look in every chart: colour, dash and marker by method, the same on page and paper.

Controls are dashed with hollow markers, methods solid and filled; after the eighth method of the registry, colours
repeat with other markers and long dashes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import chain, count

from cryobench.methods.registry import list_methods
from cryobench.report.scored_runs.tables import Run

_METHOD_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#AA4499", "#44AA99", "#CC6677", "#6699CC", "#997700")
_METHOD_MARKERS = ("circle", "square", "diamond", "triangle-up", "triangle-down", "cross", "x", "hexagon")


@dataclass(frozen=True)
class RunStyle:
    """How one run looks in every plot of the report."""

    label: str
    colour: str
    dash: str = "solid"
    """solid, dash, dot, dashdot or longdash."""
    marker: str = "circle"
    """circle, square, diamond, triangle-up, triangle-down, cross, x or hexagon."""
    is_control: bool = False


def style_runs(runs: Sequence[Run]) -> dict[str, RunStyle]:
    """Style of every run by slug.

    The style of a control is set by its class. A method has the same colour and marker in every report, by its name;
    where another run of the page has that colour, a run takes the next free one.
    """
    styles: dict[str, RunStyle] = {}
    names = list_methods()
    wishes: list[tuple[int, Run]] = []
    for run in runs:
        if (control := run.control) is not None:
            styles[run.slug] = RunStyle(run.label, control.colour, control.dash, "circle", True)
            continue
        name = run.reconstruction.name
        # A method that is not registered has the style of a hash of its name.
        hashed = blake2b(name.encode(), digest_size=2).digest()[0] % len(_METHOD_COLOURS)
        wish = names.index(name) if name in names else hashed
        wishes.append((wish, run))
    taken: set[int] = set()
    # The first methods of the registry keep their colour; the others take one that is free while there are any.
    for wish, run in sorted(wishes, key=lambda each: each[0]):
        index = next(index for index in chain([wish], count()) if _is_free(index, taken))
        taken.add(index)
        styles[run.slug] = _method_style(run, index)
    return {run.slug: styles[run.slug] for run in runs}


def _is_free(index: int, taken: set[int]) -> bool:
    """Whether no run has this style, and none this colour unless all colours are used."""
    used = {other % len(_METHOD_COLOURS) for other in taken}
    return index not in taken and (len(used) == len(_METHOD_COLOURS) or index % len(_METHOD_COLOURS) not in used)


def _method_style(run: Run, index: int) -> RunStyle:
    rounds, turn = divmod(index, len(_METHOD_COLOURS))
    marker = _METHOD_MARKERS[(turn + 3 * rounds) % len(_METHOD_MARKERS)]
    return RunStyle(run.label, _METHOD_COLOURS[turn], "solid" if rounds == 0 else "longdash", marker, False)
