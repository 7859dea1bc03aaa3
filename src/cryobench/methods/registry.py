"""Methods and controls by name; packages add their own through the entry-point group."""

from functools import cache
from typing import TYPE_CHECKING

from cryobench._errors import UnknownName
from cryobench._registry import Entry, list_names, load_named

if TYPE_CHECKING:
    from cryobench.methods.controls import Control
    from cryobench.methods.method import Method

METHODS = {
    "3d-class": Entry(
        "cryobench.methods.classification_3d:Classification3D",
        "K volumes at given poses by expectation-maximisation (RELION's Class3D without alignment).",
    ),
    "3dva": Entry(
        "cryobench.methods.variability_3d:Variability3D",
        "Mean and K linear components at given poses by expectation-maximisation (cryoSPARC's 3D Variability).",
    ),
    "recovar": Entry(
        "cryobench.methods.recovar:Recovar",
        "Covariance of the volumes, linear embedding, kernel-regression volumes at given poses (RECOVAR).",
    ),
    "cryodrgn": Entry(
        "cryobench.methods.cryodrgn:Cryodrgn",
        "Variational autoencoder of images at given poses; volumes as a network over frequencies (cryoDRGN).",
    ),
    "cryodrgn2": Entry(
        "cryobench.methods.cryodrgn:Cryodrgn2",
        "Variational autoencoder of images whose poses are searched with it, from nothing (cryoDRGN2).",
    ),
    "cryodrgn-ai-fixed": Entry(
        "cryobench.methods.cryodrgn_ai:CryodrgnAiFixed",
        "Network over frequencies with a table of latents, at given poses (cryoDRGN-AI, fixed poses).",
    ),
    "cryodrgn-ai": Entry(
        "cryobench.methods.cryodrgn_ai:CryodrgnAi",
        "Network over frequencies with tables of latents and poses: searched, then moved by gradients (cryoDRGN-AI).",
    ),
    "3dflex": Entry(
        "cryobench.methods.flex_3d:Flex3D",
        "One map moved by a mesh: motions from a latent, density conserved, at given poses (cryoSPARC's 3DFlex).",
    ),
    "opus-dsd": Entry(
        "cryobench.methods.opus_dsd:OpusDsd",
        "Variational autoencoder in real space at given poses; volumes by 3-D convolutions (OPUS-DSD).",
    ),
    "3d-class-ab-initio": Entry(
        "cryobench.methods.classification_ab_initio:ClassificationAbInitio",
        "K volumes and all poses from random starts by stochastic ascent (cryoSPARC's ab initio reconstruction).",
    ),
    "truth": Entry(
        "cryobench.methods.controls:Truth",
        "Control: the true volumes themselves; the ceiling of every metric.",
    ),
    "truth-backprojection": Entry(
        "cryobench.methods.controls:TruthBackprojection",
        "Control: back-projection of each state's images by the true labels; what a perfect classifier would get.",
    ),
    "consensus": Entry(
        "cryobench.methods.controls:Consensus",
        "Control: one volume from all images, for every particle; the floor of heterogeneity.",
    ),
    "shuffled-truth": Entry(
        "cryobench.methods.controls:ShuffledTruth",
        "Control: back-projection by labels permuted over the particles; right populations, no knowledge.",
    ),
    "random-latent": Entry(
        "cryobench.methods.controls:RandomLatent",
        "Control: random latents and the consensus volume; the floor of every latent metric.",
    ),
}
"""Name of each method, where it is, and the first line of its card."""

GROUP = "cryobench.methods"
"""Entry-point group by which other packages add theirs."""

BASE = "cryobench.methods.method:Method"
"""What those are."""


def list_methods() -> list[str]:
    """Names of all methods: those of this package and those that installed packages add."""
    return list_names(METHODS, GROUP, BASE)


def get_method(name: str) -> "type[Method]":
    """Class of a method. UnknownName, with near names, if there is none."""
    return load_named("method", name, METHODS, GROUP, BASE)


@cache
def find_control(name: str) -> "type[Control] | None":
    """Class of a control; None for any other method, and for names that no method has."""
    from cryobench.methods.controls import Control

    try:
        method = get_method(name)
    except UnknownName:
        return None
    return method if issubclass(method, Control) else None
