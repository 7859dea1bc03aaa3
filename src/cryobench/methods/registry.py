"""Methods and controls by name; other packages add theirs through the entry-point group."""

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
        "Variational autoencoder of images with pose search during training, ab initio (cryoDRGN2).",
    ),
    "cryodrgn-ai-fixed": Entry(
        "cryobench.methods.cryodrgn_ai:CryodrgnAiFixed",
        "Network over frequencies with a table of latents, at given poses (cryoDRGN-AI, fixed poses).",
    ),
    "cryodrgn-ai": Entry(
        "cryobench.methods.cryodrgn_ai:CryodrgnAi",
        "Network over frequencies with tables of latents and poses: by search, then gradients (cryoDRGN-AI).",
    ),
    "3dflex": Entry(
        "cryobench.methods.flex_3d:Flex3D",
        "One map deformed by a mesh: motion from a latent, density conserved, at given poses (cryoSPARC's 3DFlex).",
    ),
    "opus-dsd": Entry(
        "cryobench.methods.opus_dsd:OpusDsd",
        "Variational autoencoder in real space at given poses; volumes by 3-D convolutions (OPUS-DSD).",
    ),
    "3d-class-ab-initio": Entry(
        "cryobench.methods.classification_ab_initio:ClassificationAbInitio",
        "K volumes and all poses from random starts by stochastic ascent (cryoSPARC's ab initio reconstruction).",
    ),
    "3d-class-ensemble": Entry(
        "cryobench.methods.classification_ensemble:ClassificationEnsemble",
        "Many small ab initio classifications merged by co-assignment, then one refinement (job ensembles).",
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
        "Control: back-projection by labels permuted over the particles; right populations, wrong particles.",
    ),
    "random-latent": Entry(
        "cryobench.methods.controls:RandomLatent",
        "Control: random latents and the consensus volume; the floor of every latent metric.",
    ),
}
"""Name of each method -> where it is defined, and the first line of its docstring."""

GROUP = "cryobench.methods"
"""Entry-point group by which other packages add theirs."""

BASE = "cryobench.methods.method:Method"
"""Description of the entries of that group."""


def list_methods() -> list[str]:
    """Names of all methods, of this package and of other installed packages."""
    return list_names(METHODS, GROUP, BASE)


def get_method(name: str) -> "type[Method]":
    """Class of a method. UnknownName, with similar names, if there is none."""
    return load_named("method", name, METHODS, GROUP, BASE)


@cache
def find_control(name: str) -> "type[Control] | None":
    """Class of a control; None for any other method, and for unknown names."""
    from cryobench.methods.controls import Control

    try:
        method = get_method(name)
    except UnknownName:
        return None
    return method if issubclass(method, Control) else None
