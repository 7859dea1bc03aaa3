"""Training of the autoencoder with pose search: ab initio."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from cryobench.compute import Compute
from cryobench.methods.cryodrgn.settings import Cryodrgn2Settings
from cryobench.methods.cryodrgn.training import Autoencoder, AutoencoderTraining
from cryobench.reconstruction.images import Minibatches
from cryobench.reconstruction.networks import NetworkBatch, NetworkImages, slice_residual
from cryobench.reconstruction.poses import SearchedPoses, random_rotations
from cryobench.rng import stream


class AbInitioTraining(AutoencoderTraining):
    """Decoder first, from raw images at random poses and latents; then both networks, searching in some epochs."""

    label = "epochs of cryoDRGN2"

    def __init__(
        self, model: Autoencoder, images: NetworkImages, settings: Cryodrgn2Settings, compute: Compute, seed: int
    ) -> None:
        n, size = len(images), settings.batch_size
        lead = Minibatches(n, size, seed, name="pre-training"), -(-settings.pretraining_images // size)
        super().__init__(model, images, Minibatches(n, size, seed), settings, compute, seed, lead=lead)
        self._every = settings.search_every
        self.searched = SearchedPoses(images, model.decoder, settings, self.process_group)

    def train(self, batch: NetworkBatch, step: int) -> Mapping[str, Float[Tensor, ""]]:
        """One step of Adam for the weights; before the first epoch, for those of the decoder only."""
        if step >= self.n_lead:
            return super().train(batch, step)
        n = len(batch.indices)
        drawn = stream(self._seed, "pre-training latents", step).standard_normal((n, self._settings.z_dim))
        latents = torch.from_numpy(drawn[batch.own].astype(np.float32)).to(self.device)
        rotations = random_rotations(n, self._seed, "pre-training rotations", step)[batch.own].to(self.device)
        bare = replace(batch, ctf=torch.ones_like(batch.ctf), rotations=rotations)
        residual = slice_residual(self.model.decoder, self._slices, bare, latents, self.products)
        residual = self.process_group.total(batch.fraction * residual)
        self._descend(residual)
        return {"loss": residual.detach(), "residual": residual.detach(), "kl": torch.zeros(())}

    def place(self, batch: NetworkBatch, latents: Float[Tensor, "b k"], step: int) -> NetworkBatch:
        """Batch at the latest poses; in some epochs, after a search with these latents."""
        epoch, within = divmod(step - self.n_lead, self.batches.steps_per_epoch)
        if epoch % self._every == 0:
            size = self._settings.batch_size
            self.searched.follow(self.latents, within * size, size)
            self.searched.search(batch, latents)
        return self.searched.place(batch)

    def tensors(self) -> Mapping[str, Tensor]:
        """Weights, moments, and poses."""
        return {**super().tensors(), **self.searched.tensors()}

    def restore(self, done: int) -> None:
        """Restore the search of that state."""
        self.searched.restore()
