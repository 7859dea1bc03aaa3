"""Kernel regression as a decoder: the volume at a latent from the particles near it.

Model: ``half_sets`` (n,), ``noise`` (radius + 1,) and ``mask`` (z, y, x); and, each only where known,
``precisions`` (n, d (d + 1) / 2) of the latents, the upper triangles of their inverse covariances; ``contrasts``
(n,), factors of the CTFs; and the kernel's sizes ``n_bins``, ``n_bandwidths`` and ``min_particles``, single numbers.
The latents are those of the reconstruction. Without precisions the metric is the inverse covariance of the latents.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from jaxtyping import Float

from cryobench._progress import Progress
from cryobench.compute import Compute
from cryobench.compute.memory import reserve
from cryobench.data import IndexedVolumes, Particles, Reconstruction, VolumeSource
from cryobench.reconstruction.decoders.decoder import VolumeDecoder
from cryobench.reconstruction.decoders.kernel_regression.bandwidths import KernelSizes
from cryobench.reconstruction.decoders.kernel_regression.precisions import common_precision, unpack_symmetric
from cryobench.reconstruction.decoders.kernel_regression.regression import (
    KernelRegression,
    KernelVolume,
    block_bytes,
    sum_bytes,
)
from cryobench.reconstruction.engine import Checkpoint, CheckpointVolumes, Passes, RunContext
from cryobench.reconstruction.images import bytes_to_keep, level_background
from cryobench.reconstruction.statistics import disc_of

BATCH_BYTES = 3e8
"""Memory for batches of images, and of volumes at bandwidths."""
_AT_ONCE = 16
"""Most targets in one pass: with more, products of matrices become no faster."""
_SIZES = ("n_bins", "n_bandwidths", "min_particles")


@dataclass
class KernelRegressionDecoder(VolumeDecoder):
    """Particles with latents, kept open: each volume is a weighted back-projection of those near a latent."""

    name = "kernel-regression"
    reads_particles = True
    regression: KernelRegression
    width: int
    box_size: int
    kept: Checkpoint
    """Finished volumes, by latent."""
    progress: Progress

    @classmethod
    def open(
        cls,
        model: Mapping[str, np.ndarray],
        reconstruction: Reconstruction,
        particles: Particles,
        context: RunContext,
    ) -> "KernelRegressionDecoder":
        """As ``VolumeDecoder.open``. Particles without a latent are left out.

        Raises
        ------
        ValueError
            If the reconstruction has no latents, or its half-sets are too small for ``min_particles``.
        MemoryShortage
            If the sums of one volume do not fit in the memory budget.
        """
        if reconstruction.latents is None:
            raise ValueError(f"{reconstruction.name} has no latents, which kernel regression needs.")
        known = np.flatnonzero(np.isfinite(reconstruction.latents).all(axis=1))
        if len(known) < len(particles):
            particles = particles.select(known)
        particles, _ = level_background(particles)
        latents = reconstruction.latents[known]
        per_particle = {name: model[name][known] for name in ("precisions", "contrasts") if name in model}
        per_particle["half_sets"] = model["half_sets"][known]
        sizes = KernelSizes.choose(len(known), **{name: int(model[name]) for name in _SIZES if name in model})
        # Arrays of a run in progress are in memory, those of a finished one in its files.
        held = sum(array.nbytes for array in model.values()) if isinstance(model, dict) else 0
        at_once, image_bytes = plan_regression(context.compute, len(known), particles.box_size, sizes, held=held)
        precisions = per_particle.get("precisions")
        digest = _name_arrays({"latents": latents, "noise": model["noise"], "mask": model["mask"], **per_particle})
        kept = context.open_checkpoint(particles, {"decoder": cls.name, **vars(sizes), "arrays": digest})
        passes = Passes(
            particles,
            context.compute,
            keep_bytes=image_bytes,
            contrasts=per_particle.get("contrasts"),
            progress=context.progress,
        )
        regression = KernelRegression(
            passes,
            latents,
            common_precision(latents) if precisions is None else unpack_symmetric(precisions),
            per_particle["half_sets"],
            np.asarray(model["noise"]),
            mask=np.asarray(model["mask"]),
            pixel_size=particles.pixel_size,
            sizes=sizes,
            at_once=at_once,
        )
        return cls(regression, latents.shape[1], particles.box_size, kept, context.progress)

    def estimate(self, latents: Float[np.ndarray, "m d"]) -> Iterator[KernelVolume]:
        """Volumes with their half-set FSC at latents, one at a time, in the model's box.

        Those in the checkpoint are read from there.
        """
        names = _name_rows(latents)
        missing = np.array([not self.kept.has(name) for name in names], dtype=bool)
        made = self.regression.estimate(latents[missing], self.progress) if missing.any() else iter(())
        for name, is_missing in zip(names, missing, strict=True):
            if is_missing:
                volume = next(made)
                self.kept.keep(name, {key: np.asarray(value) for key, value in vars(volume).items()})
                yield volume
            else:
                found = self.kept.find(name)
                assert found is not None
                yield KernelVolume(**{**found[0], "n_particles": int(found[0]["n_particles"])})
        next(made, None)  # ends its progress

    def estimate_all(self, latents: Float[np.ndarray, "m d"]) -> tuple[VolumeSource, Float[np.ndarray, "m s"]]:
        """Volumes and their half-set FSC at latents. If there is a checkpoint, volumes are read from it on demand."""
        volumes, curves = [], []
        for found in self.estimate(latents):
            curves.append(found.half_set_fsc)
            if not self.kept.is_kept:
                volumes.append(found.volume)
        if self.kept.is_kept:
            return CheckpointVolumes(self.kept, _name_rows(latents), self.box_size), np.stack(curves)
        return IndexedVolumes(np.stack(volumes), np.arange(len(volumes))), np.stack(curves)

    def _decode(self, latents: Float[np.ndarray, "m d"]) -> Iterator[Float[np.ndarray, "z y x"]]:
        return (found.volume for found in self.estimate(latents))


def plan_regression(
    compute: Compute, n: int, box_size: int, sizes: KernelSizes, *, held: float = 0
) -> tuple[int, float]:
    """Targets at once, and bytes for keeping images, within a worker's memory; volumes do not depend on either.

    ``held`` are bytes of other arrays in memory. MemoryShortage if the sums of one volume do not fit.
    """
    each, workers = sum_bytes(box_size), compute.n_workers
    on_cpu = compute.device == "cpu"

    def one(bandwidths: int) -> float:
        """Bytes of the sums of a volume: within a sphere on the CPU, of all bins elsewhere."""
        return bandwidths * each * 0.6 if on_cpu else sizes.n_bins * each

    def needed(bandwidths: int) -> float:
        """Bytes of one volume: its sums, on other devices also those at its bandwidths, and the comparison."""
        on_grid = 0 if on_cpu else bandwidths * each
        return held + workers * (BATCH_BYTES + one(bandwidths) + on_grid + block_bytes(box_size, bandwidths))

    left = reserve(
        compute.memory,
        needed,
        sizes.n_bandwidths,
        items=f"bandwidths of volumes of {box_size} px",
        setting="n_bandwidths",
    )
    images = bytes_to_keep(n, disc_of(box_size), left, n_shards=workers)
    more = int((left - images) // (workers * one(sizes.n_bandwidths)))
    return min(1 + more, _AT_ONCE), images


def _name_rows(latents: Float[np.ndarray, "m d"]) -> list[str]:
    """Name of the volume at each latent."""
    return [_name_arrays({"latent": row.astype(np.float64)}) for row in latents]


def _name_arrays(arrays: Mapping[str, np.ndarray]) -> str:
    """Digest of named arrays."""
    digest = blake2b(digest_size=12)
    for name, values in sorted(arrays.items()):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()
