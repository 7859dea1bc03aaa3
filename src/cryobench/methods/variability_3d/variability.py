"""``3dva``: the method, from particles to findings."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from cryobench.data import Components, HalfSetFsc, Particles, Reconstruction
from cryobench.methods.method import Method, Preset
from cryobench.methods.variability_3d.iteration import VariabilityIteration
from cryobench.methods.variability_3d.mean import VariabilityMean, estimate_mean
from cryobench.methods.variability_3d.plan import choose_band, find_regions, reserve_components
from cryobench.methods.variability_3d.settings import Variability3DSettings
from cryobench.reconstruction.engine import Checkpoint, Passes, RunContext, iterate
from cryobench.reconstruction.engine.state import pack_state, unpack_state
from cryobench.reconstruction.statistics import split_halves


class Variability3D(Method[Variability3DSettings]):
    """Mean and K linear components at given poses by expectation-maximisation (cryoSPARC's 3D Variability)."""

    name = "3dva"
    poses = "given"
    Settings = Variability3DSettings
    presets: ClassVar[Mapping[str, Preset]] = {
        "paper": Preset("Three components, as in CryoBench (arXiv:2408.05526).", {"n_components": 3}),
        "laptop": Preset("As paper, in a box of at most 64 px.", {"n_components": 3, "box": 64}),
    }
    small: ClassVar[Mapping[str, Any]] = {"n_components": 2, "n_iterations": 5}

    def estimate(self, particles: Particles, queries: Int[np.ndarray, "q"], context: RunContext) -> Reconstruction:
        """Latents (n, k) along components of unit norm; the volume at a latent is mean + Σ z_k V_k.

        ``model`` holds mean (z, y, x), components (k, z, y, x), variances (k,), noise (radius + 1,), half_sets (n,),
        precisions (n, k, k) of the latents and scales (n,).

        Raises
        ------
        ValueError
            If there are not more particles than components, all particles are the same image, a pixel is not
            finite, or a resolution is beyond that of the images.
        MemoryShortage
            If the components do not fit in the memory budget.
        FormatError
            If the checkpoint belongs to another call, or is damaged.
        """
        settings, n = self.settings, len(particles)
        if settings.n_components >= n:
            raise ValueError(
                f"{settings.n_components} components were requested but there are only {n} particles: "
                "set n_components lower."
            )
        checkpoint = context.open_checkpoint(particles, settings.model_dump(mode="json"))
        halves = split_halves(n, context.seed)
        # Sizes and resolutions are checked before the mean is made.
        widest, _ = choose_band(particles, settings)
        sphere, region, notes = find_regions(particles, settings.mask_dilation, context.compute.device)
        mean, passes = self._find_mean(particles, halves, sphere, widest.box_size, checkpoint, context)
        band, band_notes = choose_band(particles, settings, mean.half_set_fsc)
        if passes is None or passes.disc.radius != band.radius:
            passes = None  # frees its images for those of fewer shells
            passes = self._open_passes(particles, band.radius, band.box_size, context)
        iteration = VariabilityIteration(passes, mean, band, region, settings, context.seed)
        state, convergence = iterate(iteration, checkpoint, context.progress)
        model, latents = iteration.finish(state, len(convergence.log))
        return Reconstruction(
            queries,
            latents=latents,
            model=model | {"half_sets": halves.astype(np.int8)},
            decodes_by="linear",
            findings=(
                Components(model["mean"], model["components"], model["variances"]),
                HalfSetFsc(mean.half_set_fsc),
                convergence,
            ),
            notes=notes + band_notes,
        )

    def _open_passes(self, particles: Particles, radius: int, box_size: int, context: RunContext) -> Passes:
        """Passes up to a radius, with the memory left by components in a box."""
        left = reserve_components(particles, self.settings.n_components, box_size, context.compute)
        return Passes(particles, context.compute, radius=radius, keep_bytes=left, progress=context.progress)

    def _find_mean(
        self,
        particles: Particles,
        halves: Int[np.ndarray, "n"],
        sphere: Float[Tensor, "z y x"],
        box_size: int,
        checkpoint: Checkpoint,
        context: RunContext,
    ) -> tuple[VariabilityMean, Passes | None]:
        """The mean, and the passes over all shells that were used unless it was in the checkpoint."""
        found = checkpoint.find("mean")
        if found is not None:
            return unpack_state(VariabilityMean, *found, device=context.compute.device), None
        passes = self._open_passes(particles, (particles.box_size - 1) // 2, box_size, context)
        with passes.shown(context.progress, "mean volume", passes=3):
            mean = estimate_mean(passes, halves, sphere)
        checkpoint.keep("mean", *pack_state(mean))
        return mean, passes
