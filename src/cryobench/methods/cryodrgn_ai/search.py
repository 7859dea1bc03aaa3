"""Training of the network and its table of latents at poses that are first searched and then refined by gradients."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from cryobench.compute import Compute
from cryobench.methods.cryodrgn_ai.settings import CryodrgnAiAbInitioSettings
from cryobench.methods.cryodrgn_ai.training import HypervolumeTraining, Order
from cryobench.reconstruction.images import Minibatches
from cryobench.reconstruction.networks import CoordinateNetwork, NetworkBatch, NetworkImages
from cryobench.reconstruction.poses import PoseTable, SearchedPoses, random_rotations

_SEARCHED = 500_000
"""Visits of images from which the published number of search epochs follows."""


class AbInitioTraining(HypervolumeTraining):
    """Weights first, at random poses; then with latents, at searched poses; then with latents and poses."""

    def __init__(
        self,
        network: CoordinateNetwork,
        images: NetworkImages,
        settings: CryodrgnAiAbInitioSettings,
        compute: Compute,
        seed: int,
    ) -> None:
        order = plan_search_order(settings, len(images), seed)
        super().__init__(network, images, settings, compute, seed, order)
        self._first_moved = self.n_lead + order.epochs * order.batches.steps_per_epoch
        self._search_batch_size = settings.search_batch_size
        rate = settings.pose_learning_rate
        self.searched = SearchedPoses(images, network, settings, self.process_group, learning_rate=rate)

    def place(
        self, batch: NetworkBatch, latents: Float[Tensor, "b k"], step: int
    ) -> tuple[NetworkBatch, Sequence[tuple[Float[Tensor, "n w"], PoseTable]]]:
        """Random poses before the first epoch, then those of a search, then rows of the table."""
        if step < self.n_lead:
            n = len(batch.indices)
            rotations = random_rotations(n, self._seed, "pre-training rotations", step)[batch.own]
            return replace(batch, rotations=rotations.to(self.device)), ()
        if step < self._first_moved:
            size = self._search_batch_size
            within = (step - self.n_lead) % self.batches.steps_per_epoch
            self.searched.follow(self.latents, within * size, size)
            self.searched.search(batch, latents)
            return self.searched.place(batch), ()
        table = self.searched.table
        moved = table.read(torch.from_numpy(batch.indices).to(self.device))
        return self.images.move(batch, *table.poses(moved[batch.own])), ((moved, table),)

    def tensors(self) -> Mapping[str, Tensor]:
        """Weights, moments, tables of latents and poses."""
        return {**super().tensors(), **self.searched.tensors()}

    def restore(self, done: int) -> None:
        """Resume the step counts of the tables."""
        super().restore(done)
        self.searched.table.steps = max(done - self._first_moved, 0)
        self.searched.restore()


def plan_search_order(settings: CryodrgnAiAbInitioSettings, n: int, seed: int) -> Order:
    """Order for n particles without poses: pre-training, search epochs, then gradient epochs."""
    searches = settings.search_epochs or max(2, _SEARCHED // n + 1)
    size = settings.pretraining_batch_size
    return Order(
        Minibatches(n, settings.search_batch_size, seed, name="search"),
        searches,
        (Minibatches(n, size, seed, name="pre-training"), -(-settings.pretraining_images // size)),
        (Minibatches(n, settings.batch_size, seed), settings.epochs),
    )
