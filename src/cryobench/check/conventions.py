"""The convention check: the conventions of a data set, tested against its images alone.

``check_conventions`` tries every hypothesis on a sample of the particles (``trials``; ``rings`` without
poses), and inspects the resulting density (``density``), the images themselves (``images``), labels if they have
true volumes, and reference maps (``references``). Nothing is changed.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float

from cryobench._display import Displayed
from cryobench._progress import Progress
from cryobench.check.faults import (
    Fault,
    are_many,
    contrast_fault,
    hand_faults,
    image_faults,
    label_faults,
    mask_faults,
    stranger_faults,
    trial_fault,
)
from cryobench.check.hypotheses.needs import Need, find_needs
from cryobench.check.hypotheses.reading import Reading
from cryobench.check.hypotheses.trials import Search, Trial, find_reading
from cryobench.check.inspections.density import Contrast, MaskFit, judge_contrast, judge_mask_fit
from cryobench.check.inspections.images import ImageFacts, look_at_images
from cryobench.check.inspections.labels import measure_labels
from cryobench.check.inspections.mismatched import Strangers, agree_among_themselves, find_strangers
from cryobench.check.inspections.references import References, judge_references, mean_map
from cryobench.check.inspections.rings import find_rings
from cryobench.check.inspections.views import Views, measure_views
from cryobench.data import Dataset, GroundTruth, Particles, VolumeSource
from cryobench.reconstruction.statistics import cut_mask

SAMPLE = 5000
"""Most particles used by default, in stretches of neighbours evenly spaced in the table."""
COARSE, FINE = 32, 64
"""Boxes, in px, for geometry and for the CTF."""
LEAST_PARTICLES = 200
"""Minimum number of particles for a conclusion."""
_TRUE_MAPS = 8
"""Number of true volumes averaged."""
_SHOWN = 6
"""Maximum number of hypotheses named in a sentence."""


@dataclass(frozen=True, eq=False)
class Curves:
    """Half-set FSC of readings (s,), from the zero frequency on, in shells of width one over the box length."""

    found: np.ndarray
    """For the reading found."""
    stated: np.ndarray
    """For the stated reading, perhaps in a smaller box."""
    chance: np.ndarray
    """For poses of other particles, in the same box."""
    length: float
    """Length of the box in Å."""


@dataclass(frozen=True, eq=False, repr=False)
class ConventionCheck(Displayed):
    """Result of a check, the likeliest fault first."""

    n_particles: int
    """Number of particles used."""
    faults: tuple[Fault, ...]
    trials: tuple[Trial, ...]
    """Hypotheses against the reading found; without poses only those about the CTF."""
    unknown: tuple[str, ...]
    """Sentences on what these images cannot decide."""
    images: ImageFacts
    notes: tuple[str, ...] = ()
    """Sentences on facts that are not faults."""
    needs: tuple[Need, ...] = ()
    """Requirements for deciding the open trials."""
    contrast: Contrast | None = None
    mask: MaskFit | None = None
    strangers: Strangers | None = None
    views: Views | None = None
    references: References | None = None
    curves: Curves | None = field(default=None, repr=False)
    volumes: np.ndarray | None = field(default=None, repr=False)
    """(2, z, y, x) half-maps of the reading found."""
    gain: float | None = None
    """Nats per image by which the reading found predicts better than chance."""

    @property
    def conclusion(self) -> str:
        """Conclusion in one sentence."""
        if self.faults:
            first = self.faults[0]
            more = "" if len(self.faults) == 1 else f"; {len(self.faults) - 1} more fault(s) below"
            return f"{first.says[0].upper()}{first.says[1:]} ({first.evidence}){more}."
        if self.volumes is None:
            return "No fault was found, as far as images without poses can show."
        undecided = sum(trial.verdict == "open" for trial in self.trials)
        rejected = sum(trial.verdict == "rejected" for trial in self.trials)
        return f"The conventions agree with the images: {rejected} other readings predict them worse" + (
            f", {undecided} cannot be distinguished from the stated one with these images." if undecided else "."
        )


def check_conventions(
    dataset: Dataset,
    *,
    n_particles: int = SAMPLE,
    quick: bool = False,
    references: VolumeSource | None = None,
    progress: Progress | None = None,
) -> ConventionCheck:
    """Check the conventions of a data set against its images.

    Parameters
    ----------
    n_particles
        Maximum number of particles used.
    quick
        Check only geometry, contrast and the images themselves, without hypotheses that need high frequencies.
    references
        Maps of known contrast and hand, on the grid of the particles; their mean is compared. By default the true
        volumes, if there are any.

    Raises
    ------
    ValueError
        If a pixel is not finite, or there are fewer than 200 particles; if maps are given without poses.
    """
    if min(n_particles, len(dataset.particles)) < LEAST_PARTICLES:
        raise ValueError(
            f"{min(n_particles, len(dataset.particles))} particles are too few for a check of conventions: expected "
            f"{LEAST_PARTICLES} or more."
        )
    if references is not None and dataset.particles.rotations is None:
        raise ValueError("reference maps need poses, but poses are withheld: leave --references out.")
    particles, truth = _sample(dataset, n_particles)
    facts = look_at_images(particles)
    if particles.rotations is None:
        return _check_without_poses(particles, None if quick else truth, facts)
    return _check_with_poses(particles, truth, facts, quick, references, progress)


def _check_without_poses(particles: Particles, truth: GroundTruth | None, facts: ImageFacts) -> ConventionCheck:
    rings = find_rings(Reading.of(particles, FINE, posed=False))
    faults = [*(trial_fault(trial) for trial in rings.faults), *image_faults(facts, particles)]
    unknown = ["Poses are withheld: rotations, shifts and rows cannot be checked."]
    notes = []
    if rings.are_seen:
        gain = f"{rings.gain:.2g} ± {rings.error:.1g}"
        notes.append(f"Images show Thon rings of their own CTF: a gain of {gain} nats per image.")
    else:
        unknown.append("The power spectra show no Thon rings: the CTF cannot be checked.")
    mask = None
    if particles.mask is not None and truth is not None and truth.volumes is not None:
        size = min(FINE, particles.box_size)
        mean = _mean_truth(particles, truth, truth.volumes, size)
        mask = _fit_mask(particles, np.stack([mean, mean]))
        faults += mask_faults(mask, "the true volumes")
    tried = rings.trials if rings.are_seen else ()
    return ConventionCheck(len(particles), tuple(faults), tried, tuple(unknown), facts, tuple(notes), mask=mask)


def _check_with_poses(
    particles: Particles,
    truth: GroundTruth | None,
    facts: ImageFacts,
    quick: bool,
    references: VolumeSource | None,
    progress: Progress | None,
) -> ConventionCheck:
    search = find_reading(
        Reading.of(particles, COARSE), None if quick else Reading.of(particles, FINE), progress=progress
    )
    faults = [*(trial_fault(trial) for trial in search.faults), *image_faults(facts, particles)]
    views = measure_views(search.reading.stated.rotations)
    notes, unknown = [*views.notes], []
    halves = search.agreement.volumes.numpy()
    contrast = strangers = mask = compared = None
    if not any(fault.name == "poses-shuffled" for fault in faults):
        # Without a CTF, whose first lobe is negative, protein has the opposite contrast.
        bright = -halves if search.reading.form == "absent" else halves
        contrast = judge_contrast(bright)
        if contrast.verdict == "inverted":
            evidence = f"{1 - contrast.positive:.0%} of the strongest density is dark"
            faults.insert(0, contrast_fault(particles, evidence))
            bright = -bright
        elif contrast.verdict == "open":
            unknown.append("The sign of the density does not decide the contrast here.")
        strangers = _find_strangers(search)
        faults += stranger_faults(strangers)
        if are_many(strangers) and strangers.among_themselves:
            notes.append(
                f"{strangers.share:.0%} of the particles agree with one another but not with the others: they show "
                "another molecule or state."
            )
        if particles.mask is not None:
            mask = _fit_mask(particles, halves)
            faults += mask_faults(mask)
        compared = _compare_maps(particles, truth, references, bright)
        # Labels belong to their rows, and volumes in another frame or hand cannot test them.
        moved = compared is not None and (compared.hand != "same" or compared.lie_elsewhere)
        if truth is not None and not moved and not any(fault.name.startswith("rows-") for fault in faults):
            faults += label_faults(measure_labels(search.reading, search.agreement, truth))
    if compared is not None:
        faults += hand_faults(compared)
        notes += compared.notes
    if compared is None or compared.hand == "open":
        unknown.insert(0, "The hand cannot be decided without a map of known hand: both predict the same images.")
    needs = find_needs(search.trials, search.reading)
    unknown += _open_questions(needs, len(particles))
    length = particles.box_size * particles.pixel_size
    return ConventionCheck(
        len(particles),
        tuple(faults),
        search.trials,
        tuple(unknown),
        facts,
        tuple(notes),
        needs,
        contrast,
        mask,
        strangers,
        views,
        compared,
        Curves(search.agreement.fsc, search.stated.fsc, search.chance.fsc, length),
        halves,
        search.gain,
    )


def _sample(dataset: Dataset, count: int) -> tuple[Particles, GroundTruth | None]:
    """Sample of the particles, in stretches of neighbours, so that rows displaced by one stay neighbours."""
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


def _find_strangers(search: Search) -> Strangers:
    found, probability = find_strangers(search.matches, search.strangers)
    if not are_many(found):
        return found
    chosen = np.flatnonzero(probability > 0.5)
    return Strangers(found.share, found.error, found.told_apart, agree_among_themselves(search.coarse, chosen))


def _compare_maps(
    particles: Particles,
    truth: GroundTruth | None,
    references: VolumeSource | None,
    halves: Float[np.ndarray, "2 z y x"],
) -> References | None:
    box = halves.shape[-1]
    pixel_size = particles.pixel_size * particles.box_size / box
    if references is not None:
        return judge_references(halves, mean_map(references, particles, box), pixel_size)
    if truth is None or truth.volumes is None or not (truth.states >= 0).any():
        return None
    mean = _mean_truth(particles, truth, truth.volumes, box)
    return judge_references(halves, mean, pixel_size, always_align=False)


def _mean_truth(
    particles: Particles, truth: GroundTruth, volumes: VolumeSource, box_size: int
) -> Float[np.ndarray, "z y x"]:
    """Mean of the true volumes of evenly spaced particles."""
    known = truth.states[truth.states >= 0]
    chosen = known[np.linspace(0, len(known) - 1, _TRUE_MAPS).astype(np.int64)]
    return mean_map(volumes, particles, box_size, chosen.tolist())


def _fit_mask(particles: Particles, halves: Float[np.ndarray, "2 z y x"]) -> MaskFit:
    assert particles.mask is not None
    return judge_mask_fit(cut_mask(torch.tensor(particles.mask), halves.shape[-1]).numpy(), halves)


def _open_questions(needs: tuple[Need, ...], n_particles: int) -> list[str]:
    if not needs:
        return []
    ordered = sorted(needs, key=lambda need: (need.resolution is not None, need.images or 0))
    more = f", and {len(needs) - _SHOWN} more" if len(needs) > _SHOWN else ""
    named = "; ".join(need.sentence for need in ordered[:_SHOWN])
    return [f"Not decidable from these {n_particles:,} images: {named}{more}."]
