"""Passes over all particles: a map over shards of them and a sum, in this process or on workers.

An expectation-maximisation step, a weighted back-projection, a second moment: each is a function of some particles
and of a model, whose results add up. ``Passes`` calls that function with the spectra of each shard. In this process
there is one shard. With workers there is one per worker, which keeps its spectra from pass to pass as far as memory
allows; only models are sent out and only sums and a few numbers per particle return. The result is the same up to
rounding of the sums; with the same number of shards it is bit-identical for any memory budget.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import reduce
from itertools import pairwise
from operator import add
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped

from cryobench._progress import Progress, Silent, Task
from cryobench.compute import Compute
from cryobench.data import Particles
from cryobench.imaging.accumulate import SliceAccumulator
from cryobench.imaging.half_disc import HalfDisc
from cryobench.imaging.moments import MomentAccumulator
from cryobench.reconstruction.images import ImagePower, ImageSpectra, PosedSpectra, require_poses

Sums = Mapping[str, Any]
"""Named values that can be added: tensors, arrays, numbers, ``SliceAccumulator``, ``MomentAccumulator``."""
Rows = Mapping[str, np.ndarray]
"""Named arrays with a row per particle of the shard, in the order of the table, in which batches do not come: a batch
has the rows ``batch.indices``."""
Work = Callable[..., tuple[Sums, Rows]]
"""``work(spectra, *shared, *own)`` on one shard: returns sums, and rows per particle.

A module-level function, so that it is picklable. ``spectra`` counts its particles from 0, as ``own`` do.
"""


class Passes:
    """All particles on a half-disc, in shards.

    Parameters
    ----------
    particles
        With poses, unless ``posed`` is False.
    compute
        Device and workers.
    radius
        Of the half-disc, in index units; None for the largest, (n − 1) // 2.
    keep_bytes
        Spectra are kept up to this total, the others transformed again in each pass; None for the whole budget.
    contrasts
        (n,) factors of the particles' CTFs; None for one.
    posed
        Whether work is given ``PosedSpectra``, or ``ImageSpectra``, which have no poses.

    Raises
    ------
    ValueError
        If poses are withheld, the images have no power, all are the same image, or a pixel is not finite.
    """

    def __init__(
        self,
        particles: Particles,
        compute: Compute,
        *,
        radius: int | None = None,
        keep_bytes: float | None = None,
        contrasts: Float[np.ndarray, "n"] | None = None,
        posed: bool = True,
        progress: Progress | None = None,
    ) -> None:
        if posed:
            require_poses(particles)
        if radius is None:
            radius = (particles.box_size - 1) // 2
        self.disc = HalfDisc(particles.box_size, radius)
        self.device = compute.device
        self._n, self._workers = len(particles), compute.workers
        self._task: Task | None = None
        n_shards = min(compute.n_workers, self._n)
        self._bounds = np.linspace(0, self._n, n_shards + 1).astype(int)
        kept = (compute.memory if keep_bytes is None else keep_bytes) / n_shards
        kind = PosedSpectra if posed else ImageSpectra
        options = {"device": compute.device, "keep_bytes": kept}
        if self._workers is None:
            spectra = kind(particles, radius, progress=progress, contrasts=contrasts, **options)
            self._shards: list[Any] = [spectra]
            powers = [spectra.power]
        else:
            calls = []
            for first, last in self._parts():
                own = None if contrasts is None else contrasts[first:last]
                calls.append([kind, particles.select(np.arange(first, last)), radius, {**options, "contrasts": own}])
            self._shards = self._workers.start(_open_shard, calls)
            with (progress or Silent()).task("reading particles", total=len(self._shards)) as task:
                powers = []
                for handle in self._workers.start(_power_of, [[shard] for shard in self._shards]):
                    powers += self._workers.results([handle])
                    task.advance()
        self.mean_power: np.ndarray = reduce(add, powers).mean()
        """(radius + 1,) mean |data|² of each shell: the noise power of a model without particle."""

    def __len__(self) -> int:
        return self._n

    @property
    def n_shards(self) -> int:
        """Number of shards of the particles."""
        return len(self._shards)

    @contextmanager
    def shown(self, progress: Progress, label: str, passes: int = 1) -> Iterator[None]:
        """Show the particles that so many passes visit as they do, over workers shard by shard."""
        with progress.task(label, total=passes * len(self)) as self._task:
            try:
                yield
            finally:
                self._task = None

    def run(
        self, work: Work, *shared: Any, own: Sequence[Shaped[np.ndarray, "n ..."]] = ()
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """One pass: the sums of all shards, and the rows of all particles in order.

        Parameters
        ----------
        work
            Function of a shard, see ``Work``.
        shared
            Passed to every shard unchanged: models, settings.
        own
            Arrays with one row per particle; each shard is given its rows.
        """
        rows_of = [[array[first:last] for array in own] for first, last in self._parts()]
        if self._workers is None:
            self._shards[0].visited = None if self._task is None else self._task.advance
            sums, rows = work(self._shards[0], *shared, *rows_of[0])
            return dict(sums), dict(rows)
        sent = self._workers.broadcast(shared)
        calls = [[work, shard, *sent, *part] for shard, part in zip(self._shards, rows_of, strict=True)]
        results = []
        for handle, (first, last) in zip(self._workers.start(_work_on_shard, calls), self._parts(), strict=True):
            results += self._workers.results([handle])
            if self._task is not None:
                self._task.advance(last - first)
        sums = {name: reduce(_add, [result[0][name] for result in results]) for name in results[0][0]}
        rows = {name: np.concatenate([result[1][name] for result in results]) for name in results[0][1]}
        return sums, rows

    def _parts(self) -> list[tuple[int, int]]:
        """First and last particle of each shard."""
        return [(int(first), int(last)) for first, last in pairwise(self._bounds)]


def _add(first: Any, second: Any) -> Any:
    if isinstance(first, SliceAccumulator | MomentAccumulator):
        first.merge(second)
        return first
    return first + second


def _open_shard(kind: Callable[..., Any], particles: Particles, radius: int, options: dict[str, Any]) -> Any:
    return kind(particles, radius, **options)


def _power_of(spectra: ImageSpectra | PosedSpectra) -> ImagePower:
    return spectra.power


def _work_on_shard(work: Work, spectra: ImageSpectra | PosedSpectra, *arguments: Any) -> tuple[Sums, Rows]:
    return work(spectra, *arguments)
