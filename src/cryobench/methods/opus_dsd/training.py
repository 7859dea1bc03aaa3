"""A training step: images to latents, latents to volumes, volumes to images, and the loss between them.

The images of a step are encoded together and decoded some at a time: the gradient by each latent is kept, and
passes back through the encoder once, with that of the terms on latents.
"""

from collections.abc import Mapping
from itertools import pairwise, starmap
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from cryobench._threads import map_torch
from cryobench.compute import Compute
from cryobench.data import CHUNK
from cryobench.imaging.real_space.volumes import project_volumes
from cryobench.methods.opus_dsd import loss
from cryobench.methods.opus_dsd.augmentation import draw_augmentation
from cryobench.methods.opus_dsd.disentanglement import KEPT, LatentPool, PoolSizes, disentangle
from cryobench.methods.opus_dsd.orientations import tilted_directions, tilts, view_bins
from cryobench.methods.opus_dsd.settings import OpusDsdSettings
from cryobench.methods.opus_dsd.support import Support
from cryobench.reconstruction.images import Minibatches
from cryobench.reconstruction.networks import (
    RealSpaceBatch,
    RealSpaceImages,
    TemplateDecoder,
    Training,
    VolumeEncoder,
    adam_tensors,
    make_adam,
)
from cryobench.rng import stream

_MEMORY = 0.99
"""Weight of the previous value in running means."""
_FIRST_MEANS = (0.01, 1e-4)
"""Running means at the start of each epoch."""


class Autoencoder(nn.Module):
    """Encoder of back-rotated images and decoder of volumes."""

    def __init__(self, encoder: VolumeEncoder, decoder: TemplateDecoder) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder


LARGEST_SIDE_BY_SIDE = 64
"""Side of the largest template that every thread decodes for itself. Larger ones take memory, and use all threads."""


class _Part(NamedTuple):
    """What some images of a batch add."""

    sums: Float[Tensor, "4"]
    """Squared distances weighted by orientation, the images' own squares included; squared predictions, weighted
    likewise; total variation; density."""
    by_latents: Float[Tensor, "b k"]
    by_weights: list[Tensor]
    """Gradients by the decoder's weights."""


class OpusTraining(Training[RealSpaceImages]):
    """Training on minibatches of images of one view: encoder, a draw from the posterior, decoder."""

    label = "epochs of OPUS-DSD"
    objective = (
        "mean over the mask's pixels of the squared residual, plus weighted KL divergence, total variation, mean "
        "density, and disentanglement"
    )

    def __init__(
        self,
        model: Autoencoder,
        images: RealSpaceImages,
        support: Support,
        rotations: Float[np.ndarray, "n 3 3"],
        settings: OpusDsdSettings,
        compute: Compute,
        seed: int,
    ) -> None:
        n = len(images)
        bins = view_bins(rotations, settings.view_n_side)
        super().__init__(images, Minibatches(n, settings.batch_size, seed, groups=bins), settings.epochs, compute)
        self.model, self._settings, self._seed = model, settings, seed
        self._support = support.to(compute.device)
        self._pool = LatentPool(bins, PoolSizes.of(settings), seed)
        self._tilted = tilted_directions(settings.cone_n_side) if settings.orientations == "tilted" else None
        self._optimiser = make_adam(model.parameters(), settings.learning_rate)
        drawn = stream(seed, "latent bank").standard_normal((n, settings.z_dim)).astype(np.float32)
        self.bank = torch.from_numpy(drawn).to(self.device)
        """(n, K) running mean of each particle's latents over its visits."""
        self._means = torch.tensor(_FIRST_MEANS, dtype=torch.float64, device=self.device)
        """Running means in an epoch of the SNR and of the volumes' mean absolute density."""
        for parameter in model.parameters():
            parameter.grad = torch.zeros_like(parameter)

    def train(self, batch: RealSpaceBatch, step: int) -> Mapping[str, Float[Tensor, ""]]:
        """One step of AdamW for the weights, and of the bank for the images of the batch."""
        settings, count = self._settings, len(batch.indices)
        epoch, past = divmod(step, self.batches.steps_per_epoch)
        seen = step / self.batches.steps_per_epoch * len(self.images)
        if past == 0:
            self._means.copy_(self._means.new_tensor(_FIRST_MEANS))
        snr, density = self._means.tolist()
        with torch.no_grad():
            inside = self._support.footprints(batch.rotations)
        area = float(self.process_group.total(inside.sum(dtype=torch.float64))) / count
        area = max(area, loss.LEAST_MASK * self.images.crop**2)
        self._optimiser.zero_grad(set_to_none=False)
        draws = stream(self._seed, "posterior", step).standard_normal((count, self._encoder_dim))
        augmented = draw_augmentation(batch, self._seed, step, snr)
        mean, log_deviation = self._encode(augmented, batch.rotations)
        noise = torch.from_numpy(draws[batch.own].astype(np.float32)).to(self.device)
        latents = mean + noise * torch.exp(log_deviation)
        by_latents, sums = self._compare(batch, latents.detach(), inside, step, epoch, area)
        found = self._measure(sums, count, area)
        divergence_weight = loss.divergence_weight(settings, seen, snr, density)
        prior_weight = loss.disentanglement_weight(settings, seen, found["snr"].item(), found["density"].item())
        k = settings.z_dim
        divergence = loss.gaussian_divergence(mean[:, :k], log_deviation[:, :k]).sum() / count
        divergence = self.process_group.total(divergence)
        codes = mean.new_zeros(count, k)
        codes[batch.own] = mean[:, :k]
        codes = self.process_group.total(codes)
        prior = self._disentangle(codes, batch.indices, step) if prior_weight else mean.new_zeros(())
        of_latents = (divergence_weight * divergence + prior_weight * prior) / area
        (of_latents + (latents * by_latents).sum()).backward()
        self.process_group.sum_gradients(self.model.parameters())
        for group in self._optimiser.param_groups:
            group["lr"] = settings.learning_rate * settings.learning_rate_decay**epoch
        self._optimiser.step()
        self._remember(batch.indices, codes.detach())
        on_volumes = settings.total_variation * found["total_variation"] + settings.sparsity * found["density"]
        whole = found["residual"] + on_volumes / area + of_latents.detach()
        return {"loss": whole, **found, "kl": divergence.detach(), "disentanglement": prior.detach()}

    def latents(self, indices: Int[np.ndarray, "b"]) -> Float[Tensor, "b k"]:
        """Posterior means (b, K), from unaugmented images."""
        size = min(self._settings.batch_size, CHUNK)
        parts = np.split(indices, range(size, len(indices), size))
        return torch.cat([self.embed(part)[0] for part in parts])

    @torch.no_grad()
    def embed(self, indices: Int[np.ndarray, "b"]) -> tuple[Float[Tensor, "b k"], Float[Tensor, "b k"]]:
        """Means and log-deviations (b, K) of the posteriors of some particles."""
        batch, k = self.images.load(indices), self._settings.z_dim
        mean, log_deviation = self._encode(batch.images, batch.rotations)
        return mean[:, :k], log_deviation[:, :k]

    def tensors(self) -> Mapping[str, Tensor]:
        """Weights, moments, the bank, and the running means."""
        weights = dict(self.model.named_parameters())
        return {**weights, **adam_tensors(self._optimiser), "bank": self.bank, "means": self._means}

    @property
    def has_other_views(self) -> bool:
        """Whether the pool is ever non-empty."""
        return self._pool.n_views > 1

    @property
    def _encoder_dim(self) -> int:
        return self.model.encoder.z_dim

    def _encode(
        self, images: Float[Tensor, "b c c"], rotations: Float[Tensor, "b 3 3"]
    ) -> tuple[Float[Tensor, "b k"], Float[Tensor, "b k"]]:
        if not len(images):  # a process of the group may be left without images
            none = images.new_zeros(0, self._encoder_dim, requires_grad=True)
            return none, none
        volumes = self._support.back_rotate(images, rotations)
        with self.autocast():
            return self.model.encoder(volumes)

    def _compare(
        self,
        batch: RealSpaceBatch,
        latents: Float[Tensor, "b k"],
        inside: Bool[Tensor, "b c c"],
        step: int,
        epoch: int,
        area: float,
    ) -> tuple[Float[Tensor, "b k"], Float[Tensor, "4"]]:
        """Gradient by latents of the terms on images and volumes, and sums; that by weights is accumulated."""
        settings, count, k = self._settings, len(batch.indices), self._settings.z_dim
        turns = stream(self._seed, "azimuths", step).uniform(0, 2 * np.pi, count)[batch.own].astype(np.float32)
        azimuths = torch.from_numpy(turns).to(self.device)
        factor = loss.envelope_factor(settings.b_factor, epoch)
        transfer = batch.ctf * torch.exp(-factor * np.pi**2 * self._support.squared_frequencies)
        weights = list(self.model.decoder.parameters())

        def compare(first: int, last: int) -> _Part:
            part = slice(first, last)
            codes = latents[part].requires_grad_()
            with self.autocast():
                volumes = self.model.decoder(codes[:, :k])
                turn, move = self.model.decoder.correct(codes[:, k:])
            maps = self._orient(batch.rotations[part], azimuths[part], turn)
            projections = project_volumes(volumes, maps, move, self.images.crop)
            predicted = loss.image_projections(projections, transfer[part], self.images.box_size)
            distances, posteriors = loss.compare(predicted, batch.images[part], inside[part])
            variation, density = (each.sum() for each in loss.roughness(self._support.bounded(volumes)))
            data = (posteriors * distances).sum()
            terms = data + settings.total_variation * variation + settings.sparsity * density
            by_codes, *by_weights = torch.autograd.grad(terms / (count * area), [codes, *weights])
            with torch.no_grad():
                own = torch.where(inside[part], batch.images[part], 0).square().sum(dtype=torch.float64)
                signal = (posteriors * predicted.square().sum((-2, -1))).sum()
                return _Part(torch.stack([data + own, signal, variation, density]), by_codes, by_weights)

        bounds = pairwise([*range(0, len(latents), settings.at_once), len(latents)])
        large = self.device != "cpu" or self.model.decoder.shape.side > LARGEST_SIDE_BY_SIDE
        sums, gradients = torch.zeros(4, dtype=torch.float64, device=self.device), [latents[:0]]
        for found in starmap(compare, bounds) if large else map_torch(compare, bounds):
            sums += found.sums
            gradients.append(found.by_latents)
            for weight, gradient in zip(weights, found.by_weights, strict=True):
                assert weight.grad is not None
                weight.grad += gradient
        return torch.cat(gradients), sums

    def _orient(
        self, rotations: Float[Tensor, "b 3 3"], azimuths: Float[Tensor, "b"], turn: Float[Tensor, "b 3 3"]
    ) -> Float[Tensor, "b j 3 3"]:
        """Rotations from the particle's frame to the volume's, for each orientation."""
        back = rotations.mT[:, None]
        if self._tilted is not None:
            back = back @ tilts(self._tilted, azimuths).mT
        return turn[:, None] @ back

    def _disentangle(
        self, codes: Float[Tensor, "b k"], indices: Int[np.ndarray, "b"], step: int
    ) -> Float[Tensor, ""]:
        rows, generator = self._pool.draw(indices, step)
        return disentangle(codes, self.bank[torch.from_numpy(rows).to(self.device)], self._pool.sizes, generator)

    def _remember(self, indices: Int[np.ndarray, "b"], codes: Float[Tensor, "b k"]) -> None:
        rows = torch.from_numpy(indices).to(self.device)
        self.bank[rows] = KEPT * self.bank[rows] + (1 - KEPT) * codes

    def _measure(self, sums: Float[Tensor, "4"], count: int, area: float) -> dict[str, Float[Tensor, ""]]:
        """Means over a batch, which are added to the running ones."""
        residual, signal, variation, density = (self.process_group.total(sums) / count).unbind()
        snr = signal / residual
        self._means.mul_(_MEMORY).add_(torch.stack([snr, density]), alpha=1 - _MEMORY)
        return {"residual": residual / area, "total_variation": variation, "density": density, "snr": snr}
