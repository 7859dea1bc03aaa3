"""Check of the CTF without poses, by the Thon rings in the power of the images.

Whatever the orientation, the mean power of an image is P_i(k) = C_i²(k) S + N, with one S and one N for each
shell, over all images. A wrong CTF has rings where the images have none. The gain of an image is the
log-likelihood of its spectrum under that power, minus that under one power in each shell, as in ``agreement``.
Properties that do not affect power, such as the sign of the CTF, are not tested.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from cryobench.check.hypotheses.agreement import LEAST_COLOUR, fit_line
from cryobench.check.hypotheses.catalogue import CTF, CTF_SHUFFLED
from cryobench.check.hypotheses.reading import Reading
from cryobench.check.hypotheses.trials import SURE, Trial, compare_gains, decide, judge

_TURNS = 3
_MOST_FAULTS = 2


@dataclass(frozen=True)
class Rings:
    """The reading that matches the rings of the images."""

    faults: tuple[Trial, ...]
    """Adopted hypotheses, in order, each against the reading before it."""
    trials: tuple[Trial, ...]
    """Every hypothesis about the CTF against the reading found."""
    gain: float
    """Nats per image gained by its own CTF over that of another image."""
    error: float
    """Standard error of ``gain``."""

    @property
    def are_seen(self) -> bool:
        """Whether images show rings of their own CTF."""
        return self.gain > SURE * self.error


def find_rings(reading: Reading) -> Rings:
    """Try the hypotheses about the CTF on the power of the images; rotations and shifts do not matter."""
    faults: list[Trial] = []
    gains = ring_gains(reading)
    while True:
        trials = []
        for each in CTF:
            gain, error = compare_gains(ring_gains(each.read(reading)), gains)
            trials.append(judge(each, gain, error, decide(gain, error, float(gains.mean()))))
        best = int(np.argmax([trial.gain for trial in trials]))
        if trials[best].verdict != "holds" or len(faults) == _MOST_FAULTS:
            break
        faults.append(trials[best])
        reading = CTF[best].read(reading)
        gains = ring_gains(reading)
    return Rings(tuple(faults), tuple(trials), *compare_gains(gains, ring_gains(CTF_SHUFFLED.read(reading))))


def ring_gains(reading: Reading) -> Float[np.ndarray, "n"]:
    """(n,) log-likelihood in nats that each image gains from the rings of its CTF."""
    disc, shells = reading.disc, torch.from_numpy(reading.disc.shells)
    weights = torch.from_numpy(disc.weights).double()
    total = torch.zeros(len(reading), dtype=torch.float64)
    for shell in range(1, disc.radius + 1):
        inside = torch.nonzero(shells == shell)[:, 0]
        power = torch.view_as_real(reading.images[:, inside]).square().sum(-1).double()
        seen = reading.transfer[:, inside].square().double()
        colour = seen.clamp(min=LEAST_COLOUR) if reading.form == "premultiplied" else torch.ones_like(seen)
        white = (power * weights[inside]).sum() / (weights[inside].sum() * len(reading))
        expected = _fit_power(seen, power / colour, weights[inside]) * colour
        won = power / white - power / expected + white.log() - expected.log()
        total += won @ weights[inside]
    return total.numpy()


def _fit_power(
    seen: Float[Tensor, "n e"], power: Float[Tensor, "n e"], weights: Float[Tensor, "e"]
) -> Float[Tensor, "n e"]:
    """Expected power of each entry of a shell, N + S C², by alternating weighted least squares."""
    expected = torch.ones_like(power)
    for _ in range(_TURNS):
        columns = (each.reshape(-1, 1) for each in (seen, power, expected.square() / weights))
        noise, signal = fit_line(*columns)
        expected = noise + signal * seen
    return expected
