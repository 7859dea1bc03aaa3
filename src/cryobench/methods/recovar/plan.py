"""Plan of the work within the memory budget: columns at a time, and kept images. Results do not change."""

from dataclasses import dataclass

from cryobench.compute import Compute
from cryobench.compute.memory import reserve
from cryobench.imaging.layout import GridLayout
from cryobench.methods.recovar.covariance_prior import solution_bytes
from cryobench.methods.recovar.mean import PADDING
from cryobench.methods.recovar.settings import RecovarSettings
from cryobench.methods.recovar.subspace import MOST_DIRECT, OVERSAMPLING
from cryobench.reconstruction.decoders.kernel_regression import KernelSizes, plan_regression
from cryobench.reconstruction.images import block_size, bytes_to_keep
from cryobench.reconstruction.statistics import disc_of, find_touched, patch_bytes

COMPONENTS = 100
_FIXED_BYTES = 1e8
_NOISE_VOXELS = 2e4
"""Entries of the covariance of the noise near a column, in units of those of its sums."""
_BATCH_BYTES_PER_PIXEL = 40
"""Memory for a batch of images, their masks and their slices."""
_MODEL_VOLUMES = 4
"""Mean, its halves and the mask, which are held with the components while volumes are estimated."""
_TABLE_BYTES = 20
"""Per entry of the stored grid, of tables by which slices find their voxels."""


@dataclass(frozen=True)
class Plan:
    """Numbers that follow from settings and memory budget."""

    n_components: int
    column_batch: int
    """Columns whose sums are in memory at once: one pass over the particles each time."""
    image_bytes: float
    """Bytes for keeping spectra; 0 if they are read again in each pass."""
    sizes: KernelSizes
    """Memory of the kernel regression of a volume."""


def make_plan(
    settings: RecovarSettings, compute: Compute, n: int, box_size: int, mask_voxels: int, *, is_kept: bool
) -> Plan:
    """Plan for n particles in a box with that many voxels in the mask.

    ``is_kept``: finished columns wait in a checkpoint, not in memory.

    Raises
    ------
    ValueError
        If latent dimensions exceed components or particles, or half-sets are too small for ``min_particles``.
    MemoryShortage
        If the requested sizes do not fit in the budget.
    """
    largest, workers = max(settings.dimensions), compute.n_workers
    n_components = settings.n_components or min(COMPONENTS, 2 * settings.n_columns)
    if settings.latent_dimension not in settings.dimensions:
        raise ValueError(
            f"latent_dimension {settings.latent_dimension} is not among the dimensions "
            f"{', '.join(map(str, settings.dimensions))}: add it to them or choose one of these."
        )
    if largest >= n:
        raise ValueError(f"the largest of dimensions is {largest} but there are only {n} particles: lower it.")
    if n_components < largest:
        raise ValueError(
            f"the largest of dimensions is {largest} but n_components is {n_components}: raise n_components, or give "
            "smaller dimensions."
        )
    sizes = KernelSizes.choose(
        n, n_bins=settings.n_bins, n_bandwidths=settings.n_bandwidths, min_particles=settings.min_particles
    )
    model = 4.0 * (largest + _MODEL_VOLUMES) * box_size**3
    plan_regression(compute, n, box_size, sizes, held=model)
    grid, padded = (GridLayout(box_size, padding).n_entries for padding in (1, PADDING))
    touched = len(find_touched(GridLayout(box_size), (box_size - 1) // 2))
    batch = block_size(box_size) * _BATCH_BYTES_PER_PIXEL * box_size**2
    # The mean, its halves and two masks; the spectrum of the mean.
    fixed = _FIXED_BYTES + batch + 20.0 * box_size**3 + 8 * padded
    solved = 2 * settings.n_columns * mask_voxels * 4
    # Sums of both half-sets, within a sphere on the CPU, and the covariance of the noise near the column.
    channels = 2 * 5 * 4
    column = channels * (touched + _NOISE_VOXELS if compute.device == "cpu" else 2 * grid)
    around = 2 * (patch_bytes(touched) + _TABLE_BYTES * grid) + solution_bytes(grid) + (0 if is_kept else solved)

    def needed(components: int) -> float:
        """Bytes of the largest step, over all workers."""
        pairs = components * (components + 1) / 2
        subspace = solved + 3 * 4 * (components + OVERSAMPLING) * mask_voxels
        covariance = components * (4 * mask_voxels + 8 * grid) + pairs**2 * (12 if components <= MOST_DIRECT else 8)
        return workers * (fixed + max(column + around, subspace, covariance, 70 * padded))

    left = reserve(
        compute.memory,
        needed,
        n_components,
        items=f"components and {settings.n_columns} columns of {box_size} px",
        setting="n_components",
        advice=f"Alternatively lower n_columns, or dimensions (now up to {largest}).",
    )
    images = bytes_to_keep(n, disc_of(box_size), left, n_shards=workers)
    fitting = int(((compute.memory - images) / workers - fixed - around) // column)
    passes = -(-settings.n_columns // fitting)
    return Plan(n_components, -(-settings.n_columns // passes), images, sizes)
