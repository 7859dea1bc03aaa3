"""Settings of ``3d-class-ab-initio``, and the resulting schedule of iterations."""

from dataclasses import dataclass

import numpy as np
from pydantic import Field

from cryobench.methods.method import MethodSettings
from cryobench.reconstruction.poses import HealpixNside

_SMALLEST_RADIUS = 4


class ClassificationAbInitioSettings(MethodSettings):
    """Settings of ``3d-class-ab-initio``; "published" are those of cryoSPARC's job parameters."""

    n_classes: int = Field(20, ge=1, description="number of classes (CryoBench: 20); 1 is homogeneous ab initio")
    n_starts: int = Field(1, ge=1, description="random starts, of which the most likely is kept (our option)")
    symmetry: str = Field("C1", description="point group of every class: C1, C7, D2, T, O or I (published: C1)")
    initial_resolution: float = Field(35.0, gt=0, description="Å, resolution compared at first (published: 35)")
    final_resolution: float = Field(
        12.0, gt=0, description="Å, compared at the end, at most the Nyquist limit (published: 12)"
    )
    radius_step: float = Field(0.04, gt=0, description="growth of the radius per iteration, index units (published)")
    initial_iterations: int = Field(200, ge=1, description="iterations before the radius grows (published: 200)")
    final_iterations: int = Field(300, ge=0, description="iterations after it has grown (published: 300)")
    initial_batch: int = Field(90, ge=1, description="images in an iteration at first (published: 90)")
    final_batch: int = Field(300, ge=1, description="images in an iteration later (published: 300)")
    batch_change: int = Field(300, ge=0, description="iteration from which batches are large (published: 300)")
    initial_step: float = Field(0.4, gt=0, le=1, description="first steps of the ascent (published: 0.4)")
    final_step: float = Field(0.2, gt=0, le=1, description="step of the ascent later (not published; our choice)")
    step_change: int = Field(100, ge=0, description="iteration from which steps are small (published: 100)")
    start_radius: float = Field(7.0, gt=0, description="index units up to which random starts vary (published: 7)")
    significant_share: float = Field(
        0.011, gt=0, le=1, description="fraction of significant poses to which the initial noise is set (published)"
    )
    noise_memory: int = Field(
        5000,
        ge=1,
        description="images over which the noise estimate averages (published: 5000 at first)",
    )
    class_similarity: float = Field(
        0.1, ge=0, le=1, description="fraction of every image spread over all classes at first (published: 0.1)"
    )
    similar_until: int = Field(
        300, ge=0, description="last iteration of full class similarity (published: 300; 0 at 350)"
    )
    split_every: int = Field(
        0,
        ge=0,
        description="iterations between splits that replace a dispensable class, before the last "
        "iterations; 0 for none (our option)",
    )
    non_negative: bool = Field(True, description="raise density below that of the solvent to it (published: yes)")
    recentre: bool = Field(True, description="move the centre of mass to that of the box (published: yes)")
    shift_range: float = Field(
        30.0, ge=0, description="Å, shifts searched along x and y (those of CryoBench's data are within 30)"
    )
    healpix_nside: HealpixNside = 4
    n_refinements: int = Field(4, ge=0, description="halvings of the orientation and shift grids (cryoDRGN2's: 4)")
    kept_orientations: int = Field(8, ge=1, description="orientations refined per class (cryoDRGN2's: 8)")
    posterior_threshold: float = Field(
        1e-3, ge=0, lt=0.5, description="orientations of lower probability are ignored (published: 1e-3 of the best)"
    )
    mask_diameter: float | None = Field(
        None, gt=0, description="Å, diameter of the spherical mask of every volume; None for the largest in the box"
    )


SIMILARITY_ENDS = 50
"""Iterations in which class similarity falls to zero."""


@dataclass(frozen=True)
class Look:
    """Extent of one iteration."""

    radius: int
    """Radius up to which images are compared, in index units."""
    first: int
    """Images visited before."""
    size: int
    """Images in the batch."""
    step: float
    """Step of the ascent."""
    similarity: float
    """Fraction of each image that is spread over all classes."""
    splits: bool
    """Whether a class may be split after it."""


def plan_ascent(
    settings: ClassificationAbInitioSettings, n: int, box_size: int, pixel_size: float
) -> tuple[list[Look], tuple[str, ...]]:
    """Schedule of all iterations, and notes for the user.

    The radius is constant in the first iterations, grows by a fixed step, and is constant at the end.

    ValueError if the box cannot represent the first resolution, or the last is coarser than the first.
    """
    length, largest = box_size * pixel_size, (box_size - 1) // 2
    first, last = length / settings.initial_resolution, length / settings.final_resolution
    if settings.final_resolution > settings.initial_resolution:
        raise ValueError(
            f"final_resolution of {settings.final_resolution:g} Å is coarser than initial_resolution of "
            f"{settings.initial_resolution:g} Å: exchange them."
        )
    if first > largest:
        raise ValueError(
            f"a box of {box_size} px of {pixel_size:g} Å resolves {length / largest:.1f} Å at best, coarser than "
            f"initial_resolution of {settings.initial_resolution:g} Å: set it to at least {length / largest:.0f}."
        )
    notes = []
    if last > largest + 1.5:
        notes.append(
            f"Images are compared up to {length / largest:.1f} Å, the limit of a box of {box_size} px of "
            f"{pixel_size:g} Å, instead of {settings.final_resolution:g} Å."
        )
    last = min(last, largest)
    first = min(max(first, _SMALLEST_RADIUS), last)
    n_growing = int(np.ceil((last - first) / settings.radius_step - 1e-9))
    radii = np.concatenate(
        [
            np.full(settings.initial_iterations, first),
            first + settings.radius_step * np.arange(1, n_growing + 1),
            np.full(settings.final_iterations, last),
        ]
    )
    numbers = np.arange(len(radii))
    sizes = np.minimum(np.where(numbers < settings.batch_change, settings.initial_batch, settings.final_batch), n)
    begins = np.concatenate([[0], np.cumsum(sizes)])
    steps = np.where(numbers < settings.step_change, settings.initial_step, settings.final_step)
    falling = np.clip(1 - (numbers - settings.similar_until) / SIMILARITY_ENDS, 0, 1)
    similar = settings.class_similarity * falling
    every = settings.split_every
    growing = (numbers >= settings.initial_iterations) & (numbers < len(radii) - settings.final_iterations)
    splits = growing & (every > 0) & ((numbers + 1) % max(every, 1) == 0)
    looks = [
        Look(int(min(radius, last) + 1e-6), int(begin), int(size), float(step), float(similarity), bool(split))
        for radius, begin, size, step, similarity, split in zip(
            radii, begins[:-1], sizes, steps, similar, splits, strict=True
        )
    ]
    return looks, tuple(notes)


def plan_refinement(
    settings: ClassificationAbInitioSettings, n: int, box_size: int, pixel_size: float, n_iterations: int
) -> tuple[list[Look], tuple[str, ...]]:
    """Schedule of iterations from given volumes, and notes: all as the last ones of ``plan_ascent``, without splits.

    ValueError as ``plan_ascent``.
    """
    looks, notes = plan_ascent(settings, n, box_size, pixel_size)
    size = min(settings.final_batch, n)
    return [
        Look(looks[-1].radius, index * size, size, settings.final_step, 0.0, False) for index in range(n_iterations)
    ], notes
