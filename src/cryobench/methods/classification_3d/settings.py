"""Settings of ``3d-class``, and the resulting schedule: radius and number of particles of each iteration."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import Field

from cryobench.methods.method import MethodSettings

_SMALLEST_RADIUS = 4
_HOLD, _GROWN = 0.2, 0.6
"""Fractions of the iterations at the first radius, and before the last, where every iteration is a full pass."""


class Classification3DSettings(MethodSettings):
    """Settings of ``3d-class``."""

    n_classes: int = Field(10, ge=1, description="number of classes (CryoBench used 10 to 100 by data set)")
    n_iterations: int = Field(
        25, ge=1, description="most iterations if each is over all particles (RELION's interface: 25)"
    )
    batch_per_class: int = Field(
        1000,
        ge=0,
        description="particles per class in a mini-batch (cryoSPARC: 1000); if that covers all, or 0, every "
        "iteration is over all",
    )
    online_epochs: int = Field(5, ge=1, description="epochs of mini-batches, if there are any (cryoSPARC: 5)")
    full_passes: int = Field(2, ge=1, description="iterations over all particles after them (cryoSPARC: 2)")
    learning_rate: float = Field(
        0.4, gt=0, le=1, description="weight of a mini-batch against the previous sums (cryoSPARC: 0.4)"
    )
    initialisation: Literal["pca", "subsets", "random"] = Field(
        "pca",
        description="start from k-means on principal coordinates of the particles (pca, ours), on those of volumes "
        "of small random subsets (subsets, cryoSPARC's PCA), or from random subsets (random, its simple)",
    )
    n_components: int = Field(12, ge=1, le=64, description="principal volumes of the first two starts (our choice)")
    hard_classification: bool = Field(
        False, description="assign each particle to its most probable class only (optional in cryoSPARC as well)"
    )
    fit_scale: bool = Field(
        False, description="fit a scale to each particle, between 0.5 and 2, mean 1 (optional in cryoSPARC as well)"
    )
    tau2_fudge: float = Field(
        4.0, gt=0, description="T, weight of the data against the prior on the volumes (RELION's Class3D: 4)"
    )
    initial_resolution: float = Field(
        24.0, gt=0, description="Å, resolution of the start and of the first likelihoods (our choice)"
    )
    likelihood_resolution: float | None = Field(
        None, gt=0, description="Å, highest resolution compared at the end; None for the Nyquist limit of the images"
    )
    posterior_threshold: float = Field(
        1e-3, ge=0, lt=0.5, description="class probabilities below it are ignored in volumes (RELION keeps 99.9 %)"
    )
    smallest_class: float = Field(
        0.05, ge=0, lt=1, description="a class below this fraction of n / n_classes is reseeded (our choice)"
    )
    convergence: float = Field(
        0.005,
        ge=0,
        lt=1,
        description="stop when fewer particles than this fraction change class (cryoSPARC: 0.02), or the objective "
        "has converged; 0: never",
    )
    mask_diameter: float | None = Field(
        None, gt=0, description="Å, diameter of the spherical mask of every volume; None for the largest in the box"
    )
    solvent_mask: bool = Field(False, description="also multiply by the data set's mask (optional in RELION as well)")


@dataclass(frozen=True)
class Look:
    """Extent of one iteration."""

    radius: int
    """Radius of the likelihood, in index units."""
    size: int
    """Number of particles."""


def plan_iterations(settings: Classification3DSettings, n: int, box_size: int, pixel_size: float) -> list[Look]:
    """Extent of every iteration: the radius is constant, grows evenly, and is constant at the end.

    With mini-batches it is constant in the first epoch of five, and grows through all others: growing it in half of
    them gave classes that agree less with the true states (20 classes of 12,000 particles).

    ValueError if the last radius is beyond that of the images.
    """
    first, last = _find_radii(settings, box_size, pixel_size)
    batch = settings.batch_per_class * settings.n_classes
    if not 0 < batch < n:
        count = settings.n_iterations
        sizes, hold, grown = [n] * count, _HOLD * (count - 1), _GROWN * (count - 1)
    else:
        online = -(-settings.online_epochs * n // batch)
        sizes = [batch] * online + [n] * settings.full_passes
        hold, grown = _HOLD * online, online
    shares = np.clip((np.arange(len(sizes)) - hold) / max(grown - hold, 1e-9), 0, 1)
    radii = np.floor(first + shares * (last - first) + 1e-9).astype(int)
    radii[-1] = last
    return [Look(int(radius), size) for radius, size in zip(radii, sizes, strict=True)]


def _find_radii(settings: Classification3DSettings, box_size: int, pixel_size: float) -> tuple[int, int]:
    """First and last radius."""
    length, largest = box_size * pixel_size, (box_size - 1) // 2
    last = largest
    if settings.likelihood_resolution is not None:
        last = int(np.floor(length / settings.likelihood_resolution + 1e-6))
        if not 1 <= last <= largest:
            raise ValueError(
                f"likelihood_resolution of {settings.likelihood_resolution} Å is outside the range of a box of "
                f"{box_size} pixels of {pixel_size:g} Å, {length / largest:.2f} to {length:.1f} Å."
            )
    first = int(np.clip(np.floor(length / settings.initial_resolution), min(_SMALLEST_RADIUS, last), last))
    return first, last
