"""Pages that open in a browser from disk: the report on scored runs, and the card of a data set.

``write_report`` and ``write_card`` are the public face.

Facts are gathered once, as values, then drawn, then written, and imports run that way alone.

``card`` has the facts about a data set, which ``cryobench show`` prints, ``runs`` those about scored runs: tables,
ranks and warnings, which the terminal shows too, latents in the plane, query volumes, what others published.
``findings`` has what runs found by themselves. ``charts`` makes small values of them that say what a chart shows,
``figures`` the specification that draws each on page and paper alike. ``pages`` gathers all of it for one page and
writes its folder, with ``templates`` and ``static``.

``axes``, ``colours``, ``slices`` and ``surfaces`` are numbers and pictures without a meaning of their own. Nothing is
scored here.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cryobench.report.pages.card import write_card as write_card
    from cryobench.report.pages.report import write_report as write_report

_PUBLIC = {"write_card": "cryobench.report.pages.card", "write_report": "cryobench.report.pages.report"}

__all__ = ["write_card", "write_report"]


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for: facts in words need no plots."""
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'cryobench.report' has no attribute {name!r}")
