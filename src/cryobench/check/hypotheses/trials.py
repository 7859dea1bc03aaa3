"""Trials of hypotheses: the reading that predicts the images best, and the evidence against every other.

Starting from the stated reading, the hypothesis that gains most is adopted, and all are tried again, until none
gains: two simultaneous faults are thus found one after the other. A fault of the rotations hides one of the shifts,
and vice versa, so if the reading gains little more than chance, pairs of the two are tried as well. Geometry is
tested first, on images cropped to a small box, then hypotheses that show only at high frequencies. A hypothesis that
a subset of the images clearly rejects is not tried on all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Literal

import numpy as np

from cryobench._progress import Progress, Silent, Task
from cryobench._sampling import spread_indices
from cryobench.check.hypotheses.agreement import (
    Agreement,
    Matches,
    expect_loss,
    gain_by_evenness,
    measure_agreement,
    measure_strangers,
    spread_of_transfer,
)
from cryobench.check.hypotheses.catalogue import CTF, CTF_SHUFFLED, GEOMETRY, POSES_SHUFFLED, SIGNED, Hypothesis
from cryobench.check.hypotheses.reading import Reading
from cryobench.reconstruction.statistics import split_halves

SURE = 5.0
"""Standard errors required for any conclusion."""
_CLEAR = 8.0
"""Standard errors at which a subset of the images rejects for all of them."""
_PART = 500
"""Number of images in that subset."""
_LEAST = 2e-4
"""Fraction of a reading's gain by which a better one must exceed it: less is within model error."""
_HEALTHY = 4.0
"""Multiple of the chance gain above which rotations and shifts cannot both be wrong."""
_PROMISING = 1.5
"""Standard errors above which a careful measurement is worthwhile."""
_UNSURE = 3.0
"""Required gain as a multiple of what weights alone may gain, which is estimated roughly."""
_MOST_FAULTS = 4
_ROUGH, _LIKELY = 16, 10
"""Box in px for trying pairs, and number of pairs tried again in the small box."""

Verdict = Literal["holds", "rejected", "open", "same"]
"""Right; wrong; not decidable from these images; no difference."""


@dataclass(frozen=True)
class Trial:
    """A hypothesis against the reading found, on the same images."""

    name: str
    says: str
    way_out: str
    gain: float
    """Log-likelihood in nats that an image gains under it; negative is evidence against it."""
    error: float
    """Standard error of ``gain``."""
    verdict: Verdict


@dataclass(frozen=True, eq=False)
class Search:
    """The reading found, with its evidence."""

    reading: Reading
    """In the fine box."""
    coarse: Reading
    """The same in the small box."""
    agreement: Agreement
    """Agreement of ``reading``."""
    stated: Agreement
    """Agreement of the stated reading, in the small box."""
    chance: Agreement
    """Agreement for poses of other particles, in the small box."""
    gain: float
    """Nats per image gained beyond chance, in the small box."""
    matches: Matches
    """Matches of the images with their predictions, in the small box."""
    strangers: Matches
    """Matches of the images with predictions at rotations of other ones, by the same volumes."""
    faults: tuple[Trial, ...]
    """Adopted hypotheses, in order, each against the reading before it."""
    trials: tuple[Trial, ...]
    """Every hypothesis against the reading found."""


class _Images:
    """A reading of all images and of a subset, with the agreement of both, each measured once."""

    def __init__(self, reading: Reading, halves: np.ndarray, task: Task) -> None:
        self.reading, self.halves, self._task = reading, halves, task
        n = len(reading)
        self._some = spread_indices(n, _PART) if n > 2 * _PART else None

    def read_as(self, hypothesis: Hypothesis) -> _Images:
        """The same images under a hypothesis."""
        return _Images(hypothesis.read(self.reading), self.halves, self._task)

    def cropped(self, box_size: int) -> _Images:
        """The same images in a smaller box."""
        return _Images(self.reading.cropped(box_size), self.halves, self._task)

    @cached_property
    def whole(self) -> Agreement:
        """Agreement of all images."""
        self._task.advance()
        return measure_agreement(self.reading, self.halves)

    @cached_property
    def part(self) -> Agreement:
        """Agreement of a subset, or of all images if there are few."""
        if self._some is None:
            return self.whole
        self._task.advance()
        return measure_agreement(self.reading.select(self._some), self.halves[self._some])

    @cached_property
    def careful(self) -> Agreement:
        """Agreement of all images, measured carefully."""
        former = self.whole.fit
        self._task.advance()
        return measure_agreement(self.reading, self.halves, former=former)

    def gain_of(self, other: _Images, *, whole: bool = False) -> tuple[float, float]:
        """Nats per image gained by another reading, with standard error; from the subset if that rejects clearly."""
        gain, error = _compare(other.part, self.part)
        if self._some is None or (gain < -_CLEAR * error and not whole):
            return gain, error
        return _compare(other.whole, self.whole)


def find_reading(coarse: Reading, fine: Reading | None, *, progress: Progress | None = None) -> Search:
    """Best reading of images given in a small and in a larger box; None for no trials in the latter."""
    halves = split_halves(len(coarse), 0)
    faults: list[Trial] = []
    with (progress or Silent()).task("trying conventions", total=None) as task:
        small, large = _Images(coarse, halves, task), _Images(fine or coarse, halves, task)
        stated = small
        small, large, geometry = _climb(small, large, GEOMETRY, faults)
        shuffled = small.read_as(POSES_SHUFFLED).whole
        gain, error = _compare(small.whole, shuffled)
        optics: list[Trial] = []
        if gain < SURE * error or gain < abs(shuffled.by_prediction) / 2:
            # Hypotheses adopted before are then meaningless.
            faults = [judge(POSES_SHUFFLED, -gain, error, "holds")]
        elif fine is not None:
            before = large
            small, large, optics = _climb(small, large, CTF, faults)
            gain, error = before.gain_of(before.read_as(CTF_SHUFFLED), whole=True)
            expected = expect_loss(before.reading, CTF_SHUFFLED.read(before.reading), before.whole)
            decisive = expected > 2 * SURE * error and -gain < expected / 4
            found = next((fault for fault in faults if fault.name == "ctf-absent"), None)
            if decisive and ((found is None and large is before) or (found is not None and _varies(large, before))):
                # Images that vary like CTFs have CTFs, but none of the table is theirs.
                small, large = small.read_as(SIGNED), before
                faults = [fault for fault in faults if fault is not found]
                faults.append(judge(CTF_SHUFFLED, gain, error, "holds"))
        trials = tuple({trial.name: trial for trial in geometry + optics}.values())
        return Search(
            large.reading,
            small.reading,
            large.whole,
            stated.whole,
            shuffled,
            small.whole.mean - shuffled.mean,
            small.whole.terms.matches(small.whole.fit),
            measure_strangers(small.whole, small.reading, halves),
            tuple(faults),
            trials,
        )


def _climb(
    small: _Images, large: _Images, hypotheses: Sequence[Hypothesis], faults: list[Trial]
) -> tuple[_Images, _Images, list[Trial]]:
    """Adopt the hypothesis that gains most until none does."""
    while True:
        base = large if hypotheses[0].fine else small
        trials = _try_each(base, hypotheses)
        chosen = _choose(base, hypotheses, trials)
        if not hypotheses[0].fine:
            chosen = _try_pairs(base, trials, chosen)
        if not chosen or len(faults) >= _MOST_FAULTS:
            return small, large, trials
        for each in chosen:
            found = trials[hypotheses.index(each)]
            faults.append(judge(each, found.gain, found.error, "holds"))
            small, large = small.read_as(each), large.read_as(each)


def _varies(absent: _Images, stated: _Images) -> bool:
    """Whether images read as having no CTF vary among themselves as the stated CTFs do."""
    disc = absent.reading.disc
    transfer = stated.reading.transfer.numpy() * disc.weights
    sums = np.stack([np.bincount(disc.shells, weights=row, minlength=disc.radius + 1) for row in transfer])
    found, expected = spread_of_transfer(absent.whole, (sums / disc.shell_weights)[:, 1:])
    return found > expected / 4


def _try_each(base: _Images, hypotheses: Sequence[Hypothesis]) -> list[Trial]:
    trials = []
    for each in hypotheses:
        gain, error = base.gain_of(base.read_as(each))
        trials.append(judge(each, gain, error, decide(gain, error, base.part.by_prediction)))
    return trials


def _choose(base: _Images, hypotheses: Sequence[Hypothesis], trials: list[Trial]) -> list[Hypothesis]:
    """The hypothesis that gains most, if it holds.

    Hypotheses that show at high frequencies are measured carefully, even if merely promising: their trials
    are replaced.
    """
    most = max(trial.gain for trial in trials)
    for index, trial in enumerate(trials):
        if hypotheses[index].fine and trial.gain > max(_PROMISING * trial.error, most / 2):
            trials[index] = _measure_with_care(base, hypotheses[index])
    holding = [index for index, trial in enumerate(trials) if trial.verdict == "holds"]
    return [hypotheses[max(holding, key=lambda index: trials[index].gain)]] if holding else []


def _measure_with_care(base: _Images, hypothesis: Hypothesis) -> Trial:
    other = base.read_as(hypothesis).careful
    gain, error = _compare(other, base.careful)
    verdict = decide(gain, error, base.careful.by_prediction)
    by_weights = _UNSURE * gain_by_evenness(other, base.careful)
    if verdict == "holds" and decide(gain - by_weights, error, base.careful.by_prediction) != "holds":
        verdict = "open"
    return judge(hypothesis, gain, error, verdict)


def _try_pairs(base: _Images, trials: list[Trial], chosen: list[Hypothesis]) -> list[Hypothesis]:
    """The chosen hypothesis, or a pair of a rotation or image fault and a shift fault that gains much more."""
    turns = [each for each in GEOMETRY if not each.name.startswith(("shifts-", "images-rolled"))]
    verdicts = {trial.name: trial.verdict for trial in trials}
    if not chosen and all(verdicts[turn.name] in ("rejected", "same") for turn in turns):
        # If rotations were wrong, others would be no worse.
        return chosen
    found = base.read_as(chosen[0]) if chosen else base
    if found.part.by_prediction > _HEALTHY * abs(found.read_as(POSES_SHUFFLED).part.by_prediction):
        return chosen
    moves = [each for each in GEOMETRY if each.name.startswith("shifts-")]
    pairs = list(product(turns, moves))
    rough = base.cropped(_ROUGH)
    turned = {turn.name: rough.read_as(turn) for turn in turns}
    rough_gains = [turned[turn.name].read_as(move).part.mean for turn, move in pairs]
    likely = np.argsort(rough_gains)[-_LIKELY:]
    gains = {
        index: _compare(base.read_as(pairs[index][0]).read_as(pairs[index][1]).part, found.part) for index in likely
    }
    best = max(gains, key=lambda index: gains[index][0])
    gain, error = gains[best]
    return list(pairs[best]) if gain > SURE * error and gain > abs(found.part.by_prediction) else chosen


def _compare(one: Agreement, other: Agreement) -> tuple[float, float]:
    return compare_gains(one.gains, other.gains)


def compare_gains(one: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Mean excess of the first gains (n,) over the others (n,), and its standard error."""
    difference = one - other
    return float(difference.mean()), float(difference.std(ddof=1) / np.sqrt(len(difference)))


def decide(gain: float, error: float, level: float) -> Verdict:
    """Verdict on a hypothesis from its gain and error, for a reading with total gain ``level``."""
    if error <= 1e-9 * max(abs(level), 1):
        return "same"
    if gain > SURE * error and gain > _LEAST * abs(level):
        return "holds"
    return "rejected" if gain < -SURE * error else "open"


def judge(hypothesis: Hypothesis, gain: float, error: float, verdict: Verdict) -> Trial:
    """Trial of a hypothesis with its result."""
    return Trial(hypothesis.name, hypothesis.says, hypothesis.way_out, gain, error, verdict)
