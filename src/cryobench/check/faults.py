"""What is wrong with a data set, in words: a fault for each thing that the parts of the check may find."""

from __future__ import annotations

from dataclasses import dataclass

from cryobench.check.hypotheses.catalogue import HAND
from cryobench.check.hypotheses.trials import SURE, Trial
from cryobench.check.inspections.density import MaskFit
from cryobench.check.inspections.images import ImageFacts
from cryobench.check.inspections.labels import LabelGain
from cryobench.check.inspections.references import References
from cryobench.check.inspections.strangers import Strangers
from cryobench.data import Particles

_STRANGE = 0.2
"""Share of particles that agree with nothing from which something is wrong: a few are in every real set."""
_BY_EYE = 8.0
"""Standard errors of the average's middle that contrast without poses is judged by."""


@dataclass(frozen=True)
class Fault:
    """Something that is wrong with a data set."""

    name: str
    says: str
    """A clause: what is wrong."""
    evidence: str
    way_out: str


def trial_fault(trial: Trial) -> Fault:
    """Of a hypothesis that was taken over."""
    if trial.gain <= 0:
        evidence = "they predict the images no better than those of other images"
    else:
        evidence = f"so read an image gains {trial.gain:.3g} ± {trial.error:.1g} nats"
    return Fault(trial.name, trial.says, evidence, trial.way_out)


def contrast_fault(particles: Particles, evidence: str) -> Fault:
    """Of the sign of the images."""
    wrong, right = ("bright", "dark") if particles.sign == -1 else ("dark", "bright")
    return Fault(
        "contrast",
        f"the protein is {right} in the stored images, and was taken for {wrong}",
        evidence,
        f"adopt --contrast {right}",
    )


def image_faults(facts: ImageFacts, particles: Particles) -> list[Fault]:
    """Of the images by themselves; contrast by them only where there are no poses."""
    found = []
    if particles.rotations is None and facts.centre < -_BY_EYE:
        found.append(
            contrast_fault(particles, f"the middle of the images' average is dark, by {-facts.centre:.0f} σ")
        )
    if facts.has_background:
        found.append(
            Fault(
                "images-background",
                "the background of the images is not zero",
                f"corners lie at {facts.background:+.2f} of their standard deviation",
                "subtract the mean of each image's corners",
            )
        )
    if not facts.is_normalised:
        found.append(
            Fault(
                "images-not-normalised",
                "the noise of the images differs from one to another",
                f"by {facts.noise_spread:.0%}",
                "divide each image by the standard deviation of its corners",
            )
        )
    if facts.doubled:
        found.append(
            Fault(
                "images-doubled",
                f"{facts.doubled:,} images are there twice",
                f"of {len(particles):,} looked at",
                "leave one of each out of the table",
            )
        )
    return found


def are_many(strangers: Strangers) -> bool:
    """Whether particles that agree with nothing are more than there are in every set."""
    return strangers.told_apart and strangers.share - 2 * strangers.error > _STRANGE


def stranger_faults(strangers: Strangers) -> list[Fault]:
    """Of particles that agree with nothing, if they are many."""
    if not are_many(strangers) or strangers.among_themselves:
        return []
    return [
        Fault(
            "poses-partly-wrong",
            f"poses of {strangers.share:.0%} of the particles fit no better than those of others",
            f"± {strangers.error:.0%}, by how each image agrees with the others",
            "leave them out, or make their poses anew",
        )
    ]


def mask_faults(mask: MaskFit, of: str = "it") -> list[Fault]:
    """Of a mask that does not fit a density, which the evidence calls ``of``."""
    if mask.verdict == "displaced":
        return [
            Fault(
                "mask-displaced",
                "the mask lies beside the density",
                f"it holds {mask.held:.0%} of {of}, and {mask.best:.0%} where it is moved by {mask.offset} voxels",
                "make the mask on the map of these poses",
            )
        ]
    if mask.verdict == "too small":
        return [
            Fault(
                "mask-too-small",
                "the mask holds a part of the density alone",
                f"{mask.held:.0%} of {of}",
                "make the mask larger",
            )
        ]
    return []


def label_faults(found: LabelGain | None) -> list[Fault]:
    """Of labels that predict images no better than others do, where they must."""
    if found is None or found.expected < 2 * SURE * found.error or found.gain > found.expected / 4:
        return []
    return [
        Fault(
            "labels-shuffled",
            "labels do not belong to the images",
            f"the volume of its label predicts an image {found.gain:.2g} ± {found.error:.1g} nats better than that "
            f"of another label, expected {found.expected:.2g}",
            "take the labels from the table that the stack was made from",
        )
    ]


def hand_faults(references: References) -> list[Fault]:
    """Of poses whose hand is not that of a map whose hand is known."""
    if references.hand != "other":
        return []
    return [Fault(HAND.name, HAND.says, references.evidence, HAND.way_out)]
