"""``cryodrgn2``: the method."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Int

from cryobench.compute import Compute
from cryobench.data import Particles, Reconstruction
from cryobench.methods.cryodrgn.search import AbInitioTraining
from cryobench.methods.cryodrgn.settings import Cryodrgn2Settings
from cryobench.methods.cryodrgn.training import make_model
from cryobench.methods.method import Method, Preset
from cryobench.reconstruction.decoders.coordinate_network import pack_network
from cryobench.reconstruction.engine import RunContext
from cryobench.reconstruction.networks import NetworkImages, open_images
from cryobench.reconstruction.poses import PoseTable, search_bytes, train_starts


class Cryodrgn2(Method[Cryodrgn2Settings]):
    """Variational autoencoder of images with pose search during training, ab initio (cryoDRGN2)."""

    name = "cryodrgn2"
    poses = "estimated"
    uses_mask = False  # whole images are compared
    precisions = ("bfloat16", "float32")
    trains = True
    permutes = False
    Settings = Cryodrgn2Settings
    presets: ClassVar[Mapping[str, Preset]] = {
        "paper": Preset("CryoBench, arXiv:2408.05526: K = 8, 30 epochs, 256 x 3 networks, batches of 8."),
        "laptop": Preset(
            "Search by anchors in every second of 15 epochs; smaller networks with larger learning rates, since few "
            "images give few steps; a box of at most 64 px.",
            {
                "search": "anchors",
                "search_every": 2,
                "epochs": 15,
                "box": 64,
                "encoder_width": 128,
                "decoder_width": 128,
                "learning_rate": 1e-3,
                "pretraining_images": 2_000,
                "first_radius": 8,
            },
        ),
    }
    small: ClassVar[Mapping[str, Any]] = {
        "z_dim": 2,
        "epochs": 3,
        "encoder_width": 32,
        "encoder_depth": 1,
        "decoder_width": 32,
        "decoder_depth": 1,
        "batch_size": 24,
        "learning_rate": 1e-3,
        "beta": 0.1,
        "pretraining_images": 120,
        "search_every": 2,
        "first_radius": 4,
        "last_radius": 6,
        "n_refinements": 1,
        "kept_orientations": 1,
        "healpix_nside": 1,
        "shift_range": 2.0,
        "shift_count": 4,
    }

    def estimate(self, particles: Particles, queries: Int[np.ndarray, "q"], context: RunContext) -> Reconstruction:
        """Posterior means (n, k) of the latents, poses, and volumes of the query particles decoded by the network.

        ``model`` holds the weights of decoder and encoder, and the log-variances (n, k) of the posteriors.

        Raises
        ------
        ValueError
            If there are fewer particles than images in a batch, or than latent dimensions.
        MemoryShortage
            If training does not fit in the budget.
        Diverged
            If the loss is not finite.
        """
        settings, particles = self.settings, particles.without_poses()
        model = make_model(settings, particles.box_size, context.seed)
        images = open_images(
            particles,
            context,
            model.decoder,
            settings.batch_size,
            scaled_by="sample",
            n_others=sum(each.numel() for each in model.encoder.parameters()) + PoseTable.WIDTH * len(particles),
            beside=search_bytes(settings, particles.box_size),
        )
        kept = context.open_checkpoint(particles, settings.model_dump(mode="json"))
        best = train_starts(self._make_training, images, kept, context, settings.n_starts)
        latents, log_variances = best.training.embed_all()
        weights = pack_network(best.training.model.decoder, images.scale, best.training.model.encoder)
        return Reconstruction(
            queries,
            latents=latents,
            model={**weights, "log_variances": log_variances},
            decodes_by="coordinate-network",
            **best.describe(best.training.searched, particles, latents),
        )

    def _make_training(self, seed: int, images: NetworkImages, compute: Compute) -> AbInitioTraining:
        model = make_model(self.settings, images.particles.box_size, seed).to(compute.device)
        return AbInitioTraining(model, images, self.settings, compute, seed)
