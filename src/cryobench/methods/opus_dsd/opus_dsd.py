"""``opus-dsd``: the method."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int

from cryobench.compute import Compute
from cryobench.compute.memory import reserve
from cryobench.data import CHUNK, LevelledImages, Particles, Reconstruction
from cryobench.methods.method import Method, Preset
from cryobench.methods.opus_dsd.orientations import N_TILTED
from cryobench.methods.opus_dsd.region import find_region
from cryobench.methods.opus_dsd.settings import OpusDsdSettings
from cryobench.methods.opus_dsd.sizes import GridSizes, choose_sizes, render_size
from cryobench.methods.opus_dsd.support import Support, make_support
from cryobench.methods.opus_dsd.training import LARGEST_SIDE_BY_SIDE, Autoencoder, OpusTraining
from cryobench.reconstruction.decoders.template import pack_template
from cryobench.reconstruction.engine import RunContext, iterate
from cryobench.reconstruction.images import require_poses
from cryobench.reconstruction.networks import (
    TRAINED_BYTES,
    RealSpaceImages,
    TemplateDecoder,
    TemplateShape,
    VolumeEncoder,
    check_sizes,
    open_training,
    seeded_weights,
)
from cryobench.reconstruction.statistics import cut_mask


class OpusDsd(Method[OpusDsdSettings]):
    """Variational autoencoder in real space at given poses; volumes by 3-D convolutions (OPUS-DSD)."""

    name = "opus-dsd"
    poses = "given"
    precisions = ("float32", "bfloat16")
    trains = True
    repeats = 0.05
    compared_on = 240
    Settings = OpusDsdSettings
    presets: ClassVar[Mapping[str, Preset]] = {
        "paper": Preset(
            "CryoBench, arXiv:2408.05526: K = 12, 20 epochs, batches of 48, template of 224, downfrac of 0.75."
        ),
        "laptop": Preset(
            "A box of at most 64 px, a template of 48 in six doublings, an eighth of the decoder's "
            "channels and a quarter of the encoder's, the given orientations alone, 10 epochs in batches of 16 at a "
            "learning rate of 5e-4, schedules shortened likewise: trains in minutes on two cores.",
            {
                "box": 64,
                "template_size": 48,
                "seed_doublings": 3,
                "template_doublings": 3,
                "decoder_width": 256,
                "encoder_width": 8,
                "orientations": "given",
                "epochs": 10,
                "batch_size": 16,
                "learning_rate": 5e-4,
                "beta_ramp": 10_000,
                "beta_period": 12_500,
            },
        ),
    }
    small: ClassVar[Mapping[str, Any]] = {
        "z_dim": 2,
        "epochs": 2,
        "batch_size": 8,
        "at_once": 8,
        "downfrac": 0.6,
        "template_size": 12,
        "seed_doublings": 2,
        "template_doublings": 2,
        "decoder_width": 256,
        "encoder_width": 2,
        "orientations": "given",
        "learning_rate": 7e-4,
        "learning_rate_decay": 0.7,
        "view_n_side": 1,
        "beta_ramp": 500,
        "beta_period": 600,
    }

    def estimate(self, particles: Particles, queries: Int[np.ndarray, "q"], context: RunContext) -> Reconstruction:
        """Posterior means (n, K) of the latents, from unaugmented images; volumes of the query particles by the
        decoder.

        ``model`` holds the weights of decoder and encoder, and the log-variances (n, K) of the posteriors.

        Raises
        ------
        ValueError
            If there are fewer particles than images in a batch, or than latent dimensions; or the mask is empty,
            the images are too small, or the template is coarser than they are.
        MemoryShortage
            If training does not fit in the budget.
        Diverged
            If the loss is not finite.
        """
        settings = self.settings
        check_sizes(len(particles), settings.batch_size, settings.z_dim, context.compute.n_workers)
        region, notes = find_region(particles, context.progress)
        render = render_size(particles.box_size, settings.downfrac)
        whole, box_size = particles, particles.box_size
        particles = particles.at_box(render)
        particles = replace(particles, images=LevelledImages(particles.images))
        rotations, _ = require_poses(particles)
        mask = cut_mask(torch.tensor(region), render).numpy()
        sizes = choose_sizes(mask, box_size, settings)
        support = make_support(mask, sizes, particles.pixel_size)
        with seeded_weights(context.seed):
            model = self._make_model(sizes)
        images = RealSpaceImages(
            particles,
            context.compute,
            sizes.crop,
            keep_bytes=self._reserve(model, sizes, len(particles), context.compute),
            folder=context.checkpoint,
            progress=context.progress,
        )
        kept = context.open_checkpoint(whole, settings.model_dump(mode="json"))
        make = partial(self._make_training, model, support, rotations, context.seed)
        with open_training(make, images, context.compute) as training:
            _, convergence = iterate(training, kept, context.progress)
        found = [training.embed(indices) for indices in particles.chunks(min(CHUNK, settings.batch_size))]
        latents, log_deviations = (torch.cat(parts).cpu().numpy() for parts in zip(*found, strict=True))
        packed = pack_template(model.decoder, images.scale, box=sizes.render, crop=sizes.crop, encoder=model.encoder)
        return Reconstruction(
            queries,
            latents=latents,
            model={**packed, "log_variances": 2 * log_deviations},
            decodes_by="template",
            findings=training.findings(convergence, latents),
            notes=(*notes, *_note_ceiling(whole, render), *_note_views(training)),
        )

    def _make_training(
        self,
        model: Autoencoder,
        support: Support,
        rotations: Float[np.ndarray, "n 3 3"],
        seed: int,
        images: RealSpaceImages,
        compute: Compute,
    ) -> OpusTraining:
        return OpusTraining(model.to(compute.device), images, support, rotations, self.settings, compute, seed)

    def _make_model(self, sizes: GridSizes) -> Autoencoder:
        settings = self.settings
        shape = TemplateShape(
            settings.z_dim,
            sizes.template,
            settings.decoder_width,
            settings.seed_doublings,
            settings.template_doublings,
        )
        encoder = VolumeEncoder(settings.z_dim + shape.affine_dim, width=settings.encoder_width)
        return Autoencoder(encoder, TemplateDecoder(shape))

    def _reserve(self, model: Autoencoder, sizes: GridSizes, n: int, compute: Compute) -> float:
        """Bytes left for images after the training's. MemoryShortage if there are none."""
        settings = self.settings
        fixed = TRAINED_BYTES * sum(each.numel() for each in model.parameters()) + 4.0 * n * settings.z_dim
        decoded = self._decoded_bytes(sizes)
        encoded = 12.0 * model.encoder.activations(sizes.crop)
        at_once, gradients = settings.at_once, 0.0
        if compute.device == "cpu" and sizes.template <= LARGEST_SIDE_BY_SIDE:
            at_once *= compute.n_threads
            # Those of all parts of a batch are kept until they are summed.
            gradients = 4.0 * sum(each.numel() for each in model.decoder.parameters())
        return reserve(
            compute.memory_per_worker,
            lambda count: (
                fixed + encoded * count + decoded * min(count, at_once) + gradients * -(-count // settings.at_once)
            ),
            settings.batch_size,
            items=f"images in a batch, {settings.at_once} decoded at once to {sizes.template} voxels a side,",
            setting="batch_size",
            advice="A smaller at_once, template_size or decoder_width needs less.",
            n_workers=compute.n_workers,
        )

    def _decoded_bytes(self, sizes: GridSizes) -> float:
        """Bytes of an image from its latent to the loss, forward and backward."""
        settings = self.settings
        last = settings.decoder_width >> (settings.seed_doublings + settings.template_doublings - 1)
        activations = sizes.template**3 * (1 + last / 8 * (1 + 1 / 4 + 1 / 16))
        n_orientations = N_TILTED if settings.orientations == "tilted" else 1
        return (
            12 * activations + 40 * sizes.template**3 + n_orientations * (36 * sizes.crop**3 + 40 * sizes.render**2)
        )


def _note_ceiling(particles: Particles, render: int) -> tuple[str, ...]:
    if render == particles.box_size:
        return ()
    length = particles.box_size * particles.pixel_size
    return (
        f"Images are compared on {render} px of {length / render:.2f} Å (downfrac, of {particles.box_size} px): "
        f"volumes resolve {2 * length / render:.1f} Å at best, so that FSC curves end at "
        f"{render / particles.box_size:.0%} of their frequencies.",
    )


def _note_views(training: OpusTraining) -> tuple[str, ...]:
    if training.has_other_views:
        return ()
    return ("All particles have one viewing direction: the disentanglement prior has no other views to compare.",)
