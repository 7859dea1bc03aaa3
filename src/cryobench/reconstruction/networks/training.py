"""Training by stochastic gradients as an ``Iteration``: minibatches in order, epochs, a log, states to resume from.

A method defines the loss of a batch and its optimisers; order, progress, checkpoints at every epoch and on a signal,
and the log are the same for all. Weights, moments and tables are float32 throughout; in bfloat16 only matrix products
are computed (autocast), so no scaling of the loss is needed.

With several workers every step is made together (``compute.process_group``): each of n processes takes every n-th
image of the same batch, has its own weights, moments and tables, and takes the same step with the sum of all
gradients, up to rounding that of one process. Random numbers for a batch are drawn by each process for the whole
batch.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain
from typing import Any, Generic, Literal, Protocol, TypeVar, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryobench.compute import Compute, open_process_group
from cryobench.compute.memory import reserve
from cryobench.data import Convergence, Finding, Particles
from cryobench.reconstruction.engine import Diverged, Iteration, RunContext, Step
from cryobench.reconstruction.images import Minibatches, prefetch
from cryobench.reconstruction.networks.coordinate_network import CoordinateNetwork
from cryobench.reconstruction.networks.history import History
from cryobench.reconstruction.networks.prepared_images.spectra import NetworkImages
from cryobench.reconstruction.networks.residual import sweep_bytes
from cryobench.rng import stream

PRODUCTS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
"""Precision of matrix products, by the run's precision."""


_MOST = 10.0
"""Residual of an epoch, relative to that of an empty volume, above which training has diverged."""


@runtime_checkable
class PreparedImages(Protocol):
    """Images prepared once, loaded in batches: ``NetworkImages``, or a method's own kind."""

    @property
    def power(self) -> float:
        """Residual of an empty volume."""
        ...

    def __len__(self) -> int: ...

    def load(self, indices: Int[np.ndarray, " n"], own: slice = ...) -> Any:
        """Batch of particles, or the part of it that one process of the group computes, on the device."""
        ...

    def open_here(self, device: str) -> None:
        """Open the images in a worker process."""
        ...


Images = TypeVar("Images", bound=PreparedImages)


class Training(Iteration[None], Generic[Images]):
    """Passes over the images in minibatches. Subclasses implement ``train`` and name their tensors.

    Parameters
    ----------
    images
        Prepared images.
    batches
        Order of the batches.
    epochs
        Number of passes.
    compute
        Device, precision, and the process group to which this process belongs.
    lead
        Order and number of batches before the first epoch; None for none.
    then
        Order of batches in later epochs, and number of these epochs; None for none.
    """

    in_place = True
    shown = ("epoch", "loss")
    advice = "Lower the learning rate, or compute in --precision float32; look for outliers among the images."

    def __init__(
        self,
        images: Images,
        batches: Minibatches,
        epochs: int,
        compute: Compute,
        *,
        lead: tuple[Minibatches, int] | None = None,
        then: tuple[Minibatches, int] | None = None,
    ) -> None:
        self.images, self.batches, self.process_group = images, batches, compute.process_group
        self.device, self.products = compute.device, PRODUCTS[compute.precision]
        self._lead, self.n_lead = lead if lead is not None else (batches, 0)
        self._then, later = then if then is not None else (batches, 0)
        lengths = [batches.steps_per_epoch] * epochs + [self._then.steps_per_epoch] * later
        self.ends = self.n_lead + np.cumsum([0, *lengths])
        """(epochs + 1,) steps at which the first epoch begins, and every epoch ends."""
        self._n_first = epochs * batches.steps_per_epoch
        self.n_steps = int(self.ends[-1])
        self.empty = images.power
        """Residual of an empty volume, in the units of the term "residual"."""
        self._stream: Iterator[Any] | None = None
        self._expected = -1
        self.history = History(len(images), self.n_steps)
        self._began = time.monotonic()

    @abstractmethod
    def train(self, batch: Any, step: int) -> Mapping[str, Float[Tensor, ""]]:
        """One step on a batch of images, with weights updated: the terms of its loss, including "residual" and
        "loss".

        With several processes the batch holds this one's images: terms are ``process_group.total`` of its part of
        them, and gradients ``process_group.sum_gradients`` before they are used.
        """

    @abstractmethod
    def latents(self, indices: Int[np.ndarray, " b"]) -> Float[Tensor, "b k"]:
        """Current latents (b, k) of some particles; nothing is changed."""

    @abstractmethod
    def tensors(self) -> Mapping[str, Tensor]:
        """Everything that training changes, by name: weights, moments, tables."""

    def start(self) -> None:
        """No state: the networks are made with this object."""

    def step(self, state: None, done: int, log: Sequence[Mapping[str, Any]]) -> Step[None]:
        """One minibatch; an entry of the log at the end of every epoch, the mean over its steps."""
        terms = {name: float(value) for name, value in self._train_next(self.process_group.hear(done)).items()}
        self.history.add(done, terms)
        epoch = int(np.searchsorted(self.ends, done + 1))
        ended = epoch > 0 and self.ends[epoch] == done + 1
        if not ended or not all(np.isfinite(value) for value in terms.values()):
            bad = any(not np.isfinite(value) for value in terms.values())
            return Step(None, ({"iteration": done + 1, **terms},) if bad else ())
        entry = self.history.mean(int(self.ends[epoch - 1]), done + 1)
        self._check_residual(entry["residual"], epoch)
        seconds, self._began = time.monotonic() - self._began, time.monotonic()
        if self.history.wants(epoch):
            self.history.keep(epoch, self.latents(self.history.particles).cpu().numpy())
        if done + 1 == self.n_steps:
            self._close()
        return Step(None, ({"iteration": epoch, "epoch": epoch, **entry, "seconds": round(seconds, 2)},))

    def follow(self) -> None:
        """In the other processes of the group: make the steps of the first one, until it ends with LostWorker."""
        try:
            while True:
                self._train_next(self.process_group.hear())
        finally:
            self._close()

    def _train_next(self, done: int) -> Mapping[str, Float[Tensor, ""]]:
        if self._stream is None or done != self._expected:
            self._close()
            self.process_group.copy_first(self.tensors().values())
            self.restore(done)
            lead = self._lead.steps(done, self.n_lead)
            past = max(done - self.n_lead, 0)
            epochs = self.batches.steps(past, self._n_first)
            later = self._then.steps(max(past - self._n_first, 0), self.n_steps - self.n_lead - self._n_first)
            self._stream = prefetch(
                partial(self.images.load, own=self.process_group.part), chain(lead, epochs, later)
            )
        self._expected = done + 1
        return self.train(next(self._stream), done)

    def _check_residual(self, residual: float, epoch: int) -> None:
        if residual > _MOST * self.empty:
            raise Diverged(
                f"the residual of epoch {epoch} is {residual:.3g}, above that of an empty volume, {self.empty:.3g}: "
                f"training has diverged. {self.advice} Earlier epochs are kept."
            )

    def keeps(self, done: int) -> bool:
        """True at the end of every epoch."""
        return bool((self.ends == done).any())

    def pack(self, state: None) -> tuple[Mapping[str, np.ndarray], Mapping[str, Any]]:
        """All tensors, and the history."""
        arrays = {name: value.detach().cpu().numpy() for name, value in self.tensors().items()}
        past, facts = self.history.pack(self._expected)
        return {**arrays, **past}, {"steps": self._expected, **facts}

    def restore(self, done: int) -> None:
        """Called after the tensors of a state have been restored; for step counts of a subclass."""

    def unpack(self, arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> None:
        """Restore kept tensors."""
        with torch.no_grad():
            for name, value in self.tensors().items():
                value.copy_(torch.from_numpy(arrays[name]))
        self.history.unpack(arrays, facts)
        self.restore(facts["steps"])

    def findings(self, convergence: Convergence, latents: Float[np.ndarray, "n k"]) -> tuple[Finding, ...]:
        """Findings of a finished training: convergence, the terms of its loss, and latents (n, k) by epoch."""
        terms = self.history.show_terms(ends=self.ends, definition=self.objective)
        return convergence, terms, self.history.show_latents(len(self.ends) - 1, latents)

    def autocast(self) -> torch.autocast:
        """Context in which matrix products are in the run's precision."""
        enabled, kind = self.products is not torch.float32, self.device.partition(":")[0]
        # The cache is shared by threads, and weights are used once.
        return torch.autocast(kind, dtype=torch.bfloat16, enabled=enabled, cache_enabled=False)

    def _close(self) -> None:
        if self._stream is not None:
            self._stream.close()  # pyright: ignore[reportAttributeAccessIssue]
            self._stream = None


Made = TypeVar("Made", bound=Training[Any])


@contextmanager
def open_training(make: Callable[[Images, Compute], Made], images: Images, compute: Compute) -> Iterator[Made]:
    """``make(images, compute)``, whose steps within the block are made by all workers together.

    Parameters
    ----------
    make
        Called in this process and, pickled, in workers; networks are on the CPU before.

    Raises
    ------
    LostWorker, ValueError
        As ``open_process_group``.
    """
    with open_process_group(compute, _follow, make, images) as joined:
        yield make(images, joined)


def _follow(compute: Compute, make: Callable[[Images, Compute], Training[Images]], images: Images) -> None:
    images.open_here(compute.device)
    make(images, compute).follow()


@contextmanager
def seeded_weights(seed: int) -> Iterator[None]:
    """Weights made within the block are drawn from the named stream "weights", on the CPU, equal for every device."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(stream(seed, "weights").integers(2**62)))
        yield


def open_images(
    particles: Particles,
    context: RunContext,
    network: CoordinateNetwork,
    batch_size: int,
    *,
    scaled_by: Literal["sample", "all"],
    setting: str = "batch_size",
    n_others: int = 0,
    beside: float = 0,
) -> NetworkImages:
    """Prepared images, in memory as far as the training of a network leaves room.

    Parameters
    ----------
    batch_size, setting
        Images of the largest batch, and the setting that says so.
    n_others
        Numbers trained in addition to the network: another network's weights, a table.
    beside
        Bytes that the method takes in addition.

    Raises
    ------
    ValueError
        As ``check_sizes`` or ``NetworkImages``.
    MemoryShortage
        If training does not fit in the budget.
    """
    check_sizes(len(particles), batch_size, network.shape.z_dim, context.compute.n_workers, setting)
    n_trained = n_others + sum(each.numel() for each in network.parameters())
    size = particles.box_size
    compute = context.compute
    device, n_threads = compute.device, compute.n_threads
    left = reserve(
        compute.memory_per_worker,
        lambda count: beside + TRAINED_BYTES * n_trained + sweep_bytes(network, size, count, device, n_threads),
        batch_size,
        items=f"images of {size} px in a batch, with networks of {n_trained:,} numbers,",
        setting=setting,
        advice="Narrower networks or a smaller box need less.",
        n_workers=compute.n_workers,
    )
    return NetworkImages(
        particles,
        compute,
        keep_bytes=left,
        scaled_by=scaled_by,
        folder=context.checkpoint,
        progress=context.progress,
    )


TRAINED_BYTES = 20
"""Bytes of a trained number: itself, its gradient, two moments, and itself in the precision of products."""


def check_sizes(n: int, batch_size: int, z_dim: int, n_workers: int, setting: str = "batch_size") -> None:
    """ValueError if a batch exceeds the images or is smaller than the workers, or ``z_dim`` is not below ``n``."""
    if n < batch_size:
        raise ValueError(f"a batch holds {batch_size} images and there are {n}: set {setting} to at most {n}.")
    if z_dim >= n:
        raise ValueError(f"a latent of {z_dim} dimensions cannot be found from {n} images: set z_dim lower.")
    if n_workers > batch_size:
        raise ValueError(
            f"{n_workers} workers cannot divide a batch of {batch_size} images: give --workers {batch_size} at most, "
            f"or a larger {setting}."
        )
