"""Faults of a data set in words, one for each possible finding of the check."""

from __future__ import annotations

from dataclasses import dataclass

from cryobench.check.hypotheses.catalogue import HAND
from cryobench.check.hypotheses.trials import SURE, Trial
from cryobench.check.inspections.density import MaskFit
from cryobench.check.inspections.images import ImageFacts
from cryobench.check.inspections.labels import LabelGain
from cryobench.check.inspections.mismatched import Strangers
from cryobench.check.inspections.references import References
from cryobench.data import Particles

_STRANGE = 0.2
"""Fraction of mismatched particles that counts as a fault: every real set has a few."""
_BY_EYE = 8.0
"""Standard errors of the average's centre needed to judge contrast without poses."""


@dataclass(frozen=True)
class Fault:
    """A fault of a data set."""

    name: str
    says: str
    """Description, as a clause."""
    evidence: str
    way_out: str


def trial_fault(trial: Trial) -> Fault:
    """Fault for an adopted hypothesis."""
    if trial.gain <= 0:
        evidence = "they predict the images no better than those of other images"
    else:
        evidence = f"read this way, an image gains {trial.gain:.3g} ± {trial.error:.1g} nats"
    return Fault(trial.name, trial.says, evidence, trial.way_out)


def contrast_fault(particles: Particles, evidence: str) -> Fault:
    """Fault for the sign of the images."""
    wrong, right = ("bright", "dark") if particles.sign == -1 else ("dark", "bright")
    return Fault(
        "contrast",
        f"protein is {right} in the stored images, but was read as {wrong}",
        evidence,
        f"adopt --contrast {right}",
    )


def image_faults(facts: ImageFacts, particles: Particles) -> list[Fault]:
    """Faults of the images themselves; their contrast only if there are no poses."""
    found = []
    if particles.rotations is None and facts.centre < -_BY_EYE:
        found.append(contrast_fault(particles, f"the centre of the average image is dark, by {-facts.centre:.0f} σ"))
    if facts.has_background:
        evidence = f"the mean of the corners is {facts.background:+.2f} standard deviations"
        way_out = "subtract the mean of each image's corners"
        found.append(Fault("images-background", "the background of the images is not zero", evidence, way_out))
    if not facts.is_normalised:
        evidence, way_out = (
            f"by {facts.noise_spread:.0%}",
            "divide each image by the standard deviation of its corners",
        )
        found.append(Fault("images-not-normalised", "the noise level differs between images", evidence, way_out))
    if facts.doubled:
        says, evidence = f"{facts.doubled:,} images are duplicates", f"of {len(particles):,} checked"
        found.append(Fault("images-doubled", says, evidence, "remove one of each from the table"))
    return found


def are_many(strangers: Strangers) -> bool:
    """Whether more particles are mismatched than in every real set."""
    return strangers.told_apart and strangers.share - 2 * strangers.error > _STRANGE


def stranger_faults(strangers: Strangers) -> list[Fault]:
    """Fault for mismatched particles, if they are many."""
    if not are_many(strangers) or strangers.among_themselves:
        return []
    return [
        Fault(
            "poses-partly-wrong",
            f"poses of {strangers.share:.0%} of the particles fit no better than those of other particles",
            f"± {strangers.error:.0%}, from the agreement of each image with the others",
            "remove them, or estimate their poses again",
        )
    ]


def mask_faults(mask: MaskFit, of: str = "it") -> list[Fault]:
    """Faults of a mask that does not fit a density, called ``of`` in the evidence."""
    if mask.verdict == "displaced":
        evidence = f"it contains {mask.held:.0%} of {of}, and {mask.best:.0%} if shifted by {mask.offset} voxels"
        way_out = "make the mask from a map at these poses"
        return [Fault("mask-displaced", "the mask is off the density", evidence, way_out)]
    if mask.verdict == "too small":
        evidence, says = f"{mask.held:.0%} of {of}", "the mask contains only part of the density"
        return [Fault("mask-too-small", says, evidence, "enlarge the mask")]
    return []


def label_faults(found: LabelGain | None) -> list[Fault]:
    """Fault for labels that should predict images better than other labels, but do not."""
    if found is None or found.expected < 2 * SURE * found.error or found.gain > found.expected / 4:
        return []
    return [
        Fault(
            "labels-shuffled",
            "labels do not belong to the images",
            f"the volume of its label predicts an image {found.gain:.2g} ± {found.error:.1g} nats better than that "
            f"of another label, expected {found.expected:.2g}",
            "use the labels of the table from which the stack was made",
        )
    ]


def hand_faults(references: References) -> list[Fault]:
    """Fault for poses whose hand differs from that of a map of known hand."""
    if references.hand != "other":
        return []
    return [Fault(HAND.name, HAND.says, references.evidence, HAND.way_out)]
