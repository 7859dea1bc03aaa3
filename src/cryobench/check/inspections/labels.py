"""Labels against images: the true volume of an image's own label must predict it better than that of another one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from cryobench.check.hypotheses.agreement import Agreement
from cryobench.check.hypotheses.reading import Reading
from cryobench.data import GroundTruth
from cryobench.fourier import fourier_crop
from cryobench.reconstruction.poses import GridSlices
from cryobench.rng import stream

_MOST_STATES = 50
"""Maximum number of states whose volumes are read: those with most particles."""


@dataclass(frozen=True)
class LabelGain:
    """Nats per image by which its own label's volume predicts better than that of another particle's label."""

    gain: float
    error: float
    """Standard error of ``gain``."""
    expected: float
    """Gain if labels are right."""


def measure_labels(reading: Reading, agreement: Agreement, truth: GroundTruth) -> LabelGain | None:
    """Gain of the labels, with volumes scaled to the images shell by shell; None if too little is known.

    True volumes must be in the frame of the poses: otherwise every label predicts equally badly, which the
    comparison with ``expected`` distinguishes from wrong labels only if the volumes predict anything at all.
    """
    if truth.volumes is None:
        return None
    states, counts = np.unique(truth.states[truth.states >= 0], return_counts=True)
    states = np.sort(states[np.argsort(counts, kind="stable")[::-1][:_MOST_STATES]])
    chosen = np.flatnonzero(np.isin(truth.states, states))
    if len(states) < 2 or len(chosen) < 100:
        return None
    some, disc = reading if len(chosen) == len(reading) else reading.select(chosen), reading.disc
    volumes = torch.stack(
        [fourier_crop(torch.tensor(truth.volumes.read(int(state))), disc.box_size, dimensions=3) for state in states]
    )
    source, rotations = GridSlices(volumes, disc), torch.tensor(some.stated.rotations, dtype=torch.float32)
    labels = np.searchsorted(states, truth.states[chosen])
    others = stream(0, "shuffled labels").permutation(labels)
    differ = labels != others
    pairs = np.stack([labels, others])
    weights, n_shells = torch.from_numpy(disc.weights).double(), disc.radius + 1

    def slices(part: slice) -> tuple[torch.Tensor, torch.Tensor]:
        rows = np.arange(len(chosen))[part]
        own, other = (source.own(rows, each[part], rotations[part], disc.radius) for each in pairs)
        return own, other

    def by_shell(values: torch.Tensor) -> np.ndarray:
        total = (values.double().sum(0) * weights).numpy()
        return np.bincount(disc.shells, weights=total, minlength=n_shells)

    cross, power = np.zeros(n_shells), np.zeros(n_shells)
    for part in some.parts():
        own, _ = slices(part)
        cross += by_shell((some.match(part).conj() * own).real)
        power += by_shell(some.transfer[part].square() * own.abs().square())
    scale = np.maximum(cross / np.maximum(power, 1e-30), 0)
    scale[0] = 0
    if not scale[1:4].any():
        return None
    left = np.concatenate([[np.inf], agreement.fit.left.numpy()])
    a, entries = disc.spread(scale, "cpu"), disc.spread(1 / left, "cpu") * weights.float()
    gains, expected = np.zeros(len(chosen)), np.zeros(len(chosen))
    for part in some.parts():
        own, other = (each * a for each in slices(part))
        seen = some.transfer[part].square()
        won = 2 * (some.match(part).conj() * (own - other)).real - seen * (own.abs().square() - other.abs().square())
        gains[part] = (won @ entries).double().numpy()
        expected[part] = ((seen * (own - other).abs().square()) @ entries).double().numpy()
    gains, expected = gains[differ], expected[differ]
    return LabelGain(float(gains.mean()), float(gains.std(ddof=1) / np.sqrt(len(gains))), float(expected.mean()))
