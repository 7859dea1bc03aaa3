"""Region of the density, weights of the elements, and segments: the input of the mesh."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import ndimage
from torch import Tensor

from cryobench._errors import FormatError
from cryobench.data import Particles
from cryobench.imaging.real_space.moved_voxels import BoundVoxels
from cryobench.io.formats.mrc import read_volume
from cryobench.methods.flex_3d.consensus import low_pass, make_response
from cryobench.methods.flex_3d.settings import Flex3DSettings
from cryobench.reconstruction.deformation import Mesh, as_pairs, make_mesh
from cryobench.volumes.mask import make_soft_mask

LEAST_WEIGHT, BORDER_WEIGHT, RIGID_WEIGHT = 0.5, 3.0, 20.0
"""Weights of empty elements, of stiffened ones at the border, and of rigid segments (published)."""
_RESOLUTION, _DILATION = 10.0, 2.0
_SOLVENT = -1


@dataclass(frozen=True, eq=False)
class Body:
    """The mesh, with the bound voxels of the map and of the training box."""

    mesh: Mesh
    voxels: BoundVoxels
    """Voxels in the box of the map."""
    training: BoundVoxels
    """Voxels in the training box."""
    weights: np.ndarray
    """(t,) float32, rigidity of the elements."""


def find_region(
    particles: Particles, consensus: Float[Tensor, "z y x"]
) -> tuple[Bool[np.ndarray, "z y x"], tuple[str, ...]]:
    """Region (z, y, x) bool that may contain density, and notes for the user.

    It is the data set's mask, or, without one, the consensus at 10 Å, dilated by 2 Å. ValueError if it is
    empty.
    """
    if particles.mask is not None:
        region = particles.mask > 0.5
        if not region.any():
            raise ValueError(
                "the data set's mask has no voxel above 0.5, so the mesh would be empty: check the mask."
            )
        return region, ()
    size, pixel_size = particles.box_size, particles.pixel_size
    response = make_response(size, min(size * pixel_size / _RESOLUTION, size / 2), consensus.device)
    smooth = low_pass(consensus, response).cpu()
    found = make_soft_mask(smooth, pixel_size, enclosed_mass=0.8, dilation=_DILATION, edge=0.0).values.numpy() > 0.5
    pieces, count = ndimage.label(found)  # pyright: ignore[reportGeneralTypeIssues]
    sizes = ndimage.sum_labels(found, pieces, np.arange(1, count + 1))
    region = np.isin(pieces, 1 + np.flatnonzero(sizes >= 0.1 * sizes.max()))
    fraction = float(region.mean())
    note = (
        f"No mask is given: one was made from the consensus at {_RESOLUTION:g} Å, {fraction:.1%} of the box. It "
        "should contain the molecule in all its conformations; otherwise give one with --mask."
    )
    return region, (note,)


def make_body(
    particles: Particles,
    training: Particles,
    region: Bool[np.ndarray, "z y x"],
    consensus: Float[Tensor, "z y x"],
    settings: Flex3DSettings,
) -> Body:
    """Mesh over a region, its voxels, and the weights of its elements by the density of the consensus.

    Raises
    ------
    ValueError
        If the region is empty, or a named segment does not exist.
    FormatError
        If the segmentation does not fit the images.
    """
    labels = None if settings.segmentation is None else _read_segments(particles, settings)
    if labels is not None:
        region = region & (labels != _SOLVENT)
    elif settings.rigid_segments or settings.fused:
        raise ValueError("rigid_segments and fused need segments: set segmentation too.")
    cell = particles.box_size * particles.pixel_size / settings.n_cells
    fused = as_pairs(settings.fused) or None
    mesh = make_mesh(region, particles.pixel_size, cell, labels=labels, fused=fused)
    voxels = _bind(mesh, particles, region, labels)
    bound = voxels
    if training.box_size != particles.box_size:
        nearest = _nearest(particles, training)
        bound = _bind(mesh, training, region[nearest], None if labels is None else labels[nearest])
    return Body(mesh, voxels, bound, _weigh_elements(mesh, voxels, consensus, settings))


def _bind(
    mesh: Mesh, particles: Particles, region: Bool[np.ndarray, "z y x"], labels: Int[np.ndarray, "z y x"] | None
) -> BoundVoxels:
    chosen = np.flatnonzero(region)
    own = None if labels is None else labels.flatten()[chosen]
    bound = mesh.bind(particles.box_size, particles.pixel_size, chosen, own)
    if not len(bound):
        raise ValueError("no voxel is inside the mesh: it would be empty.")
    return bound


def _nearest(particles: Particles, training: Particles) -> tuple[Int[np.ndarray, "_ _ _"], ...]:
    """Index of the voxel of the full box nearest to each of the training box."""
    old, new = particles.box_size, training.box_size
    axis = np.rint((np.arange(new) - new // 2) * (old / new)).astype(int) + old // 2
    axis = np.clip(axis, 0, old - 1)
    return np.ix_(axis, axis, axis)


def _read_segments(particles: Particles, settings: Flex3DSettings) -> Int[np.ndarray, "z y x"]:
    assert settings.segmentation is not None
    found, _ = read_volume(settings.segmentation)
    if found.shape != (particles.box_size,) * 3:
        raise FormatError(
            f"{settings.segmentation} has {found.shape[0]} voxels a side, and images have {particles.box_size} px. "
            f"Resample it onto {particles.box_size} voxels, by the nearest."
        )
    labels = np.rint(found).astype(np.int64)
    if not np.isfinite(found).all() or np.abs(found - labels).max() > 1e-3:
        raise FormatError(
            f"{settings.segmentation} has values that are not integers: a segmentation has integer labels."
        )
    known = set(np.unique(labels).tolist()) - {_SOLVENT}
    if missing := sorted(set(settings.rigid_segments) - known):
        raise ValueError(
            f"rigid_segments names segment {missing[0]}, and {settings.segmentation} has {sorted(known)}."
        )
    return labels


def _weigh_elements(
    mesh: Mesh, voxels: BoundVoxels, consensus: Float[Tensor, "z y x"], settings: Flex3DSettings
) -> Float[np.ndarray, "t"]:
    """Weights: 1 in the densest elements down to 0.5 in empty ones; larger at the border and in rigid segments."""
    values = voxels.take(consensus).clamp(min=0).cpu().numpy()
    of_voxel = np.repeat(np.arange(len(mesh.elements)), np.diff(voxels.starts))
    counts = np.bincount(of_voxel, minlength=len(mesh.elements))
    density = np.bincount(of_voxel, weights=values, minlength=len(mesh.elements)) / np.maximum(counts, 1)
    scale = np.quantile(density, 0.95)
    fraction = np.clip(density / scale, 0, 1) if scale > 0 else np.zeros(len(density))
    weights = LEAST_WEIGHT + (1 - LEAST_WEIGHT) * fraction
    if settings.stiffen_low_density:
        weights[fraction < 0.1] = BORDER_WEIGHT
    labels = np.repeat(mesh.cells[:, 0], 6)
    weights[np.isin(labels, settings.rigid_segments)] = RIGID_WEIGHT
    return weights.astype(np.float32)
