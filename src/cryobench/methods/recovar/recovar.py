"""``recovar``: the steps in order, and the resulting reconstruction."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float, Int

from cryobench.data import (
    Components,
    Finding,
    HalfSetFsc,
    LatentPath,
    Particles,
    Reconstruction,
    SelectedVolumes,
)
from cryobench.latents.density import latent_density
from cryobench.latents.path import choose_ends, find_path
from cryobench.methods.method import Method, Preset
from cryobench.methods.recovar.embedding import embed
from cryobench.methods.recovar.masks import choose_masks
from cryobench.methods.recovar.plan import Plan, make_plan
from cryobench.methods.recovar.principal_model import ModelEstimate, PrincipalModel
from cryobench.methods.recovar.settings import RecovarSettings
from cryobench.reconstruction.decoders.kernel_regression import KernelRegressionDecoder
from cryobench.reconstruction.decoders.kernel_regression.precisions import unpack_symmetric
from cryobench.reconstruction.engine import Passes, RunContext
from cryobench.reconstruction.images import level_background
from cryobench.reconstruction.statistics import split_halves
from cryobench.volumes.mask import make_largest_sphere


class Recovar(Method[RecovarSettings]):
    """Covariance of the volumes, linear embedding, kernel-regression volumes at given poses (RECOVAR)."""

    name = "recovar"
    poses = "given"
    Settings = RecovarSettings
    presets: ClassVar[Mapping[str, Preset]] = {
        "paper": Preset(
            "As in CryoBench (arXiv:2408.05526): latents of 10 dimensions, a volume at that of each query particle; "
            "sizes as published with the method (PNAS 122 (2025) e2419140122) except where a setting says otherwise.",
            {"latent_dimension": 10},
        ),
        "laptop": Preset("The defaults in a box of at most 64 px, for two cores.", {"box": 64}),
    }
    small: ClassVar[Mapping[str, Any]] = {
        "n_columns": 12,
        "n_components": 6,
        "dimensions": (1, 2),
        "latent_dimension": 2,
        "n_bins": 8,
        "min_particles": 10,
        "path_volumes": 0,
        "density_dimensions": 1,
    }

    def estimate(self, particles: Particles, queries: Int[np.ndarray, "q"], context: RunContext) -> Reconstruction:
        """As ``Method.estimate``. Every finished step and volume is kept in the checkpoint.

        ``model`` holds the arrays of the decoder, and mean, components, variances, noise, half-sets, the columns,
        and every embedding (``latents_10``, ``precisions_10`` with the upper triangle of each (d, d) matrix,
        ``contrasts_10``; ``_noreg`` without the prior).

        Raises
        ------
        ValueError
            If latent dimensions exceed particles, components or columns, all particles are equal, or a half-set is
            too small for ``min_particles``.
        MemoryShortage
            If the requested sizes do not fit in the budget.
        FormatError
            If the checkpoint holds the steps of another call.
        """
        settings, n, size = self.settings, len(particles), particles.box_size
        halves = split_halves(n, context.seed)
        particles, of_background = level_background(particles)
        # A mask made from the mean is not known yet: assume the sphere.
        mask, _, notes = choose_masks(particles, settings, make_largest_sphere(size))
        voxels = int((mask > 0).sum())
        plan = make_plan(settings, context.compute, n, size, voxels, is_kept=context.checkpoint is not None)
        contrasts: np.ndarray | None = None
        model, embeddings = self._fit(particles, halves, plan, contrasts, context, "first")
        if settings.fit_contrast:
            contrasts = embeddings[f"contrasts_{self._chosen}"]
            model, embeddings = self._fit(particles, halves, plan, contrasts, context, "corrected")
            contrasts = contrasts * embeddings[f"contrasts_{self._chosen}"]
        found = Reconstruction(
            queries,
            latents=embeddings[f"latents_{self._chosen}"],
            model=self._model_arrays(model, halves, plan, embeddings, contrasts),
            decodes_by=KernelRegressionDecoder.name,
            notes=(*notes, *of_background),
        )
        findings = [
            Components(found.model["mean"], found.model["components"], model.variances),
            HalfSetFsc(model.mean.fsc),
        ]
        return self._add_volumes(found, findings, particles, context)

    def _fit(
        self,
        particles: Particles,
        halves: Int[np.ndarray, "n"],
        plan: Plan,
        contrasts: Float[np.ndarray, "n"] | None,
        context: RunContext,
        name: str,
    ) -> tuple[PrincipalModel, dict[str, np.ndarray]]:
        """Model and embeddings (``embed``), with CTFs multiplied by ``contrasts``; finished steps are kept."""
        settings, progress = self.settings, context.progress
        kept = context.with_checkpoint(name).open_checkpoint(particles, settings.model_dump(mode="json"))
        passes = Passes(
            particles, context.compute, keep_bytes=plan.image_bytes, contrasts=contrasts, progress=progress
        )
        model = ModelEstimate(particles, passes, halves, plan, settings, context, kept).run()

        def find_embeddings() -> dict[str, np.ndarray]:
            numbers = (model.variances, model.noise, settings.dimensions)
            return embed(passes, *model.spectrum(), *numbers, fit_contrast=settings.fit_contrast)

        with passes.shown(progress, "embedding"):
            return model, kept.take("embedding", find_embeddings)

    def _model_arrays(
        self,
        model: PrincipalModel,
        halves: Int[np.ndarray, "n"],
        plan: Plan,
        embeddings: dict[str, np.ndarray],
        contrasts: Float[np.ndarray, "n"] | None,
    ) -> dict[str, np.ndarray]:
        arrays = {
            "mean": model.mean.volume.numpy(),
            "mean_halves": model.mean.halves.numpy(),
            "mask": model.mask.numpy(),
            "components": model.components.numpy(),
            "variances": model.variances,
            "noise": model.noise,
            "half_sets": halves,
            "column_frequencies": model.frequencies,
            "column_fsc": model.column_fsc,
            "precisions": embeddings[f"precisions_{self._chosen}"],
            **embeddings,
            **{name: np.array(size) for name, size in vars(plan.sizes).items()},
        }
        return arrays if contrasts is None else {**arrays, "contrasts": contrasts}

    def _add_volumes(
        self, found: Reconstruction, findings: list[Finding], particles: Particles, context: RunContext
    ) -> Reconstruction:
        """Reconstruction with the volumes of the query particles, latent density, and volumes along a path."""
        settings, latents = self.settings, found.latents
        assert latents is not None
        density = latent_density(
            latents,
            unpack_symmetric(found.model["precisions"]),
            dimensions=min(settings.density_dimensions, settings.latent_dimension),
        ).finding()
        path = np.empty((0, latents.shape[1]))
        if settings.path_volumes > 0:
            start, end = choose_ends(latents, density)
            path = find_path(density, latents, start, end, n_points=max(settings.path_volumes, 2))
            path = path[: settings.path_volumes]
        decoder = KernelRegressionDecoder.open(found.model, found, particles, context.with_checkpoint("volumes"))
        volumes, curves = decoder.estimate_all(np.concatenate([latents[found.queries], path]))
        n_queries = len(found.queries)
        findings = [*findings, HalfSetFsc(curves[:n_queries], "query"), density]
        if len(path) > 0:
            along = np.stack([volumes.read(index) for index in range(n_queries, len(volumes))])
            findings.append(LatentPath(path, along))
        return replace(
            found,
            volumes=SelectedVolumes(volumes, np.arange(n_queries)),
            findings=tuple(findings),
        )

    @property
    def _chosen(self) -> str:
        """Name of the chosen embedding."""
        return f"{self.settings.latent_dimension}" + ("" if self.settings.regularised else "_noreg")
