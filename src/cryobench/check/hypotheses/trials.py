"""Trying hypotheses: the reading that predicts the images best, and what speaks against each other one.

From the stated reading on, the hypothesis that gains most is taken over, and all are tried again, until none gains:
so two faults at once are found one after the other. A fault of the rotations hides one of the shifts, and the other
way round, so where the reading gains hardly more than chance, pairs of the two are tried as well. Geometry comes
first, on images cropped to a small box, then what shows at high frequencies alone. What a part of the images rejects
clearly is not tried on all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Literal

import numpy as np

from cryobench._progress import Progress, Silent, Task
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
"""Standard errors that a difference must have before anything is said of it."""
_CLEAR = 8.0
"""Standard errors by which a part of the images rejects for all of them."""
_PART = 500
"""Images of that part."""
_LEAST = 2e-4
"""Share of all that a reading gains that a better one must gain beyond it: less is the models' own roughness."""
_HEALTHY = 4.0
"""Times what chance gains, from which on rotations and shifts cannot both be wrong."""
_PROMISING = 1.5
"""Standard errors from which on it is worth while to measure with care."""
_UNSURE = 3.0
"""Times what a reading may gain by weights alone that it must gain beyond it: that is estimated roughly."""
_MOST_FAULTS = 4
_ROUGH, _LIKELY = 16, 10
"""Box in px in which pairs are tried, and how many of them are tried again in the small box."""

Verdict = Literal["holds", "rejected", "open", "same"]
"""It is so; it is not so; not decidable by these images; nothing would be different."""


@dataclass(frozen=True)
class Trial:
    """A hypothesis against the reading that was found, on the same images."""

    name: str
    says: str
    way_out: str
    gain: float
    """Log-likelihood that an image gains by it, in nats; negative speaks against it."""
    error: float
    """Standard error of ``gain``."""
    verdict: Verdict


@dataclass(frozen=True, eq=False)
class Search:
    """The reading that was found, and how."""

    reading: Reading
    """In the fine box."""
    coarse: Reading
    """The same in the small box."""
    agreement: Agreement
    """Of ``reading``."""
    stated: Agreement
    """Of the stated reading, in the small box."""
    chance: Agreement
    """Of poses of others, in the small box."""
    gain: float
    """Nats an image gains beyond chance, in the small box."""
    matches: Matches
    """Of the images with their predictions, in the small box."""
    strangers: Matches
    """Of the images with predictions at rotations of other ones, by the same volumes."""
    faults: tuple[Trial, ...]
    """What was taken over, in order, each against the reading before it."""
    trials: tuple[Trial, ...]
    """Every hypothesis against the reading that was found."""


class _Images:
    """A reading, whole and in part, and the agreement of both, measured once."""

    def __init__(self, reading: Reading, halves: np.ndarray, task: Task) -> None:
        self.reading, self.halves, self._task = reading, halves, task
        n = len(reading)
        self._some = np.linspace(0, n - 1, _PART).astype(np.int64) if n > 2 * _PART else None

    def read_as(self, hypothesis: Hypothesis) -> _Images:
        """The same images in another reading."""
        return _Images(hypothesis.read(self.reading), self.halves, self._task)

    def cropped(self, box_size: int) -> _Images:
        """The same images in a smaller box."""
        return _Images(self.reading.cropped(box_size), self.halves, self._task)

    @cached_property
    def whole(self) -> Agreement:
        """Of all images."""
        self._task.advance()
        return measure_agreement(self.reading, self.halves)

    @cached_property
    def part(self) -> Agreement:
        """Of some of them, or of all if these are few."""
        if self._some is None:
            return self.whole
        self._task.advance()
        return measure_agreement(self.reading.select(self._some), self.halves[self._some])

    @cached_property
    def careful(self) -> Agreement:
        """Of all images, measured with care."""
        former = self.whole.fit
        self._task.advance()
        return measure_agreement(self.reading, self.halves, former=former)

    def gain_of(self, other: _Images, *, whole: bool = False) -> tuple[float, float]:
        """Nats that an image gains by another reading, and the standard error; by a part if that rejects clearly."""
        gain, error = _compare(other.part, self.part)
        if self._some is None or (gain < -_CLEAR * error and not whole):
            return gain, error
        return _compare(other.whole, self.whole)


def find_reading(coarse: Reading, fine: Reading | None, *, seed: int = 0, progress: Progress | None = None) -> Search:
    """The best reading of images that are given in a small and in a larger box; None for no trials in that one."""
    halves = split_halves(len(coarse), seed)
    faults: list[Trial] = []
    with (progress or Silent()).task("trying conventions", total=None) as task:
        small, large = _Images(coarse, halves, task), _Images(fine or coarse, halves, task)
        stated = small
        small, large, geometry = _climb(small, large, GEOMETRY, faults)
        shuffled = small.read_as(POSES_SHUFFLED).whole
        gain, error = _compare(small.whole, shuffled)
        optics: list[Trial] = []
        if gain < SURE * error or gain < abs(shuffled.by_prediction) / 2:
            # Whatever was taken over before means nothing then.
            faults = [judge(POSES_SHUFFLED, -gain, error, "holds")]
        elif fine is not None:
            before = large
            small, large, optics = _climb(small, large, CTF, faults)
            gain, error = before.gain_of(before.read_as(CTF_SHUFFLED), whole=True)
            expected = expect_loss(before.reading, CTF_SHUFFLED.read(before.reading), before.whole)
            told = expected > 2 * SURE * error and -gain < expected / 4
            found = next((fault for fault in faults if fault.name == "ctf-absent"), None)
            if told and ((found is None and large is before) or (found is not None and _varies(large, before))):
                # Images that vary as CTFs do have some, and no CTF of the table is theirs.
                small, large = small.read_as(SIGNED), before
                faults = [fault for fault in faults if fault is not found]
                faults.append(judge(CTF_SHUFFLED, gain, error, "holds"))
        trials = tuple(geometry + optics)
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
    """Take over what gains most until nothing does."""
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
    """Whether images that are read as if they had no CTF differ from one another as the stated CTFs do."""
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
    """What gains most, if it holds.

    What shows at high frequencies is judged by a measurement with care, also where it is merely promising: trials
    that were measured anew are replaced.
    """
    if hypotheses[0].fine:
        most = max(trial.gain for trial in trials)
        for place, trial in enumerate(trials):
            if trial.gain > max(_PROMISING * trial.error, most / 2):
                trials[place] = _measure_with_care(base, hypotheses[place])
    holding = [place for place, trial in enumerate(trials) if trial.verdict == "holds"]
    return [hypotheses[max(holding, key=lambda place: trials[place].gain)]] if holding else []


def _measure_with_care(base: _Images, hypothesis: Hypothesis) -> Trial:
    other = base.read_as(hypothesis).careful
    gain, error = _compare(other, base.careful)
    verdict = decide(gain, error, base.careful.by_prediction)
    by_weights = _UNSURE * gain_by_evenness(other, base.careful)
    if verdict == "holds" and decide(gain - by_weights, error, base.careful.by_prediction) != "holds":
        verdict = "open"
    return judge(hypothesis, gain, error, verdict)


def _try_pairs(base: _Images, trials: list[Trial], chosen: list[Hypothesis]) -> list[Hypothesis]:
    """What is chosen, or a fault of the rotations or images and one of the shifts that together gain much more."""
    turns = [each for each in GEOMETRY if not each.name.startswith(("shifts-", "images-rolled"))]
    verdicts = {trial.name: trial.verdict for trial in trials}
    if not chosen and all(verdicts[turn.name] in ("rejected", "same") for turn in turns):
        # Where rotations were wrong, others would be no worse.
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
        place: _compare(base.read_as(pairs[place][0]).read_as(pairs[place][1]).part, found.part) for place in likely
    }
    best = max(gains, key=lambda place: gains[place][0])
    gain, error = gains[best]
    return list(pairs[best]) if gain > SURE * error and gain > abs(found.part.by_prediction) else chosen


def _compare(one: Agreement, other: Agreement) -> tuple[float, float]:
    return compare_gains(one.gains, other.gains)


def compare_gains(one: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """How much more the first (n,) gain an image than the others (n,), and the standard error of that."""
    difference = one - other
    return float(difference.mean()), float(difference.std(ddof=1) / np.sqrt(len(difference)))


def decide(gain: float, error: float, level: float) -> Verdict:
    """What a gain and its error say of a hypothesis, where all that the reading gains is ``level``."""
    if error <= 1e-9 * max(abs(level), 1):
        return "same"
    if gain > SURE * error and gain > _LEAST * abs(level):
        return "holds"
    return "rejected" if gain < -SURE * error else "open"


def judge(hypothesis: Hypothesis, gain: float, error: float, verdict: Verdict) -> Trial:
    """A hypothesis with what was found of it."""
    return Trial(hypothesis.name, hypothesis.says, hypothesis.way_out, gain, error, verdict)
