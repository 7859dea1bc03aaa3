"""History of a training for the user: terms of the loss at every step, and latents by epoch."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, Num, Shaped

from cryobench._sampling import spread_indices
from cryobench.data import LatentSnapshots, LossTerms

MOST_PARTICLES = 2000
"""Most particles whose latents are kept by epoch."""
_SNAPSHOT, _TERMS = "snapshot.", "terms"


class History:
    """Terms of every step, and latents of a fixed sample after epochs 1, 2, 4, 8, …

    These epochs do not depend on the total, so a run that is continued has the same ones.

    Parameters
    ----------
    n
        Number of particles.
    n_steps
        Steps of the whole training.
    """

    def __init__(self, n: int, n_steps: int) -> None:
        self.particles = spread_indices(n, MOST_PARTICLES)
        """(s,) the sample, evenly spaced in the table."""
        self._n_steps = n_steps
        self._names: tuple[str, ...] = ()
        self._terms = np.empty((n_steps, 0), dtype=np.float32)
        self._snapshots: dict[int, np.ndarray] = {}

    def add(self, step: int, terms: Mapping[str, float]) -> None:
        """Add the terms of a step, the same terms in all steps."""
        if not self._names:
            self._names, self._terms = tuple(terms), np.zeros((self._n_steps, len(terms)), dtype=np.float32)
        self._terms[step] = [terms[name] for name in self._names]

    def mean(self, first: int, last: int) -> dict[str, float]:
        """Mean of each term over steps ``first`` … ``last`` − 1."""
        means = self._terms[first:last].astype(np.float64).mean(axis=0)
        return dict(zip(self._names, means.tolist(), strict=True))

    @staticmethod
    def wants(epoch: int) -> bool:
        """Whether latents are kept after this epoch, counted from 1: a power of two."""
        return epoch & (epoch - 1) == 0

    def keep(self, epoch: int, latents: Num[np.ndarray, "s d"]) -> None:
        """Store latents (s, d) of the sample after an epoch."""
        self._snapshots[epoch] = np.asarray(latents, dtype=np.float32)

    def pack(self, done: int) -> tuple[dict[str, np.ndarray], dict[str, list[str]]]:
        """Arrays and facts of the state after that number of steps."""
        snapshots = {f"{_SNAPSHOT}{epoch}": latents for epoch, latents in self._snapshots.items()}
        return {_TERMS: self._terms[:done], **snapshots}, {_TERMS: list(self._names)}

    def unpack(self, arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> None:
        """Restore the output of ``pack``, of this training or of a shorter one."""
        self._names, kept = tuple(facts[_TERMS]), arrays[_TERMS]
        self._terms = np.zeros((self._n_steps, len(self._names)), dtype=np.float32)
        self._terms[: len(kept)] = kept
        names = [name for name in arrays if name.startswith(_SNAPSHOT)]
        self._snapshots = {int(name.removeprefix(_SNAPSHOT)): arrays[name] for name in names}

    def show_terms(self, *, ends: Shaped[np.ndarray, "e"], definition: str) -> LossTerms:
        """The terms of all steps as a finding; ``ends`` as in it."""
        return LossTerms(self._names, self._terms, ends, definition)

    def show_latents(self, epoch: int, latents: Float[np.ndarray, "n d"]) -> LatentSnapshots:
        """The snapshots, and the latents (n, d) of all particles after the last epoch, as a finding."""
        shown = {**self._snapshots, epoch: np.asarray(latents[self.particles], dtype=np.float32)}
        return LatentSnapshots(self.particles, np.array(list(shown)), np.stack(list(shown.values())))
