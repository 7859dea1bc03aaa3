"""Pages that open in a browser from disk: the report on scored runs, and the card of a data set.

``write_report`` and ``write_card`` are the public face.

For runs: ``tables`` and ``assignments`` turn results into tables, ``standing`` into ranks and warnings, which the
terminal shows too, ``agreement`` into what can be said without truth, ``leaderboard`` into cells,
``charts`` into what page and paper both draw, ``latent_views`` and ``colourings`` into points, ``views``, ``slices``
and ``surfaces`` into pictures and meshes; ``findings`` has what runs found by themselves; ``payload``,
``charts_payload`` and ``pictures`` write what the page shows, ``published_results`` has what others published,
``site`` puts the folder together.

For a data set: ``facts``, ``command`` and ``state_list`` say what it is, which ``cryobench show`` prints;
``dataset_tables``, ``states``, ``spectra``, ``variables`` and ``composition`` are its tables and pictures,
``conventions`` the check that is kept with it, gathered by ``card_contents`` and written by the other ``card_``
files; ``card`` puts the folder together.

``figures`` draws tables for papers; ``page`` is what both pages share, with ``templates`` and ``static``. Nothing is
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
