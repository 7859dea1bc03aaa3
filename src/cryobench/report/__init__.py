"""Pages that open in a browser from disk: the report on scored runs, and the card of a data set.

``write_report`` and ``write_card`` are the public functions.

Facts are gathered once, as values, then drawn, then written; imports follow the same order.

``card`` has the facts about a data set, which ``cryobench show`` prints; ``scored_runs`` those about runs: tables,
ranks and warnings, which the terminal shows too, latents in two dimensions, query volumes, published results;
``findings`` the findings of runs. ``charts`` turns these into small values with the contents of each chart, and
``drawing`` into the specifications that draw them on page and paper. ``pages`` gathers all of it for one page and
writes its folder, with ``templates`` and ``static``.

``axes``, ``colours``, ``slices`` and ``surfaces`` are general helpers for numbers and pictures. Nothing is scored
here.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
