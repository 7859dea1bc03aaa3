"""``3d-class``: the method."""

from functools import partial
from typing import ClassVar

import numpy as np
from jaxtyping import Int

from cryobench.data import ClassVolumes, HalfSetFsc, Particles, Reconstruction
from cryobench.methods.classification_3d.iterations import Classification
from cryobench.methods.classification_3d.settings import Classification3DSettings
from cryobench.methods.method import Method, Preset
from cryobench.reconstruction.engine import RunContext, iterate
from cryobench.reconstruction.statistics import compare_halves, find_resolution, solve_volumes, split_halves


class Classification3D(Method[Classification3DSettings]):
    """K volumes at given poses by expectation-maximisation (RELION's Class3D without alignment)."""

    name = "3d-class"
    poses = "given"
    Settings = Classification3DSettings
    presets: ClassVar = {
        "paper": Preset(
            "CryoBench (arXiv:2408.05526) ran cryoSPARC's 3D classification at its defaults: mini-batches of 1,000 "
            "particles per class, five epochs, then two full passes, starting at 20 Å. 10 classes for the "
            "antibodies, as stated for IgG-1D; 20 elsewhere, as in its ab initio classification.",
            {"n_classes": 20, "initial_resolution": 20.0},
            {"igg-1d": {"n_classes": 10}, "igg-rl": {"n_classes": 10}},
        ),
        "laptop": Preset("The defaults in a box of at most 64 px.", {"box": 64}),
    }
    small: ClassVar = {"n_classes": 3, "initial_resolution": 12.0, "n_components": 4}

    @property
    def uses_mask(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether classes are multiplied by it, besides the sphere."""
        return self.settings.solvent_mask

    def estimate(self, particles: Particles, queries: Int[np.ndarray, "q"], context: RunContext) -> Reconstruction:
        """Class responsibilities (n, k), which serve as the latent, and the class volumes.

        The model holds volumes (k, z, y, x), the noise power per shell, the half-set (n,) of each particle and, if
        fitted, scales (n,).

        Raises
        ------
        ValueError, MemoryShortage
            As ``Classification``; also if there is only one particle.
        """
        half_sets = split_halves(len(particles), context.seed)
        run = Classification(particles, self.settings, context)
        kept = context.open_checkpoint(particles, {"method": self.name, **self.settings.model_dump(mode="json")})
        state, convergence = iterate(run, kept, context.progress)
        fsc, notes = compare_halves(
            run.passes,
            state.members.posteriors,
            state.model.noise,
            half_sets,
            partial(solve_volumes, tau_fudge=self.settings.tau2_fudge, mask=run.mask),
            scales=state.members.scales,
            threshold=self.settings.posterior_threshold,
        )
        volumes = state.model.volumes.cpu().numpy()
        length = particles.box_size * particles.pixel_size
        resolutions = np.array([find_resolution(curve, length) for curve in fsc])
        model = {"volumes": volumes, "noise": state.model.noise, "half_sets": half_sets}
        return Reconstruction(
            queries,
            posteriors=state.members.posteriors,
            model=model | ({"scales": state.members.scales} if self.settings.fit_scale else {}),
            decodes_by="classes",
            findings=(
                ClassVolumes(volumes, state.model.populations, resolutions),
                HalfSetFsc(fsc, "class"),
                convergence,
            ),
            notes=(*run.notes, *notes),
        )
