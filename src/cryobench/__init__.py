"""Simulate, reconstruct and score heterogeneous cryo-EM data with known truth.

The road in Python:

    import cryobench

    dataset = cryobench.simulate("igg-1d", "antibody", preset="lite")
    result = cryobench.run("3d-class", dataset, "runs/3d-class")
    scores = cryobench.score(result, dataset)
    cryobench.write_report(dataset, [(result, scores)], "page")
"""

from typing import TYPE_CHECKING

from cryobench._lazy import late_names

if TYPE_CHECKING:
    from cryobench._version import __version__ as __version__
    from cryobench.io.store import load_dataset as load_dataset
    from cryobench.metrics.evaluate import score as score
    from cryobench.recipes.simulate import simulate as simulate
    from cryobench.report.pages.card import write_card as write_card
    from cryobench.report.pages.report import write_report as write_report
    from cryobench.runs.adopt import adopt as adopt
    from cryobench.runs.run import run as run
    from cryobench.runs.saved_run import load_run as load_run
    from cryobench.runs.saved_run import save_run as save_run

_PUBLIC = {
    "__version__": "cryobench._version",
    "adopt": "cryobench.runs.adopt",
    "load_dataset": "cryobench.io.store",
    "load_run": "cryobench.runs.saved_run",
    "run": "cryobench.runs.run",
    "save_run": "cryobench.runs.saved_run",
    "score": "cryobench.metrics.evaluate",
    "simulate": "cryobench.recipes.simulate",
    "write_card": "cryobench.report.pages.card",
    "write_report": "cryobench.report.pages.report",
}

_FOLDERS = {name: f"cryobench.{name}" for name in ("data", "methods", "metrics", "recipes")}

__all__ = [
    "__version__",
    "adopt",
    "load_dataset",
    "load_run",
    "run",
    "save_run",
    "score",
    "simulate",
    "write_card",
    "write_report",
]

__getattr__, __dir__ = late_names(__name__, {**_PUBLIC, **_FOLDERS})
