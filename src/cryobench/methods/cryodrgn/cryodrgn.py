"""``cryodrgn``: the method."""

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Int

from cryobench.compute import Compute
from cryobench.data import Particles, Reconstruction
from cryobench.methods.cryodrgn.refinement import give_poses, make_poses
from cryobench.methods.cryodrgn.settings import CryodrgnSettings
from cryobench.methods.cryodrgn.training import Autoencoder, AutoencoderTraining, make_model
from cryobench.methods.method import Method, Preset
from cryobench.reconstruction.decoders.coordinate_network import pack_network
from cryobench.reconstruction.engine import RunContext, iterate
from cryobench.reconstruction.images import Minibatches
from cryobench.reconstruction.networks import (
    NetworkImages,
    open_images,
    open_training,
)
from cryobench.reconstruction.poses import PoseTable


class Cryodrgn(Method[CryodrgnSettings]):
    """Variational autoencoder of images at given poses; volumes as a network over frequencies (cryoDRGN)."""

    name = "cryodrgn"
    poses = "given"
    uses_mask = False  # whole images are compared
    precisions = ("bfloat16", "float32")
    trains = True
    repeats = 0.4
    Settings = CryodrgnSettings
    presets: ClassVar[Mapping[str, Preset]] = {
        "paper": Preset("CryoBench, arXiv:2408.05526: K = 8, 20 epochs, 1024 x 3 networks, batches of 8."),
        "laptop": Preset(
            "Networks of 256 x 3, 15 epochs, a box of at most 64 px: trains in minutes on two cores.",
            {"encoder_width": 256, "decoder_width": 256, "epochs": 15, "box": 64},
        ),
    }
    small: ClassVar[Mapping[str, Any]] = {
        "z_dim": 2,
        "epochs": 12,
        "encoder_width": 32,
        "encoder_depth": 1,
        "decoder_width": 32,
        "decoder_depth": 1,
        "batch_size": 24,
        "learning_rate": 3e-3,
        "beta": 0.1,
    }

    def estimate(self, particles: Particles, queries: Int[np.ndarray, "q"], context: RunContext) -> Reconstruction:
        """Posterior means (n, k) of the latents; volumes of the query particles decoded by the network.

        ``model`` holds the weights of decoder and encoder, and the log-variances (n, k) of the posteriors. Rotations
        (n, 3, 3) and shifts (n, 2) exist where poses were refined.

        Raises
        ------
        ValueError
            If there are fewer particles than images in a batch, or than latent dimensions.
        MemoryShortage
            If training does not fit in the budget.
        Diverged
            If the loss is not finite.
        """
        settings = self.settings
        model = make_model(settings, particles.box_size, context.seed)
        images = open_images(
            particles,
            context,
            model.decoder,
            settings.batch_size,
            scaled_by="sample",
            n_others=sum(each.numel() for each in model.encoder.parameters())
            + (PoseTable.WIDTH * len(particles) if settings.refine_poses else 0),
        )
        kept = context.open_checkpoint(particles, settings.model_dump(mode="json"))
        make = partial(self._make_training, model, context.seed)
        with open_training(make, images, context.compute) as training:
            _, convergence = iterate(training, kept, context.progress)
        latents, log_variances = training.embed_all()
        return Reconstruction(
            queries,
            latents=latents,
            model={**pack_network(model.decoder, images.scale, model.encoder), "log_variances": log_variances},
            decodes_by="coordinate-network",
            findings=training.findings(convergence, latents),
            **give_poses(training.poses, particles),
        )

    def _make_training(
        self, model: Autoencoder, seed: int, images: NetworkImages, compute: Compute
    ) -> AutoencoderTraining:
        batches = Minibatches(len(images), self.settings.batch_size, seed)
        settings, poses = self.settings, make_poses(images.particles, self.settings, compute.device)
        return AutoencoderTraining(
            model.to(compute.device),
            images,
            batches,
            settings,
            compute,
            seed,
            poses,
            pose_from_epoch=settings.pose_from_epoch,
        )
