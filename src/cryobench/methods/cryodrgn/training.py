"""The loss of the autoencoder, and a step on it."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from cryobench.compute import Compute
from cryobench.data import CHUNK
from cryobench.imaging.half_disc import HalfDisc
from cryobench.methods.cryodrgn.settings import AutoencoderSettings
from cryobench.reconstruction.images import Minibatches
from cryobench.reconstruction.networks import (
    CoordinateNetwork,
    ImageEncoder,
    NetworkBatch,
    NetworkImages,
    NetworkShape,
    Training,
    adam_tensors,
    make_adam,
    make_slice_encoder,
    seeded_weights,
    slice_residual,
)
from cryobench.reconstruction.poses import PoseTable
from cryobench.rng import stream


class Autoencoder(nn.Module):
    """Encoder of images, and volume as a network."""

    def __init__(self, encoder: ImageEncoder, decoder: CoordinateNetwork) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder


def make_model(settings: AutoencoderSettings, box_size: int, seed: int) -> Autoencoder:
    """Networks for images of a box, with weights drawn from a seed."""
    shape = NetworkShape(
        box_size,
        settings.z_dim,
        settings.decoder_width,
        settings.decoder_depth,
        settings.domain,
        deviation=settings.encoding_deviation,
    )
    n_values = 2 * (len(HalfDisc(box_size, box_size // 2).frequencies) - 1)
    with seeded_weights(seed):
        encoder = ImageEncoder(n_values, settings.z_dim, width=settings.encoder_width, depth=settings.encoder_depth)
        return Autoencoder(encoder, CoordinateNetwork(shape, seed))


class AutoencoderTraining(Training[NetworkImages]):
    """Minibatches of images, each through the encoder, a draw from its posterior, and the decoder."""

    label = "epochs of cryoDRGN"
    objective = "mean over pixels of the squared residual, plus the weighted KL divergence"

    def __init__(
        self,
        model: Autoencoder,
        images: NetworkImages,
        batches: Minibatches,
        settings: AutoencoderSettings,
        compute: Compute,
        seed: int,
        poses: PoseTable | None = None,
        *,
        pose_from_epoch: int = 0,
        lead: tuple[Minibatches, int] | None = None,
    ) -> None:
        super().__init__(images, batches, settings.epochs, compute, lead=lead)
        self.model, self._settings, self._seed = model, settings, seed
        self._slices = make_slice_encoder(model.decoder, images.disc)
        self._optimiser = make_adam(model.parameters(), settings.learning_rate)
        self._first_moved = pose_from_epoch * batches.steps_per_epoch
        self.poses = poses
        """Pose table; None where gradients do not change poses."""

    def train(self, batch: NetworkBatch, step: int) -> Mapping[str, Float[Tensor, ""]]:
        """One step of Adam for the weights and, where poses are refined, of SparseAdam for those of the batch."""
        rows, moved = torch.from_numpy(batch.indices).to(self.device), None
        if self.poses is not None and step >= self._first_moved:
            moved = self.poses.read(rows)
            batch = self.images.move(batch, *self.poses.poses(moved[batch.own]))
        drawn = stream(self._seed, "posterior", step).standard_normal((len(batch.indices), self._settings.z_dim))
        noise = torch.from_numpy(drawn[batch.own].astype(np.float32)).to(self.device)
        with self.autocast():
            mean, log_variance = self.model.encoder(batch.hartley())
        latents = mean + noise * torch.exp(0.5 * log_variance)
        batch = self.place(batch, latents, step)
        residual = slice_residual(self.model.decoder, self._slices, batch, latents, self.products)
        residual = self.process_group.total(batch.fraction * residual)
        divergence = self.process_group.total(kl_divergence(mean, log_variance).sum() / len(batch.indices))
        loss = residual + self._penalty(divergence) / self.images.n_values
        self._descend(loss, () if moved is None else (moved,))
        if self.poses is not None and moved is not None:
            assert moved.grad is not None
            self.poses.step(rows, moved.grad)
        return {"loss": loss.detach(), "residual": residual.detach(), "kl": divergence.detach()}

    def place(self, batch: NetworkBatch, latents: Float[Tensor, "b k"], step: int) -> NetworkBatch:
        """Batch at the poses at which slices are compared, after encoding."""
        return batch

    def _descend(self, loss: Float[Tensor, ""], others: Sequence[Float[Tensor, "b w"]] = ()) -> None:
        """One step of Adam for the weights, summed over workers together with the gradients of others."""
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.process_group.sum_gradients(
            [*(each for each in self.model.parameters() if each.grad is not None), *others]
        )
        self._optimiser.step()

    def latents(self, indices: Int[np.ndarray, "b"]) -> Float[Tensor, "b k"]:
        """Posterior means (b, k)."""
        parts = np.split(indices, range(CHUNK, len(indices), CHUNK))
        return torch.cat([self.embed(part)[0] for part in parts])

    def tensors(self) -> Mapping[str, Tensor]:
        """Weights, moments, and the table of poses with its moments."""
        table = {} if self.poses is None else {f"poses.{name}": each for name, each in self.poses.state().items()}
        return {**dict(self.model.named_parameters()), **adam_tensors(self._optimiser), **table}

    def restore(self, done: int) -> None:
        """Resume the step counts of the table."""
        if self.poses is not None:
            self.poses.steps = max(done - self._first_moved, 0)

    @torch.no_grad()
    def embed(self, indices: Int[np.ndarray, "b"]) -> tuple[Float[Tensor, "b k"], Float[Tensor, "b k"]]:
        """Means and log-variances (b, k) of the posteriors of some particles."""
        batch = self.images.load(indices)
        if self.poses is not None:
            poses = self.poses.read(torch.from_numpy(indices).to(self.device))
            batch = self.images.move(batch, *self.poses.poses(poses))
        with self.autocast():
            return self.model.encoder(batch.hartley())

    def embed_all(self) -> tuple[Float[np.ndarray, "n k"], Float[np.ndarray, "n k"]]:
        """Means and log-variances (n, k) of the posteriors of all particles."""
        found = [self.embed(indices) for indices in self.images.particles.chunks(CHUNK)]
        means, log_variances = (torch.cat(parts).cpu().numpy() for parts in zip(*found, strict=True))
        return means, log_variances

    def _penalty(self, divergence: Float[Tensor, ""]) -> Float[Tensor, ""]:
        settings = self._settings
        if settings.kl_target is not None:
            return settings.beta_control * (settings.kl_target - divergence).square()
        return (1 / settings.z_dim if settings.beta is None else settings.beta) * divergence


def kl_divergence(mean: Float[Tensor, "b k"], log_variance: Float[Tensor, "b k"]) -> Float[Tensor, "b"]:
    """(b,) divergence of N(mean, variance) from N(0, 1), in nats."""
    return -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum(1)
