"""Pages that open in a browser from disk: the report on scored runs, and the card of a data set.

``write_report`` and ``write_card`` are the public functions.

Facts are gathered once, as values, then drawn, then written; imports follow the same order.

``card`` has the facts about a data set, which ``cryobench show`` prints; ``runs`` those about scored runs: tables,
ranks and warnings, which the terminal shows too, latents in two dimensions, query volumes, published results;
``findings`` the findings of runs. ``charts`` turns these into small values with the contents of each chart, and
``figures`` into the specifications that draw them on page and paper. ``pages`` gathers all of it for one page and
writes its folder, with ``templates`` and ``static``.

``axes``, ``colours``, ``slices`` and ``surfaces`` are general helpers for numbers and pictures. Nothing is scored
here.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cryobench.report.pages.card import write_card as write_card
    from cryobench.report.pages.report import write_report as write_report

_PUBLIC = {"write_card": "cryobench.report.pages.card", "write_report": "cryobench.report.pages.report"}

__all__ = ["write_card", "write_report"]


def __getattr__(name: str) -> Any:
    """Import a public name on first use: facts as text need no plots."""
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'cryobench.report' has no attribute {name!r}")
