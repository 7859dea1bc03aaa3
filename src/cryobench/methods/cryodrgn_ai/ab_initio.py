"""``cryodrgn-ai``: the method."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Int

from cryobench.compute import Compute
from cryobench.data import Particles, Reconstruction
from cryobench.methods.cryodrgn_ai.cryodrgn_ai import make_network
from cryobench.methods.cryodrgn_ai.search import AbInitioTraining
from cryobench.methods.cryodrgn_ai.settings import CryodrgnAiAbInitioSettings
from cryobench.methods.method import Method, Preset
from cryobench.reconstruction.decoders.coordinate_network import pack_network
from cryobench.reconstruction.engine import RunContext
from cryobench.reconstruction.networks import NetworkImages, open_images
from cryobench.reconstruction.poses import PoseTable, search_bytes, train_starts

_BATCHES = ("batch_size", "search_batch_size", "pretraining_batch_size")
"""Settings of the images in a batch of each phase."""


class CryodrgnAi(Method[CryodrgnAiAbInitioSettings]):
    """Network over frequencies with tables of latents and poses: by search, then gradients (cryoDRGN-AI)."""

    name = "cryodrgn-ai"
    poses = "estimated"
    uses_mask = False  # whole images are compared
    precisions = ("bfloat16", "float32")
    trains = True
    permutes = False
    Settings = CryodrgnAiAbInitioSettings
    presets: ClassVar[Mapping[str, Preset]] = {
        "paper": Preset("CryoBench, arXiv:2408.05526, with the program's defaults: K = 4, 100 epochs, 256 x 3."),
        "laptop": Preset(
            "Search by anchors in 3 epochs, as cryoDRGN 4's abinit, 12 epochs after it; a smaller network with a "
            "larger learning rate, since few images give few steps; a box of at most 64 px.",
            {
                "search": "anchors",
                "search_epochs": 3,
                "epochs": 12,
                "box": 64,
                "width": 128,
                "learning_rate": 1e-3,
                "pretraining_images": 2_000,
                "first_radius": 8,
            },
        ),
    }
    small: ClassVar[Mapping[str, Any]] = {
        "z_dim": 2,
        "epochs": 2,
        "width": 32,
        "depth": 1,
        "n_frequencies": 8,
        "batch_size": 36,
        "learning_rate": 1e-3,
        "latent_learning_rate": 1e-2,
        "pretraining_images": 120,
        "pretraining_batch_size": 24,
        "search_epochs": 1,
        "search_batch_size": 24,
        "first_radius": 4,
        "last_radius": 6,
        "n_refinements": 1,
        "kept_orientations": 1,
        "healpix_nside": 1,
        "shift_range": 2.0,
        "shift_count": 4,
    }

    def estimate(self, particles: Particles, queries: Int[np.ndarray, "q"], context: RunContext) -> Reconstruction:
        """Latents (n, k) and poses of the tables, and volumes of the query particles decoded by the network.

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
        sizes = {name: getattr(settings, name) for name in _BATCHES}
        largest = max(sizes, key=lambda name: sizes[name])
        images = open_images(
            particles,
            context,
            make_network(settings, particles.box_size, context.seed),
            sizes[largest],
            scaled_by="all",
            setting=largest,
            n_others=len(particles) * (settings.z_dim + PoseTable.WIDTH),
            beside=search_bytes(settings, particles.box_size),
        )
        kept = context.open_checkpoint(particles, settings.model_dump(mode="json"))
        best = train_starts(self._make_training, images, kept, context, settings.n_starts)
        latents = best.training.table.flush().cpu().numpy()
        return Reconstruction(
            queries,
            latents=latents,
            model=pack_network(best.training.network, images.scale),
            decodes_by="coordinate-network",
            **best.describe(best.training.searched, particles, latents),
        )

    def _make_training(self, seed: int, images: NetworkImages, compute: Compute) -> AbInitioTraining:
        network = make_network(self.settings, images.particles.box_size, seed).to(compute.device)
        return AbInitioTraining(network, images, self.settings, compute, seed)
