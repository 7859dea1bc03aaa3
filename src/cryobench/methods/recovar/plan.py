"""How large the steps may be in the memory given: numbers of components, and columns at a time."""

from dataclasses import dataclass

import numpy as np

from cryobench.imaging.layout import GridLayout
from cryobench.methods._shared.spectra import PACKED_BYTES
from cryobench.methods.recovar.column_kernel import CHANNELS
from cryobench.methods.recovar.settings import RecovarSettings
from cryobench.reconstruction.decoders.kernel_regression.regression import count_bins

PUBLISHED_COMPONENTS = 200
COLUMNS, COMPONENTS, BINS = 300, 100, 50
LEAST_BINS = 8
NEAR = 2.0
"""Particles of each half-set in the least bandwidth over the root of their number."""
_FIXED_BYTES = 2e8  # batches of images and of their slices
_IMAGE_SHARE = 0.4


@dataclass(frozen=True)
class Plan:
    """Sizes that fit."""

    n_columns: int
    n_components: int
    column_batch: int
    """Columns whose sums are in memory at a time: one pass over the particles each."""
    n_bins: int
    """Steps of the kernel of a volume."""
    min_particles: int
    """Of each half-set within the least bandwidth."""
    regression_bytes: float
    """For the sums of the volumes done at a time."""
    image_bytes: float
    """For keeping spectra; 0 if they are read anew in each pass."""
    notes: tuple[str, ...]


def make_plan(settings: RecovarSettings, n: int, box_size: int, mask_voxels: int) -> Plan:
    """Sizes for n particles in a box with that many voxels in the mask.

    Raises
    ------
    ValueError
        If what was asked for does not fit ``memory_gb``, or latent dimensions exceed components or particles.
    """
    planes, rows, columns = GridLayout(box_size, 1, "trilinear").shape
    grid = planes * rows * columns
    budget = settings.memory_gb * 1e9 - _FIXED_BYTES
    # Spectra are kept beside everything else if they leave most of the memory; else they are read anew in each pass.
    images = n * np.pi / 2 * ((box_size - 1) // 2) ** 2 * PACKED_BYTES * 1.05
    images = images if images <= _IMAGE_SHARE * budget else 0.0
    budget -= images
    n_columns = settings.n_columns or COLUMNS
    asked = settings.n_components or (PUBLISHED_COMPONENTS if settings.published_sizes else None)
    largest = max(settings.dimensions)
    if settings.latent_dimension not in settings.dimensions:
        raise ValueError(
            f"latent_dimension {settings.latent_dimension} is not among the dimensions "
            f"{', '.join(map(str, settings.dimensions))}: add it to them or choose one of these."
        )
    if largest >= n:
        raise ValueError(f"{largest} latent dimensions were asked for but there are only {n} particles.")
    min_particles = settings.min_particles
    if min_particles is None:
        min_particles = min(max(2, round(NEAR * n**0.5)), max(2, n // 8))
    if 2 * min_particles > n:
        raise ValueError(
            f"each half-set of {n // 2} particles must hold min_particles = {min_particles} near a latent: "
            f"set min_particles to {n // 2} at most, better to a tenth of that."
        )
    reserved = 2 * n_columns * mask_voxels * 4

    def bytes_of(components: int) -> float:
        pairs = components * (components + 1) / 2
        volumes = components * (4 * box_size**3 + 8 * grid)
        return reserved + volumes + pairs**2 * (12 if components <= 100 else 8)

    wanted = asked or min(COMPONENTS, 2 * n_columns)
    fitting = next((k for k in range(wanted, 0, -1) if bytes_of(k) <= budget), 0)
    notes = []
    if fitting < wanted:
        if asked is not None or fitting < largest:
            raise ValueError(
                f"{wanted} components and {n_columns} columns of {box_size} px take "
                f"{(bytes_of(wanted) + _FIXED_BYTES) / 1e9:.1f} GB, and memory_gb is {settings.memory_gb:g}: "
                + (f"{fitting} components fit. " if fitting else "not even one fits. ")
                + f"Raise memory_gb or lower n_columns, n_components or dimensions (now up to {largest})."
            )
        notes.append(
            f"{fitting} components are used where {wanted} would be, to fit memory_gb = {settings.memory_gb:g}."
        )
    if fitting < largest:
        raise ValueError(
            f"{largest} latent dimensions were asked for but n_components is {fitting}: raise one or lower the other."
        )
    each = 2 * grid * CHANNELS * 4
    column_batch = int((budget - reserved) / 3 // each)
    if column_batch < 1:
        raise ValueError(
            f"the sums of one column of {box_size} px take {each / 1e9:.2f} GB, more than memory_gb = "
            f"{settings.memory_gb:g} leaves: {(each * 3 + reserved + _FIXED_BYTES) / 1e9:.1f} GB would do."
        )
    column_batch = min(column_batch, n_columns)
    regression_bytes = budget / 2
    n_bins = min(BINS, count_bins(box_size, regression_bytes)) if settings.n_bins is None else settings.n_bins
    if n_bins < LEAST_BINS and settings.n_bins is None:
        raise ValueError(
            f"kernel-regression volumes of {box_size} px with {LEAST_BINS} bins need "
            f"{(2 * LEAST_BINS / max(count_bins(box_size, 1e9), 1e-9) * 1e9 + _FIXED_BYTES) / 1e9:.1f} GB, "
            f"memory_gb is {settings.memory_gb:g}: raise it, or set n_bins (at least 2)."
        )
    if settings.n_bins is None and n_bins < BINS:
        notes.append(f"volumes use {n_bins} bins where {BINS} would be, to fit memory_gb = {settings.memory_gb:g}.")
    return Plan(n_columns, fitting, column_batch, n_bins, min_particles, regression_bytes, images, tuple(notes))
