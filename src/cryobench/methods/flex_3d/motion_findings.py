"""Findings of a run: motion along each latent axis, density of the latents, and strain of the mesh."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.ndimage import gaussian_filter
from torch import Tensor

from cryobench._sampling import spread_indices
from cryobench.data import LatentDensity, Motion
from cryobench.methods.flex_3d.settings import RANGE
from cryobench.methods.flex_3d.solvent import Body
from cryobench.reconstruction.deformation import FlowNetwork, deformation_gradients

_FRAMES = 11
_ENDS = (2, 98)
_POINTS = {1: 128, 2: 50}
_SAMPLE = 64
_SAMPLE_AT_ONCE = 16


@dataclass(frozen=True)
class Strain:
    """Deformation of a sample of particles, weighted by density."""

    moved: float
    """Å, root mean square of displacements about their mean over the particles."""
    stretch: float
    """Root mean square of s − 1 over the singular values."""
    growth: float
    """Standard deviation over particles of the logarithm of the volume containing the density, mean over elements."""


def show_motion(
    flow: FlowNetwork,
    body: Body,
    values: Float[Tensor, "m"],
    latents: Float[np.ndarray, "n k"],
    volume: Float[np.ndarray, "z y x"],
    pixel_size: float,
) -> Motion:
    """Displacements in 11 steps along each axis, from the 2nd to the 98th percentile, the others at their median."""
    steps = np.repeat(np.repeat(np.median(latents, axis=0)[None, None], latents.shape[1], 0), _FRAMES, 1)
    for axis in range(latents.shape[1]):
        low, high = (float(np.percentile(latents[:, axis], end)) for end in _ENDS)
        steps[axis, :, axis] = np.linspace(low, high, _FRAMES)
    steps = steps.astype(np.float32)
    with torch.no_grad():
        flat = torch.from_numpy(steps.reshape(-1, steps.shape[-1])).to(values.device)
        found = flow(flat).cpu().numpy() * body.mesh.cell
    masses = np.zeros(body.mesh.n_vertices)
    contributions = body.voxels.weights * values.clamp(min=0).cpu().numpy()[:, None]
    np.add.at(masses, body.voxels.vertices_of(), contributions)
    return Motion(
        volume,
        (body.mesh.rest * body.mesh.cell).numpy(),
        masses.astype(np.float32),
        steps,
        found.reshape(*steps.shape[:2], -1, 3).astype(np.float32),
        pixel_size,
    )


def show_density(latents: Float[np.ndarray, "n k"], noise: float) -> LatentDensity:
    """Density of the first two latents on a grid over their range, smoothed by a Gaussian.

    Its standard deviation is half that of the noise on latents, or half a grid step if that is more.
    """
    used = latents[:, : min(2, latents.shape[1])].astype(np.float64)
    points = _POINTS[used.shape[1]]
    edges = np.linspace(-RANGE, RANGE, points + 1)
    counts, _ = np.histogramdd(used, bins=[edges] * used.shape[1])
    step = edges[1] - edges[0]
    smooth = gaussian_filter(counts, sigma=max(noise, step) / 2 / step, mode="nearest")
    centres = (edges[1:] + edges[:-1]) / 2
    return LatentDensity(
        (smooth / (smooth.sum() * step ** used.shape[1])).astype(np.float32), np.tile(centres, (used.shape[1], 1))
    )


@torch.no_grad()
def measure_strain(
    flow: FlowNetwork, body: Body, values: Float[Tensor, "m"], latents: Float[np.ndarray, "n k"]
) -> Strain:
    """Strain of particles evenly spaced in the table."""
    chosen = spread_indices(len(latents), _SAMPLE)
    mesh, device = body.mesh, values.device
    of_voxel = np.repeat(np.arange(len(mesh.elements)), np.diff(body.voxels.starts))
    mass = np.bincount(of_voxel, weights=values.clamp(min=0).cpu().numpy(), minlength=len(mesh.elements))
    mass = torch.from_numpy(mass / max(mass.sum(), 1e-30)).float().to(device)
    moved = [flow(torch.from_numpy(latents[rows]).to(device)) for rows in np.array_split(chosen, _parts(chosen))]
    everyone = torch.cat(moved) * mesh.cell
    centres = everyone[:, torch.from_numpy(mesh.elements).long().to(device)].mean(2)
    spread = (centres - centres.mean(0)).square().sum(-1).mean(0)
    stretch, growth = [], []
    for part in _stretches(moved, mesh.rest.to(device)):
        found = deformation_gradients(part, mesh)
        stretch.append((torch.linalg.svdvals(found) - 1).square().mean(-1))
        growth.append(torch.linalg.det(found).clamp(min=0.05).log())
    return Strain(
        float((spread * mass).sum().sqrt()),
        float((torch.cat(stretch).mean(0) * mass).sum().sqrt()),
        float((torch.cat(growth).std(0) * mass).sum()) if len(chosen) > 1 else 0.0,
    )


def _parts(chosen: Int[np.ndarray, "m"]) -> int:
    return -(-len(chosen) // _SAMPLE_AT_ONCE)


def _stretches(moved: list[Float[Tensor, "_ v 3"]], rest: Float[Tensor, "v 3"]) -> Iterator[Float[Tensor, "_ v 3"]]:
    return (rest + part for part in moved)
