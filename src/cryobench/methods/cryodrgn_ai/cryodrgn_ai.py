"""``cryodrgn-ai-fixed``: the method."""

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Int

from cryobench.compute import Compute
from cryobench.data import Particles, Reconstruction
from cryobench.methods.cryodrgn_ai.settings import CryodrgnAiSettings
from cryobench.methods.cryodrgn_ai.training import HypervolumeTraining
from cryobench.methods.method import Method, Preset
from cryobench.reconstruction.decoders.coordinate_network import pack_network
from cryobench.reconstruction.engine import RunContext, iterate
from cryobench.reconstruction.networks import (
    CoordinateNetwork,
    NetworkImages,
    NetworkShape,
    open_images,
    open_training,
    seeded_weights,
)


def make_network(settings: CryodrgnAiSettings, box_size: int, seed: int) -> CoordinateNetwork:
    """Network for images of a box, with weights drawn from a seed."""
    shape = NetworkShape(
        box_size,
        settings.z_dim,
        settings.width,
        settings.depth,
        "hartley",
        settings.n_frequencies,
        settings.encoding_deviation,
    )
    with seeded_weights(seed):
        return CoordinateNetwork(shape, seed)


class CryodrgnAiFixed(Method[CryodrgnAiSettings]):
    """Network over frequencies with a table of latents, at given poses (cryoDRGN-AI, fixed poses)."""

    name = "cryodrgn-ai-fixed"
    poses = "given"
    uses_mask = False  # whole images are compared
    precisions = ("bfloat16", "float32")
    trains = True
    repeats = 0.7
    Settings = CryodrgnAiSettings
    presets: ClassVar[Mapping[str, Preset]] = {
        "paper": Preset("CryoBench, arXiv:2408.05526, with the program's defaults: K = 4, 100 epochs, 256 x 3."),
        "laptop": Preset("20 epochs in a box of at most 64 px.", {"epochs": 20, "box": 64}),
    }
    small: ClassVar[Mapping[str, Any]] = {
        "z_dim": 2,
        "epochs": 10,
        "width": 32,
        "depth": 1,
        "n_frequencies": 8,
        "batch_size": 24,
        "learning_rate": 3e-3,
        "latent_learning_rate": 3e-2,
    }

    def estimate(self, particles: Particles, queries: Int[np.ndarray, "q"], context: RunContext) -> Reconstruction:
        """Latents (n, k) of the table, and volumes of the query particles decoded by the network.

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
        network = make_network(settings, particles.box_size, context.seed)
        images = open_images(
            particles,
            context,
            network,
            settings.batch_size,
            scaled_by="all",
            n_others=len(particles) * settings.z_dim,
        )
        kept = context.open_checkpoint(particles, settings.model_dump(mode="json"))
        make = partial(self._make_training, network, context.seed)
        with open_training(make, images, context.compute) as training:
            _, convergence = iterate(training, kept, context.progress)
        latents = training.table.flush().cpu().numpy()
        return Reconstruction(
            queries,
            latents=latents,
            model=pack_network(network, images.scale),
            decodes_by="coordinate-network",
            findings=training.findings(convergence, latents),
        )

    def _make_training(
        self, network: CoordinateNetwork, seed: int, images: NetworkImages, compute: Compute
    ) -> HypervolumeTraining:
        return HypervolumeTraining(network.to(compute.device), images, self.settings, compute, seed)
