"""The convention check: what a data set says of its own conventions, from its images alone.

``check_conventions`` tries every hypothesis on a sample of the particles (``trials``), and looks at the density that
comes out (``density``), at the images by themselves (``images``), and at labels where there are true volumes to them.
Nothing is changed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch

from cryobench._progress import Progress
from cryobench.check.density import Contrast, MaskFit, judge_contrast, judge_mask_fit
from cryobench.check.images import ImageFacts, look_at_images
from cryobench.check.labels import measure_labels
from cryobench.check.reading import Reading
from cryobench.check.strangers import Strangers, find_strangers
from cryobench.check.trials import SURE, Search, Trial, find_reading
from cryobench.data import Dataset, GroundTruth, Particles
from cryobench.reconstruction.statistics import cut_mask

SAMPLE = 5000
"""Particles that are looked at, evenly spaced through the table."""
COARSE, FINE = 32, 64
"""Boxes, in px, for geometry and for the CTF."""
_STRANGE = 0.2
"""Share of particles that agree with nothing from which something is wrong: a few are in every real set."""
LEAST_PARTICLES = 200
"""Fewer tell nothing."""
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


@dataclass(frozen=True, eq=False)
class ConventionCheck:
    """What was found, the likeliest fault first."""

    n_particles: int
    """Looked at."""
    faults: tuple[Fault, ...]
    trials: tuple[Trial, ...]
    """Hypotheses against the reading that was found; none without poses."""
    unknown: tuple[str, ...]
    """Sentences on what cannot be known from these images."""
    images: ImageFacts
    contrast: Contrast | None = None
    mask: MaskFit | None = None
    strangers: Strangers | None = None
    fsc: np.ndarray | None = field(default=None, repr=False)
    """(s,) half-set FSC of the reading that was found."""
    volumes: np.ndarray | None = field(default=None, repr=False)
    """(2, z, y, x) half-maps of the reading that was found."""
    gain: float | None = None
    """Nats an image that the reading that was found predicts beyond chance."""

    @property
    def conclusion(self) -> str:
        """One sentence."""
        if self.faults:
            first = self.faults[0]
            more = "" if len(self.faults) == 1 else f"; {len(self.faults) - 1} more fault(s) below"
            return f"{first.says[0].upper()}{first.says[1:]} ({first.evidence}){more}."
        if not self.trials:
            return "Nothing wrong was seen, as far as images without poses tell."
        undecided = sum(trial.verdict == "open" for trial in self.trials)
        rejected = sum(trial.verdict == "rejected" for trial in self.trials)
        return f"The conventions agree with the images: {rejected} other readings predict them worse" + (
            f", {undecided} cannot be told from the stated one by these images." if undecided else "."
        )


def check_conventions(
    dataset: Dataset, *, n_particles: int = SAMPLE, quick: bool = False, progress: Progress | None = None
) -> ConventionCheck:
    """Conventions of a data set against its images.

    Parameters
    ----------
    n_particles
        Particles that are looked at, at most.
    quick
        Geometry, contrast and the images by themselves; what shows at high frequencies alone is left out.

    Raises
    ------
    ValueError
        If a pixel is not finite, or fewer than 200 particles are looked at.
    """
    if min(n_particles, len(dataset.particles)) < LEAST_PARTICLES:
        raise ValueError(
            f"{min(n_particles, len(dataset.particles))} particles are too few for a check of conventions: expected "
            f"{LEAST_PARTICLES} or more."
        )
    particles, truth = _sample(dataset, n_particles)
    facts = look_at_images(particles)
    faults = [*_image_faults(facts, particles)]
    if particles.rotations is None:
        unknown = ("Poses are withheld: nothing is known of rotations, shifts, rows and CTFs.",)
        return ConventionCheck(len(particles), tuple(faults), (), unknown, facts)
    coarse = Reading.of(particles, COARSE)
    search = find_reading(coarse, None if quick else Reading.of(particles, FINE), progress=progress)
    faults = [*(_pose_fault(trial) for trial in search.faults), *faults]
    unknown = [*_open_questions(search.trials)]
    halves = search.agreement.volumes.numpy()
    contrast = strangers = mask = None
    if not any(fault.name == "poses-shuffled" for fault in faults):
        # Without a CTF protein is dark where it would be bright by one, whose first lobe is negative.
        contrast = judge_contrast(-halves if search.reading.form == "absent" else halves)
        if contrast.verdict == "inverted":
            faults.insert(
                0, _contrast_fault(particles, f"{1 - contrast.positive:.0%} of the strongest density is dark")
            )
        elif contrast.verdict == "open":
            unknown.append("The sign of the density does not tell contrast here.")
        strangers = find_strangers(search.matches, search.strangers)
        if strangers.told_apart and strangers.share - 2 * strangers.error > _STRANGE:
            faults.append(
                Fault(
                    "poses-partly-wrong",
                    f"poses of {strangers.share:.0%} of the particles fit no better than those of others",
                    f"± {strangers.error:.0%}, by how each image agrees with the others",
                    "leave them out, or make their poses anew",
                )
            )
        if particles.mask is not None:
            mask = _fit_mask(particles, halves)
            faults += _mask_faults(mask)
        faults += _label_faults(search, truth)
    return ConventionCheck(
        len(particles),
        tuple(faults),
        search.trials,
        tuple(unknown),
        facts,
        contrast,
        mask,
        strangers,
        search.agreement.fsc,
        halves,
        float(search.gains.mean() - search.chance.mean()),
    )


def _sample(dataset: Dataset, count: int) -> tuple[Particles, GroundTruth | None]:
    """Some particles, in stretches of neighbours, so that rows that are displaced by one stay neighbours."""
    n = len(dataset.particles)
    if n <= count:
        return dataset.particles, dataset.truth
    stretch = 100
    starts = np.linspace(0, n - stretch, count // stretch).astype(np.int64)
    chosen = np.unique((starts[:, None] + np.arange(stretch)).ravel())
    truth = dataset.truth
    if truth is not None:
        truth = GroundTruth(truth.states[chosen], truth.volumes)
    return dataset.particles.select(chosen), truth


def _image_faults(facts: ImageFacts, particles: Particles) -> list[Fault]:
    found = []
    if particles.rotations is None and facts.centre < -_BY_EYE:
        found.append(
            _contrast_fault(particles, f"the middle of the images' average is dark, by {-facts.centre:.0f} σ")
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


def _contrast_fault(particles: Particles, evidence: str) -> Fault:
    wrong, right = ("bright", "dark") if particles.sign == -1 else ("dark", "bright")
    return Fault(
        "contrast",
        f"the protein is {right} in the stored images, and was taken for {wrong}",
        evidence,
        f"adopt --contrast {right}",
    )


def _pose_fault(trial: Trial) -> Fault:
    if trial.gain <= 0:
        evidence = "they predict the images no better than those of other images"
    else:
        evidence = f"so read an image gains {trial.gain:.3g} ± {trial.error:.1g} nats"
    return Fault(trial.name, trial.says, evidence, trial.way_out)


def _open_questions(trials: tuple[Trial, ...]) -> list[str]:
    names = [trial.name for trial in trials if trial.verdict == "open"]
    found = ["The hand cannot be told without a map of known hand: both predict the same images."]
    if names:
        found.append(
            f"Not decidable here, for want of images or resolution: {', '.join(names)} predict these images as the "
            "stated reading does."
        )
    return found


def _fit_mask(particles: Particles, halves: np.ndarray) -> MaskFit:
    assert particles.mask is not None
    return judge_mask_fit(cut_mask(torch.tensor(particles.mask), halves.shape[-1]).numpy(), halves)


def _mask_faults(mask: MaskFit) -> list[Fault]:
    words: dict[str, Callable[[], Fault]] = {
        "displaced": lambda: Fault(
            "mask-displaced",
            "the mask lies beside the density",
            f"it holds {mask.held:.0%} of it, and {mask.best:.0%} where it is moved by {mask.offset} voxels",
            "make the mask on the map of these poses",
        ),
        "too small": lambda: Fault(
            "mask-too-small",
            "the mask holds a part of the density alone",
            f"{mask.held:.0%} of it",
            "make the mask larger",
        ),
    }
    return [words[mask.verdict]()] if mask.verdict in words else []


def _label_faults(search: Search, truth: GroundTruth | None) -> list[Fault]:
    found = None if truth is None else measure_labels(search.reading, search.agreement, truth)
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
