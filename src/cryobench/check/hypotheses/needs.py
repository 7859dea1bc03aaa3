"""Requirements for deciding open trials: more images, or finer detail.

The gain of a reading over its standard error grows with the square root of the number of images. If two CTFs
differ only beyond the resolution used, no number of images helps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from cryobench._sampling import spread_indices
from cryobench.check.hypotheses.catalogue import CTF
from cryobench.check.hypotheses.reading import Reading
from cryobench.check.hypotheses.trials import SURE, Trial
from cryobench.imaging.ctf import evaluate_ctf

_DIFFERENT = 0.25
"""Mean square difference at which two CTFs are easily distinguished; that of a CTF itself is a half."""
_FINEST = 1.0
"""Å."""
_RADII, _DIRECTIONS, _PARTICLES = 400, 8, 50


@dataclass(frozen=True)
class Need:
    """Requirement for deciding one hypothesis."""

    name: str
    images: int | None
    """Number of images that would decide it, from the measured gain; None if it needs detail instead."""
    at_least: bool
    """Whether that gain is within its error, and may be smaller."""
    resolution: float | None
    """Resolution in Å at which it shows clearly, if finer than the one used."""

    @property
    def sentence(self) -> str:
        """Name and requirement."""
        if self.resolution is not None:
            return f"{self.name} (needs {self.resolution:.2g} Å)"
        if self.images is None:
            return f"{self.name} (needs finer detail)"
        return f"{self.name} (needs {'more than ' if self.at_least else 'about '}{self.images:,} images)"


def find_needs(trials: Sequence[Trial], reading: Reading) -> tuple[Need, ...]:
    """Requirements of the open trials, against the reading found."""
    needs = []
    for trial in trials:
        if trial.verdict != "open":
            continue
        distance = max(abs(trial.gain) / trial.error, 1.0)
        images = int(float(f"{len(reading) * (SURE / distance) ** 2:.2g}")) if distance < SURE else None
        needs.append(Need(trial.name, images, distance == 1.0, _find_resolution(trial.name, reading)))
    return tuple(needs)


def _find_resolution(name: str, reading: Reading) -> float | None:
    """Å at which the CTF of a hypothesis differs from that of a reading, if beyond the reading's box."""
    change = next((each.tables for each in CTF if each.name == name), None)
    if change is None:
        return None
    some = reading.stated.select(spread_indices(len(reading), _PARTICLES))
    other = change(some)
    radius = np.linspace(0, 1 / _FINEST, _RADII)
    angle = np.pi * np.arange(_DIRECTIONS) / _DIRECTIONS
    grid = radius[:, None, None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    # Another pixel size changes the frequencies.
    scaled = torch.from_numpy(grid * some.pixel_size / other.pixel_size)
    change_of = evaluate_ctf(some.ctf, torch.from_numpy(grid)) - evaluate_ctf(other.ctf, scaled)
    shows = np.flatnonzero(change_of.square().mean(dim=(0, 2)).numpy() > _DIFFERENT)
    finest = 2 * reading.pixel_size
    return None if not len(shows) or radius[shows[0]] <= 1 / finest else float(1 / radius[shows[0]])
