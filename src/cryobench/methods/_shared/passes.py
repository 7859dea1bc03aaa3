"""Passes over all particles: a map over shares of them and a sum, in this process or over Dask workers.

An expectation-maximisation step, a weighted back-projection, a second moment: each is a function of some particles
and of a model, whose results add up. ``Passes`` calls that function with the ``ParticleSpectra`` of each share. In
this process there is one share. With a Dask client there is one per worker, which keeps its spectra from pass to
pass as far as memory allows; only models go out and only sums and a few numbers per particle come back. The result
is the same up to the rounding of the sums.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from itertools import pairwise
from typing import Any

import numba
import numpy as np
import torch

from cryobench._progress import Progress, Silent
from cryobench.data import Particles
from cryobench.imaging.accumulate import SliceAccumulator
from cryobench.methods._shared.spectra import HalfDisc, ParticleSpectra
from cryobench.methods.method import Workers, require_poses

Sums = Mapping[str, Any]
"""Named values that can be added: tensors, arrays, numbers, ``SliceAccumulator``."""
Rows = Mapping[str, np.ndarray]
"""Named arrays with a row per particle of the share."""
Work = Callable[..., tuple[Sums, Rows]]
"""``work(spectra, *shared, *own)`` of one share: what adds up, and what belongs to each particle.

A module-level function, so that it can travel. ``spectra`` counts its particles from 0, as ``own`` do.
"""


class Passes:
    """All particles on a half-disc, in shares.

    Parameters
    ----------
    particles
        With poses.
    radius
        Of the half-disc, in index units.
    method
        Named in error messages.
    device
        "cpu" or "cuda", in every process.
    memory_bytes
        Spectra are kept up to this much in all, else transformed anew in each pass.
    contrasts
        (n,) factors of the particles' CTFs; None for one.
    workers
        Dask client over whose workers the particles are spread; None for this process.

    Raises
    ------
    ValueError
        If poses are withheld, the images hold no power or a pixel is not finite.
    """

    def __init__(
        self,
        particles: Particles,
        radius: int,
        *,
        method: str,
        device: str = "cpu",
        memory_bytes: float = 4e9,
        contrasts: np.ndarray | None = None,
        workers: Workers | None = None,
        progress: Progress | None = None,
    ) -> None:
        require_poses(particles, method)
        self.disc = HalfDisc(particles.box_size, radius)
        self.device = device
        self._n, self._client = len(particles), workers
        self._addresses: list[tuple[str, int]] = [] if workers is None else _list_workers(workers)[: self._n]
        self._bounds = np.linspace(0, self._n, max(len(self._addresses), 1) + 1).astype(int)
        kept = memory_bytes / (len(self._bounds) - 1)
        options = {"method": method, "device": device, "memory_bytes": kept}
        if workers is None:
            spectra = ParticleSpectra(particles, radius, progress=progress, contrasts=contrasts, **options)
            self._shares: list[Any] = [spectra]
            powers = [spectra.mean_power]
        else:
            calls = []
            for first, last in self._parts():
                own = None if contrasts is None else contrasts[first:last]
                calls.append([particles.select(np.arange(first, last)), radius, {**options, "contrasts": own}])
            self._shares = self._submit(_open_share, calls)
            with (progress or Silent()).task("reading particles", total=len(self._shares)) as task:
                powers = []
                for share in self._shares:
                    powers.append(workers.submit(_mean_power, share, pure=False).result())
                    task.advance()
        self.mean_power: np.ndarray = np.average(powers, axis=0, weights=np.diff(self._bounds))
        """(radius + 1,) mean |data|² of each shell: the noise power of a model without particle."""

    def __len__(self) -> int:
        return self._n

    @property
    def n_shares(self) -> int:
        """How many shares the particles are in."""
        return len(self._shares)

    def run(self, work: Work, *shared: Any, own: Sequence[np.ndarray] = ()) -> tuple[dict[str, Any], dict[str, Any]]:
        """One pass: the sums of all shares, and the rows of all particles in their order.

        Parameters
        ----------
        work
            What is done with a share, see ``Work``.
        shared
            Given to every share as it is: models, settings.
        own
            Arrays with a row per particle; a share is given its rows.
        """
        rows_of = [[array[first:last] for array in own] for first, last in self._parts()]
        if self._client is None:
            sums, rows = work(self._shares[0], *shared, *rows_of[0])
            return dict(sums), dict(rows)
        sent = self._client.scatter(list(shared), broadcast=True, hash=False) if shared else []
        calls = [[work, share, *sent, *part] for share, part in zip(self._shares, rows_of, strict=True)]
        results = self._client.gather(self._submit(_work_in_worker, calls))
        sums = {name: reduce(_add, [result[0][name] for result in results]) for name in results[0][0]}
        rows = {name: np.concatenate([result[1][name] for result in results]) for name in results[0][1]}
        return sums, rows

    def _parts(self) -> list[tuple[int, int]]:
        """First and last particle of each share."""
        return [(int(first), int(last)) for first, last in pairwise(self._bounds)]

    def _submit(self, function: Callable[..., Any], calls: Sequence[Sequence[Any]]) -> list[Any]:
        """One call for each share, at its worker, or at another should that one be lost."""
        assert self._client is not None
        return [
            self._client.submit(
                _with_threads, threads, function, *call, workers=[address], allow_other_workers=True, pure=False
            )
            for (address, threads), call in zip(self._addresses, calls, strict=True)
        ]


def _list_workers(workers: Workers) -> list[tuple[str, int]]:
    """Address of each worker and the threads it was given."""
    found = workers.scheduler_info(n_workers=-1)["workers"]
    if not found:
        raise ValueError("the Dask scheduler has no workers: start some, or run without a scheduler.")
    return [(address, int(found[address]["nthreads"])) for address in sorted(found)]


def _add(first: Any, second: Any) -> Any:
    if isinstance(first, SliceAccumulator):
        first.merge(second)
        return first
    return first + second


def _open_share(particles: Particles, radius: int, options: dict[str, Any]) -> ParticleSpectra:
    return ParticleSpectra(particles, radius, **options)


def _mean_power(spectra: ParticleSpectra) -> np.ndarray:
    return spectra.mean_power


def _work_in_worker(work: Work, spectra: ParticleSpectra, *arguments: Any) -> tuple[Sums, Rows]:
    return work(spectra, *arguments)


def _with_threads(threads: int, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call it with no more threads than the worker was given: others share its machine."""
    numba.set_num_threads(min(threads, int(numba.get_num_threads())))
    torch.set_num_threads(threads)
    return function(*arguments)
