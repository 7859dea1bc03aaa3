"""Density that comes and goes from particle to particle: what a deformation, which conserves density, cannot model.

The map is divided into blocks of equal mass. To first order the residual of image i is Σ_b a_ib p_ib plus noise, with
p_ib the image of block b after the motion, and a_ib by how much its density differs from the map's, as a fraction of
it. The overall contrast of an image is not composition, so it is removed:

    s_ib = ⟨p_ib, r_i⟩ − (g_ib / h_i) ⟨p_i, r_i⟩     g_ib = ⟨p_ib, p_i⟩     h_i = ⟨p_i, p_i⟩     p_i = Σ_b p_ib
    h_ib = ⟨p_ib, p_ib⟩ − g_ib² / h_i                so that s_ib = h_ib a_ib + noise

in the inner product of the noise. Every sum is taken over two halves of the Fourier entries, whose noise is
independent, and so the noise needs not be known:

    var(a_b) = mean_i (s_ib − ā_b h_ib)(s'_ib − ā'_b h'_ib) / mean_i h_ib h'_ib
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Complex, Float, Int
from torch import Tensor

from cryobench._sampling import spread_indices
from cryobench.imaging.real_space.moved_voxels import BoundVoxels, spread_voxels
from cryobench.methods.flex_3d.map_fit import Imaging
from cryobench.reconstruction.deformation import Mesh
from cryobench.reconstruction.engine import Passes, Rows, Sums
from cryobench.reconstruction.images import Posed, PosedSpectra

_DIVISIONS = 4
"""Times that the map is divided in two: 16 blocks."""
_SAMPLE = 1000
"""Most particles that are looked at, evenly spaced in the table."""
_AT_ONCE = 16


@dataclass(frozen=True)
class Composition:
    """Variation of density over the particles, block by block."""

    variance: np.ndarray
    """(b,) variance over particles of the density of a block, relative to that of the map; estimates may be < 0."""
    error: np.ndarray
    """(b,) standard error of the variance."""


def measure_composition(
    passes: Passes,
    imaging: Imaging,
    values: Float[Tensor, "m"],
    latents: Float[np.ndarray, "n k"],
    divisions: int = _DIVISIONS,
) -> Composition:
    """Variation of the density of blocks of a map (m,) over a sample of the particles, after their motion.

    ``divisions`` makes 2 to that power blocks.
    """
    n = len(latents)
    sample = np.zeros(n, dtype=bool)
    sample[spread_indices(n, _SAMPLE)] = True
    blocks = divide_voxels(imaging.voxels, imaging.mesh, values.clamp(min=0).cpu().numpy(), divisions)
    _, rows = passes.run(_score_blocks, imaging, values.cpu(), blocks, own=(latents, sample))
    return estimate_variation(rows["scores"][sample], rows["information"][sample])


def estimate_variation(scores: Float[np.ndarray, "n 2 b"], information: Float[np.ndarray, "n 2 b"]) -> Composition:
    """Variance of a, and its error, from s and h (n, 2, b) of both halves of the Fourier entries of each image."""
    known = np.maximum(information.sum(0), 1e-30)
    excess = scores - scores.sum(0) / known * information
    products = excess[:, 0] * excess[:, 1]
    scale = np.maximum((information[:, 0] * information[:, 1]).mean(0), 1e-30)
    return Composition(products.mean(0) / scale, products.std(0) / np.sqrt(len(products)) / scale)


def divide_voxels(
    voxels: BoundVoxels, mesh: Mesh, mass: Float[np.ndarray, "m"], divisions: int
) -> Int[np.ndarray, "m"]:
    """Block (m,) of each voxel: the map is halved by mass across its longest axis, and its halves in turn."""
    corners = mesh.rest.numpy()[voxels.vertices_of()]
    positions = (corners * voxels.weights[..., None]).sum(1)
    blocks = np.zeros(len(mass), dtype=np.int64)
    for _ in range(divisions):
        halves = np.zeros(len(mass), dtype=np.int64)
        for block in range(int(blocks.max()) + 1):
            own = np.flatnonzero(blocks == block)
            halves[own] = _halve(positions[own], mass[own])
        blocks = 2 * blocks + halves
    return blocks


def _halve(positions: Float[np.ndarray, "m 3"], mass: Float[np.ndarray, "m"]) -> Int[np.ndarray, "m"]:
    """0 or 1 (m,) on either side of the median of mass along the principal axis."""
    weights = mass + 1e-12
    offsets = positions - np.average(positions, axis=0, weights=weights)
    along = offsets @ np.linalg.eigh((offsets.T * weights) @ offsets)[1][:, -1]
    order = np.argsort(along, kind="stable")
    reached = np.cumsum(weights[order]) - 0.5 * weights[order]
    halves = np.empty(len(mass), dtype=np.int64)
    halves[order] = reached > 0.5 * weights.sum()
    return halves


@torch.no_grad()
def _score_blocks(
    spectra: PosedSpectra,
    imaging: Imaging,
    values: Float[Tensor, "m"],
    blocks: Int[np.ndarray, "m"],
    latents: Float[np.ndarray, "n k"],
    sample: Bool[np.ndarray, "n"],
) -> tuple[Sums, Rows]:
    """Rows "scores" and "information" (n, 2, b): s and h of the sampled images, zero elsewhere."""
    device = spectra.device
    n_blocks = int(blocks.max()) + 1
    of_block = torch.from_numpy(blocks).to(device)
    parts = [torch.where(of_block == block, values.to(device), 0) for block in range(n_blocks)]
    halves = _split_entries(imaging).to(device)
    rows = {name: np.zeros((len(latents), 2, n_blocks)) for name in ("scores", "information")}
    for batch in spectra.batches(sample):
        for first in range(0, len(batch.indices), _AT_ONCE):
            some = batch.select(np.arange(first, min(first + _AT_ONCE, len(batch.indices))))
            scores, information = _score_batch(some, latents, parts, imaging, halves)
            rows["scores"][some.indices], rows["information"][some.indices] = scores, information
    return {}, rows


def _split_entries(imaging: Imaging) -> Float[Tensor, "2 p"]:
    """1 / σ² of the entries of each half: those of even and of odd kx + ky."""
    odd = np.rint(imaging.band.disc.frequencies).astype(int).sum(1) % 2
    weights = imaging.band.weights("cpu")
    return torch.stack([weights * torch.from_numpy(odd == half) for half in (0, 1)])


def _score_batch(
    batch: Posed,
    latents: Float[np.ndarray, "n k"],
    parts: list[Float[Tensor, "m"]],
    imaging: Imaging,
    halves: Float[Tensor, "2 p"],
) -> tuple[Float[np.ndarray, "i 2 b"], Float[np.ndarray, "i 2 b"]]:
    disc, gain = imaging.band.disc, imaging.band.gain(batch.ctf)
    own = torch.from_numpy(latents[batch.indices]).to(halves.device)
    positions = imaging.positions(batch.rotations, own)
    images = torch.stack(
        [disc.from_images(spread_voxels(positions, part, imaging.voxels)) * gain for part in parts], 1
    )
    whole = images.sum(1)
    left = batch.data[:, : whole.shape[1]] - whole

    def project(one: Complex[Tensor, "*#i p"], other: Complex[Tensor, "*#i p"]) -> Float[np.ndarray, "*i 2"]:
        return ((one.conj() * other).real @ halves.T).double().cpu().numpy()

    against_parts = project(images, left[:, None]), project(images, whole[:, None]), project(images, images)
    scores, overlaps, norms = (each.transpose(0, 2, 1) for each in against_parts)
    against_whole, norm = project(whole, left)[..., None], project(whole, whole)[..., None]
    scale = overlaps / np.maximum(norm, 1e-30)
    return scores - scale * against_whole, norms - scale * overlaps
