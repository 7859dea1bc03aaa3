"""The report on scored runs: a folder that opens in a browser from disk, with paper figures and tables.

``write_report`` is the whole public face. Below it: ``tables``, ``assignments`` and ``card`` turn results and data
set into tables; ``views``, ``slices`` and ``surfaces`` into pictures and meshes; ``figures`` draws tables for
papers; ``payload`` and ``pictures`` write what the page in ``templates`` and ``static`` shows; ``site`` puts the
folder together. Nothing is scored here.
"""

from cryobench.report.site import write_report

__all__ = ["write_report"]
