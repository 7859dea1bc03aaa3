"""Reconstruction methods and controls, by name; packages add their own through the entry-point group."""

from cryobench._registry import list_names, load_named
from cryobench.methods.controls import Control
from cryobench.methods.method import Method, MethodSettings

METHODS = {
    "3d-class": "cryobench.methods.classification_3d:Classification3D",
    "3dva": "cryobench.methods.variability_3d:Variability3D",
    "recovar": "cryobench.methods.recovar:Recovar",
    "cryodrgn": "cryobench.methods.cryodrgn:Cryodrgn",
    "cryodrgn-ai-fixed": "cryobench.methods.cryodrgn_ai:CryodrgnAiFixed",
    "truth": "cryobench.methods.controls:Truth",
    "truth-backprojection": "cryobench.methods.controls:TruthBackprojection",
    "consensus": "cryobench.methods.controls:Consensus",
    "shuffled-truth": "cryobench.methods.controls:ShuffledTruth",
    "random-latent": "cryobench.methods.controls:RandomLatent",
}
"""Name of each method and where it is."""

GROUP = "cryobench.methods"
"""Entry-point group by which other packages add theirs."""


def list_methods() -> list[str]:
    """Names of all methods: those of this package and those that installed packages add."""
    return list_names(METHODS, GROUP, Method)


def get_method(name: str) -> type[Method]:
    """Class of a method. UnknownName, with near names, if there is none."""
    return load_named("method", name, METHODS, GROUP, Method)


__all__ = ["METHODS", "Control", "Method", "MethodSettings", "get_method", "list_methods"]
