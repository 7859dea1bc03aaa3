"""Splits: the class that images miss least is replaced by half of another.

The ascent keeps K volumes but not the number of occupied classes: of two equal volumes, the one with more
images has less noise, predicts better, and takes the rest; and a volume of two complexes has no other near it
that could take one of them. So, as in split and merge EM (Ueda et al., Neural Computation 12 (2000) 2109), a
dispensable class is given up for a split of another one. An image misses class k by

    log Σ_l p(y, l) − log Σ_{l ≠ k} p(y, l)

which is log 2 for one of two copies, and some ten where no other class is similar. The sum over all images, divided
by the number of images in the class, separates copies and empty classes (1 to 1.4) from distinct classes.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from scipy.special import logsumexp
from torch import Tensor

from cryobench.fourier import fft_volume, ifft_volume, shell_indices
from cryobench.rng import stream

MOST_MISSED = 20.0
"""Largest value by which an image misses a class: beyond it the search drops the less likely classes."""
DISPENSABLE = 2.0
"""Mean value, in nats per image, by which the images of a class miss it, below which it is replaced."""
_MODULATION = 0.5
"""Root mean square of the modulation by which the halves of a split are multiplied, about 1."""


@dataclass(frozen=True)
class Census:
    """Statistics of the classes since the last split."""

    members: np.ndarray
    """(k,) images in each class."""
    missed: np.ndarray
    """(k,) sum over images of the values by which they miss each class."""
    split: np.ndarray
    """(k,) bool: classes split in the current round, which ends when all have been."""

    @classmethod
    def begin(cls, n_classes: int) -> "Census":
        """Census without images."""
        return cls(np.zeros(n_classes), np.zeros(n_classes), np.zeros(n_classes, dtype=bool))

    def count(self, members: Float[np.ndarray, "k"], missed: Float[np.ndarray, "k"]) -> "Census":
        """Census with the images of a batch added."""
        return replace(self, members=self.members + members, missed=self.missed + missed)

    def choose(self) -> tuple[int, int] | None:
        """The class to be replaced, and the largest other one not split yet; None if no class is dispensable."""
        each = find_missed(self.missed, self.members)
        weakest = int(np.argmin(each))
        if len(each) == 1 or each[weakest] > DISPENSABLE:
            return None
        open_ = ~self.split
        open_[weakest] = False
        if not open_.any():
            open_[:] = True
            open_[weakest] = False
        return weakest, int(np.argmax(np.where(open_, self.members, -1)))

    def after(self, choice: tuple[int, int] | None) -> "Census":
        """New census, after that choice."""
        begun = Census.begin(len(self.members))
        if choice is None:
            return begun
        split = self.split.copy()
        weakest, source = choice
        if split[np.arange(len(split)) != weakest].all():
            split[:] = False
        split[source] = True
        return replace(begun, split=split)


def find_missed(missed: Float[np.ndarray, "k"], members: Float[np.ndarray, "k"]) -> Float[np.ndarray, "k"]:
    """Mean (k,) by which the images of a class miss it, in nats per image, from sums over images; 0 without any."""
    return missed / np.maximum(members, 1e-9)


def judge_classes(missed: Float[np.ndarray, "k"]) -> tuple[str, ...]:
    """A note if there are classes (k,) that are empty or nearly equal to another."""
    dispensable = np.flatnonzero(missed < DISPENSABLE)
    if not dispensable.size:
        return ()
    named = ", ".join(str(index) for index in dispensable)
    return (
        f"Dispensable classes, empty or nearly equal to another: {named}. Fewer classes would explain the images "
        "nearly as well. Set n_classes lower, or try another seed.",
    )


def measure_missed(logs: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "k"]:
    """Sum (k,) over images of the value by which each misses a class, from log-likelihoods (n, k) of the classes."""
    n_classes = logs.shape[1]
    if n_classes == 1:
        return np.full(1, MOST_MISSED * len(logs))
    whole = np.asarray(logsumexp(logs, axis=1))
    missed = np.empty(n_classes)
    for index in range(n_classes):
        with np.errstate(divide="ignore"):
            rest = np.asarray(logsumexp(np.delete(logs, index, axis=1), axis=1))
        missed[index] = np.minimum(whole - rest, MOST_MISSED).sum()
    return missed


def split_volume(
    volume: Float[Tensor, "z y x"], radius: float, seed: int, name: str, number: int
) -> tuple[Float[Tensor, "z y x"], Float[Tensor, "z y x"]]:
    """Two volumes (z, y, x) whose mean is the given one and which differ by a smooth random modulation of it.

    ``radius`` in index units up to which the modulation varies; ``name`` and ``number`` of its random stream.
    """
    size = volume.shape[-1]
    noise = torch.from_numpy(stream(seed, name, number).standard_normal((size,) * 3)).float()
    smooth = ifft_volume(fft_volume(noise) * (shell_indices(size, 3) <= radius), size)
    change = volume * (_MODULATION / smooth.square().mean().sqrt() * smooth).to(volume)
    return volume + change, volume - change
