"""``3d-class``: its settings, the schedule of an iteration's radius, and the loop."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field

from cryobench._progress import Progress, Silent
from cryobench.data import IndexedVolumes, Particles, Reconstruction
from cryobench.methods._shared.spectra import ParticleSpectra
from cryobench.methods.classification_3d.checkpoint import Progression, load_progression, save_progression
from cryobench.methods.classification_3d.expectation import estimate_volumes, iterate
from cryobench.methods.classification_3d.initial import assign_at_random, assign_by_variation, largest_sphere
from cryobench.methods.method import Method, MethodSettings, Workers, require_poses
from cryobench.rng import stream

_HOLD, _GROWN = 0.2, 0.6
_SMALLEST_RADIUS = 4
OBJECTIVE = "leave-one-out log-likelihood minus that of noise alone, shells up to the likelihood radius"


class Classification3DSettings(MethodSettings):
    """Settings of ``3d-class``."""

    n_classes: int = Field(10, ge=1, description="number of classes (CryoBench used 10 to 100 by data set)")
    n_iterations: int = Field(25, ge=1, description="most iterations (RELION's interface: 25)")
    initialisation: Literal["pca", "random"] = Field(
        "pca", description="start from k-means on principal coordinates, or from random subsets (as cryoSPARC's two)"
    )
    n_components: int = Field(12, ge=1, le=64, description="principal volumes of the pca start (our choice)")
    tau2_fudge: float = Field(
        4.0, gt=0, description="T, weight of the data against the prior on the volumes (RELION's Class3D: 4)"
    )
    initial_resolution: float = Field(
        24.0, gt=0, description="Å, resolution of the pca start and of the first likelihoods (our choice)"
    )
    likelihood_resolution: float | None = Field(
        None, gt=0, description="Å, highest resolution compared in the end; None for all that the images hold"
    )
    posterior_threshold: float = Field(
        1e-3, ge=0, lt=0.5, description="class probabilities below it add nothing to a volume (RELION keeps 99.9 %)"
    )
    smallest_class: float = Field(
        0.05, ge=0, lt=1, description="a class below this fraction of n / n_classes is reseeded (our choice)"
    )
    convergence: float = Field(
        0.005, ge=0, lt=1, description="stop when fewer particles than this fraction change class (cryoSPARC: 0.02)"
    )
    mask_diameter: float | None = Field(
        None, gt=0, description="Å, diameter of the sphere kept of every volume; None for the largest in the box"
    )
    solvent_mask: bool = Field(False, description="multiply by the data set's mask too (optional in RELION as well)")
    memory_gb: float = Field(
        4.0, ge=0, description="GB, keep transformed images up to this much, else transform them anew in each pass"
    )


class Classification3D(Method):
    """K volumes at given poses by expectation-maximisation (RELION's Class3D without alignment)."""

    name = "3d-class"
    poses = "given"
    Settings = Classification3DSettings

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
        """Posteriors (n, k) of the classes and, for each query particle, the volume of its most probable class.

        The posteriors stand for the latent. ``checkpoint`` gets the state and a log after every iteration.
        ``model`` holds volumes (k, z, y, x), populations (k,) and the noise power per shell.

        Raises
        ------
        ValueError
            If poses are withheld, there are fewer particles than classes, a resolution lies beyond what the
            images hold, or a mask is asked for that is not there.
        FormatError
            If ``checkpoint`` holds the state of another call.
        """
        settings = self.settings
        if not isinstance(settings, Classification3DSettings):
            raise TypeError(f"{self.name} takes Classification3DSettings, got {type(settings).__name__}.")
        result = classify(particles, settings, seed=seed, device=device, progress=progress, checkpoint=checkpoint)
        volumes = result.model.volumes.cpu().numpy()
        classes = result.posteriors.argmax(axis=1)
        return Reconstruction(
            queries,
            IndexedVolumes(volumes, classes[queries]),
            posteriors=result.posteriors,
            model={"volumes": volumes, "populations": result.model.populations, "noise": result.model.noise},
            record={
                "method": self.name,
                "settings": settings.model_dump(mode="json"),
                "seed": seed,
                "status": "finished",
                "objective": result.log[-1]["objective"],
                "objective_definition": OBJECTIVE,
                "iterations": result.done,
                "converged": result.converged,
                "log": result.log,
            },
        )

    def decode(self, model: Path, latents: np.ndarray, *, particles: Particles | None = None) -> Iterator[np.ndarray]:
        """Volume (z, y, x) of the most probable class for each row of class probabilities (m, k)."""
        volumes = np.load(Path(model) / "volumes.npy", mmap_mode="r", allow_pickle=False)
        if latents.ndim != 2 or latents.shape[1] != len(volumes):
            raise ValueError(
                f"this run has {len(volumes)} classes: give rows of {len(volumes)} class probabilities, "
                f"got an array of shape {latents.shape}."
            )
        for row in latents:
            yield np.array(volumes[int(np.argmax(row))], dtype=np.float32)


def classify(
    particles: Particles,
    settings: Classification3DSettings,
    *,
    seed: int = 0,
    device: str = "cpu",
    progress: Progress | None = None,
    checkpoint: Path | None = None,
    initial_labels: np.ndarray | None = None,
) -> Progression:
    """Run the classification from its own initialisation or, to study the optimisation, from given labels (n,).

    Errors as ``Classification3D.reconstruct``.
    """
    n, n_classes = len(particles), settings.n_classes
    require_poses(particles, "3d-class")
    if n_classes > n:
        raise ValueError(f"{n_classes} classes were asked for but there are only {n} particles: set n_classes lower.")
    mask = _choose_mask(particles, settings, device)
    radii = plan_radii(particles, settings)
    largest = (particles.box_size - 1) // 2
    progress = progress or Silent()
    spectra = ParticleSpectra(
        particles, largest, method="3d-class", device=device, memory_bytes=settings.memory_gb * 1e9, progress=progress
    )
    call = {
        "settings": settings.model_dump(mode="json"),
        "seed": seed,
        "n": n,
        "box_size": particles.box_size,
        "power": [float(f"{value:.9g}") for value in spectra.mean_power[:3]],
    }
    common: dict[str, Any] = {
        "tau_fudge": settings.tau2_fudge,
        "threshold": settings.posterior_threshold,
        "mask": mask,
        "device": device,
    }
    state = None if checkpoint is None else load_progression(checkpoint, call, device)
    if state is None:
        if initial_labels is not None:
            labels = _check_labels(initial_labels, n, n_classes)
        elif settings.initialisation == "pca" and n_classes > 1:
            d = min(settings.n_components, n - 1)
            labels = assign_by_variation(spectra, n_classes, d, radii[0], seed, device=device, progress=progress)
        else:
            labels = assign_at_random(n, n_classes, seed)
        posteriors = np.eye(n_classes, dtype=np.float32)[labels]
        noise = spectra.mean_power.copy()
        state = Progression(estimate_volumes(spectra, posteriors, noise, radius=radii[0], **common), posteriors)

    with progress.task("classes", total=len(radii)) as task:
        task.advance(state.done)
        while state.done < len(radii) and not state.converged:
            state = _step(spectra, state, radii, seed, settings, common)
            if checkpoint is not None:
                save_progression(state, checkpoint, call)
            task.advance(1, **{key: state.log[-1][key] for key in ("log-likelihood", "changed")})
    return state


def _step(
    spectra: ParticleSpectra,
    state: Progression,
    radii: list[int],
    seed: int,
    settings: Classification3DSettings,
    common: dict[str, Any],
) -> Progression:
    """One iteration, with reseeding of empty classes while the radius still grows."""
    iteration = state.done
    radius = radii[iteration]
    is_final = radius == radii[-1]
    # Volumes are always estimated a little further than they are compared, and in the end as far as possible.
    reach = spectra.disc.radius if is_final or iteration + 1 == len(radii) else radii[iteration + 1] + 1
    reach = min(reach, spectra.disc.radius)
    outcome = iterate(spectra, state.model, state.posteriors, radius=radius, next_radius=reach, **common)
    changed = float((outcome.posteriors.argmax(axis=1) != state.posteriors.argmax(axis=1)).mean())
    model, posteriors = outcome.model, outcome.posteriors
    empty = np.flatnonzero(model.populations < settings.smallest_class / settings.n_classes)
    if len(empty) and not is_final:
        posteriors = _split_largest(posteriors, empty, stream(seed, "reseed", iteration))
        model = estimate_volumes(spectra, posteriors, model.noise, radius=reach, **common)
    entry = {
        "iteration": iteration + 1,
        "radius": radius,
        "objective": outcome.objective,
        "log-likelihood": round(outcome.objective, 1),
        "changed": round(changed, 5),
        "reseeded": len(empty) if not is_final else 0,
        "populations": [round(float(value), 5) for value in model.populations],
    }
    converged = is_final and changed < settings.convergence
    return Progression(model, posteriors, iteration + 1, converged, [*state.log, entry])


def _split_largest(posteriors: np.ndarray, empty: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Give each empty class a random half of what the class that is then the largest has."""
    posteriors = posteriors.copy()
    for target in empty:
        source = int(posteriors.sum(axis=0).argmax())
        moved = posteriors[:, source] * (generator.random(len(posteriors)) < 0.5)
        posteriors[:, source] -= moved
        posteriors[:, target] += moved
    return posteriors


def plan_radii(particles: Particles, settings: Classification3DSettings) -> list[int]:
    """Likelihood radius of every iteration, in index units: held, then grown evenly, then held at the end."""
    length = particles.box_size * particles.pixel_size
    largest = (particles.box_size - 1) // 2
    finest = length / largest
    last = largest
    if settings.likelihood_resolution is not None:
        last = int(np.floor(length / settings.likelihood_resolution + 1e-6))
        if not 1 <= last <= largest:
            raise ValueError(
                f"likelihood_resolution of {settings.likelihood_resolution} Å is outside what a box of "
                f"{particles.box_size} pixels of {particles.pixel_size:g} Å holds, {finest:.2f} to {length:.1f} Å."
            )
    first = int(np.clip(np.floor(length / settings.initial_resolution), min(_SMALLEST_RADIUS, last), last))
    n = settings.n_iterations
    steps = np.arange(n) / max(n - 1, 1)
    grown = np.clip((steps - _HOLD) / (_GROWN - _HOLD), 0, 1)
    radii = np.floor(first + grown * (last - first) + 1e-9).astype(int)
    radii[-1] = last
    return [int(radius) for radius in radii]


def _choose_mask(particles: Particles, settings: Classification3DSettings, device: str) -> torch.Tensor:
    length = particles.box_size * particles.pixel_size
    diameter = length if settings.mask_diameter is None else settings.mask_diameter
    if diameter > length * 1.001:
        raise ValueError(f"mask_diameter of {diameter:g} Å is larger than the box of {length:g} Å.")
    mask = largest_sphere(particles.box_size, min(diameter / length, 1.0))
    if settings.solvent_mask:
        if particles.mask is None:
            raise ValueError("solvent_mask was asked for but the data set has no mask: set it to false.")
        mask = mask * torch.tensor(particles.mask)
    return mask.to(device)


def _check_labels(labels: np.ndarray, n: int, n_classes: int) -> np.ndarray:
    labels = np.asarray(labels)
    if labels.shape != (n,) or labels.min() < 0 or labels.max() >= n_classes:
        raise ValueError(f"initial labels must be {n} integers from 0 to {n_classes - 1}, got shape {labels.shape}.")
    return labels.astype(np.int64)
