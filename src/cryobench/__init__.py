"""Simulate, reconstruct and score heterogeneous cryo-EM data with known truth.

The road in Python:

    import cryobench

    dataset = cryobench.simulate("igg-1d", "antibody", preset="lite")
    result = cryobench.run("3d-class", dataset, "runs/3d-class")
    scores = cryobench.score(result, dataset)
    cryobench.write_report(dataset, [(result, scores)], "page")
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cryobench.experiment.adopt import adopt as adopt
    from cryobench.experiment.run import run as run
    from cryobench.io.store import load_dataset as load_dataset
    from cryobench.io.store import load_reconstruction as load_reconstruction
    from cryobench.metrics.evaluate import score as score
    from cryobench.recipes.simulate import simulate as simulate
    from cryobench.report.card import write_card as write_card
    from cryobench.report.site import write_report as write_report

_PUBLIC = {
    "adopt": "cryobench.experiment.adopt:adopt",
    "load_dataset": "cryobench.io.store:load_dataset",
    "load_reconstruction": "cryobench.io.store:load_reconstruction",
    "run": "cryobench.experiment.run:run",
    "score": "cryobench.metrics.evaluate:score",
    "simulate": "cryobench.recipes.simulate:simulate",
    "write_card": "cryobench.report.card:write_card",
    "write_report": "cryobench.report.site:write_report",
}

_MODULES = ("data", "methods", "metrics", "recipes")

__all__ = ["adopt", "load_dataset", "load_reconstruction", "run", "score", "simulate", "write_card", "write_report"]


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for: ``import cryobench`` itself loads nothing heavy."""
    if name in _PUBLIC:
        module, _, attribute = _PUBLIC[name].partition(":")
        return getattr(import_module(module), attribute)
    if name in _MODULES:
        return import_module(f"cryobench.{name}")
    raise AttributeError(f"module 'cryobench' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC, *_MODULES])
