"""Steps on weights and latents together, after a pass over images with latents of noise."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryobench.compute import Compute
from cryobench.methods.cryodrgn_ai.settings import CryodrgnAiSettings
from cryobench.reconstruction.images import Minibatches
from cryobench.reconstruction.networks import (
    AdamSettings,
    CoordinateNetwork,
    NetworkBatch,
    NetworkImages,
    RowAdam,
    Training,
    adam_tensors,
    make_adam,
    make_slice_encoder,
    slice_residual,
)
from cryobench.reconstruction.poses import PoseTable
from cryobench.rng import stream


@dataclass(frozen=True)
class Order:
    """Minibatches of a training: those before and during the epochs, as ``Training`` takes them."""

    batches: Minibatches
    epochs: int
    lead: tuple[Minibatches, int]
    then: tuple[Minibatches, int] | None = None


def plan_order(settings: CryodrgnAiSettings, n: int, seed: int) -> Order:
    """Order for n particles at given poses, with at most one pass of pre-training."""
    size = settings.batch_size
    lead = Minibatches(n, size, seed, name="pre-training")
    steps = min(-(-settings.pretraining_images // size), lead.steps_per_epoch)
    return Order(Minibatches(n, size, seed), settings.epochs, (lead, steps))


class HypervolumeTraining(Training[NetworkImages]):
    """Training on minibatches of images, each with its latent from a row of the table."""

    label = "epochs of cryoDRGN-AI"
    objective = "mean over pixels of the squared residual"

    def __init__(
        self,
        network: CoordinateNetwork,
        images: NetworkImages,
        settings: CryodrgnAiSettings,
        compute: Compute,
        seed: int,
        order: Order | None = None,
    ) -> None:
        order = order or plan_order(settings, len(images), seed)
        super().__init__(images, order.batches, order.epochs, compute, lead=order.lead, then=order.then)
        self.network, self._settings, self._seed = network, settings, seed
        self._slices = make_slice_encoder(network, images.disc)
        self._optimiser = make_adam(network.parameters(), settings.learning_rate)
        drawn = stream(seed, "latent table").standard_normal((len(images), settings.z_dim))
        values = torch.from_numpy((drawn * settings.initial_deviation).astype(np.float32)).to(self.device)
        self.table = RowAdam(values, AdamSettings(settings.latent_learning_rate))

    def train(self, batch: NetworkBatch, step: int) -> Mapping[str, Float[Tensor, ""]]:
        """One step of Adam for the weights and, after pre-training, for the latents of the batch."""
        leads = step < self.n_lead
        rows = torch.from_numpy(batch.indices).to(self.device)
        latents = self._draw(step, len(rows)) if leads else self.table.read(rows)
        own = latents[batch.own]
        batch, moved = self.place(batch, own, step)
        residual = slice_residual(self.network, self._slices, batch, own, self.products)
        residual = self.process_group.total(batch.fraction * residual)
        loss = residual
        if self._settings.prior_weight and not leads:
            square = self.process_group.total(own.square().sum() / len(rows))
            loss = loss + self._settings.prior_weight * square / self.images.n_values
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.process_group.sum_gradients([*self.network.parameters(), latents, *(each for each, _ in moved)])
        self._optimiser.step()
        for values, table in (*(() if leads else ((latents, self.table),)), *moved):
            assert values.grad is not None
            table.step(rows, values.grad)
        return {"loss": loss.detach(), "residual": residual.detach()}

    def place(
        self, batch: NetworkBatch, latents: Float[Tensor, "b k"], step: int
    ) -> tuple[NetworkBatch, Sequence[tuple[Float[Tensor, "n w"], PoseTable]]]:
        """Batch at the poses at which slices are compared, and the rows of tables updated by its gradients."""
        return batch, ()

    def latents(self, indices: Int[np.ndarray, "b"]) -> Float[Tensor, "b k"]:
        """Rows (b, k) of the table."""
        return self.table.peek(torch.from_numpy(indices).to(self.device))

    def tensors(self) -> Mapping[str, Tensor]:
        """Weights, moments, and the table with its moments."""
        table = {f"table.{name}": value for name, value in self.table.state().items()}
        return {**dict(self.network.named_parameters()), **adam_tensors(self._optimiser), **table}

    def restore(self, done: int) -> None:
        """Resume the step counts of the table."""
        self.table.steps = max(done - self.n_lead, 0)

    def _draw(self, step: int, count: int) -> Float[Tensor, "b k"]:
        drawn = stream(self._seed, "pre-training latents", step).standard_normal((count, self._settings.z_dim))
        return torch.from_numpy((drawn * self._settings.initial_deviation).astype(np.float32)).to(self.device)
