"""``recovar``: the steps in their order, and what is made of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cryobench._progress import Progress, Silent
from cryobench.data import IndexedVolumes, Particles, Reconstruction
from cryobench.latents.density import latent_density
from cryobench.latents.path import choose_ends, find_path
from cryobench.methods._shared.checkpoint import Checkpoint
from cryobench.methods._shared.half_sets import find_resolution, split_halves
from cryobench.methods._shared.passes import Passes
from cryobench.methods.method import Method, Workers, require_poses
from cryobench.methods.recovar.embedding import Embedding, embed, pack_symmetric, unpack_symmetric
from cryobench.methods.recovar.linear_model import LinearModel, estimate_model
from cryobench.methods.recovar.masks import choose_masks, make_sphere
from cryobench.methods.recovar.plan import Plan, make_plan
from cryobench.methods.recovar.settings import RecovarSettings
from cryobench.reconstruction.decoders.kernel_regression.regression import kernel_volumes

OBJECTIVE = "mean over particles of log p(y | mean and components) - log p(y | mean), latent integrated over"


class Recovar(Method):
    """Covariance of the volumes, linear embedding, kernel-regression volumes at given poses (RECOVAR)."""

    name = "recovar"
    poses = "given"
    spreads = True
    Settings = RecovarSettings

    def reconstruct(
        self,
        particles: Particles,
        *,
        queries: np.ndarray,
        seed: int = 0,
        device: str = "cpu",
        progress: Progress | None = None,
        checkpoint: Path | None = None,
        workers: Workers | None = None,
    ) -> Reconstruction:
        """Latents (n, d) of the chosen dimension, and the kernel-regression volume at each query particle's.

        ``checkpoint`` keeps every finished step and every finished volume. ``model`` holds the mean, components,
        variances, noise and half-sets; every embedding (``latents_10``, ``precisions_10`` with the upper triangle
        of each (d, d) matrix, ``contrasts_10``; ``_noreg`` without the prior), the latent density over its first
        axes and a path through it with volumes.

        Raises
        ------
        ValueError
            If poses are withheld, latent dimensions exceed particles or components, particles are all alike, a
            half-set is too small for ``min_particles``, or the sizes asked for do not fit ``memory_gb``.
        FormatError
            If ``checkpoint`` holds the steps of another call.
        """
        settings = _own_settings(self)
        work = _Work(particles, settings, seed, device, progress or Silent(), checkpoint, workers)
        contrasts = None
        model, embeddings = work.fit(contrasts)
        if settings.fit_contrast:
            contrasts = embeddings[work.chosen].contrasts
            model, embeddings = work.fit(contrasts)
        own = embeddings[work.chosen]
        density = latent_density(own.latents, own.precisions, dimensions=work.density_dimensions)
        start, end = choose_ends(own.latents, density)
        path = find_path(density, own.latents, start, end, n_points=max(settings.path_volumes, 2))
        targets = np.concatenate([own.latents[queries], path[: settings.path_volumes]])
        found = list(work.volumes_at(targets, model, own))
        volumes = np.stack([volume for volume, _ in found]).astype(np.float32)
        n_queries = len(queries)
        arrays: dict[str, np.ndarray] = {
            **_model_arrays(model, work.halves, embeddings),
            "density": density.values,
            "density_axes": density.axes,
            "path_latents": path[: settings.path_volumes],
            "path_volumes": volumes[n_queries:],
            "query_fsc": np.stack([fsc for _, fsc in found[:n_queries]]),
        }
        if contrasts is not None:
            arrays["contrasts_applied"] = contrasts
        return Reconstruction(
            queries,
            IndexedVolumes(volumes[:n_queries], np.arange(n_queries)),
            latents=own.latents,
            model=arrays,
            record={
                "method": self.name,
                "settings": settings.model_dump(mode="json"),
                "seed": seed,
                "status": "finished",
                "objective": own.gain,
                "objective_definition": OBJECTIVE,
                "log": work.log,
                "notes": [*work.notes, *work.plan.notes],
            },
        )

    def decode(self, model: Path, latents: np.ndarray, *, particles: Particles | None = None) -> Iterator[np.ndarray]:
        """Kernel-regression volumes (z, y, x) at latents (m, d) of the run's dimension: it needs the particles."""
        settings = _own_settings(self)
        stored = {path.stem: path for path in Path(model).glob("*.npy")}
        chosen = _name_embedding(settings)
        if f"latents_{chosen}" not in stored:
            raise ValueError(f"{model} holds no embedding {chosen}: decode with the settings of the run.")
        arrays = {name: np.load(path, allow_pickle=False) for name, path in stored.items()}
        own = arrays[f"latents_{chosen}"]
        if latents.ndim != 2 or latents.shape[1] != own.shape[1]:
            raise ValueError(
                f"latents have {own.shape[1]} numbers a row in this run, got an array of shape {latents.shape}."
            )
        if particles is None:
            raise ValueError("RECOVAR's volumes are averages of the particles near a latent: give the particles.")
        embedding = Embedding(
            own, unpack_symmetric(arrays[f"precisions_{chosen}"]), arrays[f"contrasts_{chosen}"], float("nan")
        )
        plan = make_plan(settings, len(particles), particles.box_size, int((arrays["mask"] > 0).sum()))
        passes = Passes(
            particles,
            (particles.box_size - 1) // 2,
            method=self.name,
            memory_bytes=plan.image_bytes,
            contrasts=arrays.get("contrasts_applied"),
        )
        mask = torch.from_numpy(arrays["mask"])
        arguments = (passes, latents, embedding, arrays["half_sets"], arrays["noise"], mask, particles.pixel_size)
        for volume, _ in _regress(*arguments, settings, plan):
            yield volume


@dataclass
class _Work:
    """One call: what all its steps share."""

    particles: Particles
    settings: RecovarSettings
    seed: int
    device: str
    progress: Progress
    checkpoint: Path | None
    workers: Workers | None

    def __post_init__(self) -> None:
        n, size = len(self.particles), self.particles.box_size
        require_poses(self.particles, Recovar.name)
        self.halves = split_halves(n, self.seed)
        self.sphere = make_sphere(self.particles)
        # A mask drawn around the mean is not known yet: count the sphere.
        mask, _, self.notes = choose_masks(self.particles, self.settings, self.sphere)
        self.plan: Plan = make_plan(self.settings, n, size, int((mask > 0).sum()))
        self.chosen = _name_embedding(self.settings)
        self.density_dimensions = min(self.settings.density_dimensions, self.settings.latent_dimension)
        self.log: list[dict[str, Any]] = []

    def fit(self, contrasts: np.ndarray | None) -> tuple[LinearModel, dict[str, Embedding]]:
        """Linear model and embeddings, with CTFs multiplied by ``contrasts``; finished steps are taken up again."""
        particles, settings = self.particles, self.settings
        self.passes = Passes(
            particles,
            (particles.box_size - 1) // 2,
            method=Recovar.name,
            device=self.device,
            memory_bytes=self.plan.image_bytes,
            contrasts=contrasts,
            workers=self.workers,
            progress=self.progress,
        )
        name = "first" if contrasts is None else "corrected"
        kept = self._keep(name)
        model = estimate_model(
            self.passes, self.halves, self.sphere, self._masks, self.plan, settings, self.seed, kept, self.progress
        )
        mean_ft, basis_ft = model.spectrum(max(settings.dimensions))
        with self.progress.task("embedding"):
            found = embed(
                self.passes,
                mean_ft,
                basis_ft,
                model.variances,
                model.noise,
                settings.dimensions,
                fit_contrast=settings.fit_contrast,
            )
        length = particles.box_size * particles.pixel_size
        self.log.append(
            {
                "round": name,
                "mean_resolution": round(find_resolution(model.mean.fsc, length), 3),
                "columns": len(model.frequencies),
                "components": len(model.variances),
                "variances": [float(value) for value in model.variances[: max(settings.dimensions)]],
                "objective": found[self.chosen].gain,
                "objectives": {key: embedding.gain for key, embedding in found.items() if "noreg" not in key},
            }
        )
        return model, found

    def volumes_at(
        self, targets: np.ndarray, model: LinearModel, own: Embedding
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Kernel-regression volumes (z, y, x) at latents (m, d), each with the FSC (s,) of its half-sets."""
        arguments = (self.passes, targets, own, self.halves, model.noise, model.mask, self.particles.pixel_size)
        return _regress(*arguments, self.settings, self.plan, kept=self._keep("volumes"), progress=self.progress)

    def _masks(self, mean: Tensor) -> tuple[Tensor, Tensor]:
        mask, dilated, _ = choose_masks(self.particles, self.settings, mean)
        return mask, dilated

    def _keep(self, name: str) -> Checkpoint:
        call = {
            "settings": self.settings.model_dump(mode="json"),
            "seed": self.seed,
            "n": len(self.particles),
            "box_size": self.particles.box_size,
            "power": [float(f"{value:.9g}") for value in self.passes.mean_power[:3]],
        }
        return Checkpoint(None if self.checkpoint is None else self.checkpoint / name, call)


def _regress(
    passes: Passes,
    targets: np.ndarray,
    own: Embedding,
    halves: np.ndarray,
    noise: np.ndarray,
    mask: Tensor,
    pixel_size: float,
    settings: RecovarSettings,
    plan: Plan,
    *,
    kept: Checkpoint | None = None,
    progress: Progress | None = None,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Volumes and their FSC, those that are kept first."""
    done = 0
    while kept is not None and done < len(targets) and (found := kept.find(f"{done:06d}")) is not None:
        yield found[0]["volume"], found[0]["fsc"]
        done += 1
    if done == len(targets):
        return
    regressed = kernel_volumes(
        passes,
        targets[done:],
        own.latents,
        own.precisions,
        own.contrasts,
        halves,
        noise,
        n_bins=plan.n_bins,
        n_bandwidths=min(settings.n_bandwidths, plan.n_bins),
        min_particles=plan.min_particles,
        mask=mask.cpu().numpy(),
        pixel_size=pixel_size,
        memory_bytes=plan.regression_bytes,
        progress=progress,
    )
    for index, item in enumerate(regressed, start=done):
        if kept is not None:
            kept.keep(f"{index:06d}", {"volume": item.volume, "fsc": item.half_set_fsc})
        yield item.volume, item.half_set_fsc


def _own_settings(method: Method) -> RecovarSettings:
    if not isinstance(method.settings, RecovarSettings):
        raise TypeError(f"{method.name} takes RecovarSettings, got {type(method.settings).__name__}.")
    return method.settings


def _name_embedding(settings: RecovarSettings) -> str:
    return f"{settings.latent_dimension}" + ("" if settings.regularised else "_noreg")


def _model_arrays(model: LinearModel, halves: np.ndarray, embeddings: dict[str, Embedding]) -> dict[str, np.ndarray]:
    arrays = {
        "mean": model.mean.volume.cpu().numpy(),
        "mean_halves": model.mean.halves.cpu().numpy(),
        "mask": model.mask.cpu().numpy(),
        "components": model.components.cpu().numpy(),
        "variances": model.variances,
        "noise": model.noise,
        "half_sets": halves,
        "half_set_fsc": model.mean.fsc,
        "column_frequencies": model.frequencies,
        "column_fsc": model.column_fsc,
    }
    for name, embedding in embeddings.items():
        arrays[f"latents_{name}"] = embedding.latents
        arrays[f"precisions_{name}"] = pack_symmetric(embedding.precisions)
        arrays[f"contrasts_{name}"] = embedding.contrasts
    return arrays
