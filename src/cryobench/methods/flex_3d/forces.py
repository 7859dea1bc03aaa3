"""Initial latents where none are given: the forces of the images on the undeformed mesh.

The force of image i on the softest modes of the mesh, f_i = −∂ misfit_i / ∂c at rest, is to first order H_i c_i plus
noise of covariance H_i, c_i the particle's motion along the modes. The covariance of the forces of all images
relative to that of images of pure noise shows along which directions forces exceed noise: the K directions a of the
largest ratio aᵀ cov(f) a / aᵀ H a, with aᵀ f_i as the latents. It takes two passes, and no model of the motion.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Complex, Float
from scipy.linalg import eigh
from torch import Tensor

from cryobench._progress import Progress
from cryobench.imaging.real_space.moved_voxels import BoundVoxels, project_voxels
from cryobench.methods.flex_3d.misfit import Band, misfit, place_vertices
from cryobench.methods.flex_3d.settings import RANGE
from cryobench.reconstruction.deformation import Mesh
from cryobench.reconstruction.networks import NetworkBatch, NetworkImages
from cryobench.rng import stream

N_MODES = 30
_AT_ONCE = 32
_SPREAD = 0.5
"""Standard deviation of the latents, as a fraction of their range."""


@dataclass(frozen=True, eq=False)
class Forces:
    """Forces of prepared images on modes of an undeformed mesh."""

    images: NetworkImages
    mesh: Mesh
    voxels: BoundVoxels
    values: Tensor
    """(m,) of the map at the voxels, in units of the images, on their device."""
    modes: Tensor
    """(c, v, 3) in cells."""
    band: Band

    def measure(self, seed: int, progress: Progress) -> tuple[Float[np.ndarray, "n c"], Float[np.ndarray, "n c"]]:
        """Forces (n, c) of the images, and of as many images of noise."""
        found, noise, n = [], [], len(self.images)
        with progress.task("forces of images", total=n) as task:
            for first in range(0, n, _AT_ONCE):
                batch = self.images.load(np.arange(first, min(first + _AT_ONCE, n)))
                generator = stream(seed, "noise of forces", first)
                drawn = generator.standard_normal((len(batch.indices), len(self.band), 2)).astype(np.float32)
                found.append(self._force(batch, None))
                noise.append(
                    self._force(batch, torch.view_as_complex(torch.from_numpy(drawn)).to(self.values.device))
                )
                task.advance(len(batch.indices))
        return np.concatenate(found), np.concatenate(noise)

    def _force(self, batch: NetworkBatch, noise: Complex[Tensor, "b p"] | None) -> Float[np.ndarray, "b c"]:
        """Forces of the images, or of the undeformed map with ``noise`` of unit power."""
        assert batch.rotations is not None
        device = self.values.device
        along = torch.zeros(len(batch.data), len(self.modes), device=device, requires_grad=True)
        moved = self.mesh.rest.to(device) + torch.tensordot(along, self.modes.to(device), dims=1)
        places = place_vertices(moved, batch.rotations, self.voxels, self.mesh)
        images = project_voxels(places, self.values, self.voxels)
        gain, data = self.band.of_batch(batch)
        if noise is not None:
            data = self.band.disc.from_images(images.detach()) * gain
            data[:, 1:] += noise.to(device) * self.band.disc.spread(np.sqrt(self.band.noise / 2), device)[1:]
        value = misfit(images, gain, data, self.band.weights(device), self.band)
        (gradient,) = torch.autograd.grad(value, along)
        return -gradient.double().cpu().numpy()


def find_latents(
    forces: Float[np.ndarray, "n c"], noise: Float[np.ndarray, "m c"], z_dim: int
) -> Float[np.ndarray, "n k"]:
    """Latents (n, k) float32 along the directions in which forces (n, c) vary the most relative to those of noise."""
    centred = forces - forces.mean(axis=0)
    varied, expected = centred.T @ centred, noise.T @ noise
    expected += 1e-6 * np.trace(expected) / len(expected) * np.eye(len(expected))
    count = min(z_dim, len(expected))
    _, directions = eigh(varied, expected, subset_by_index=[len(expected) - count, len(expected) - 1])
    directions = directions[:, ::-1]
    largest = np.abs(directions).argmax(axis=0)
    directions = directions * np.sign(directions[largest, np.arange(count)])
    found = np.zeros((len(forces), z_dim))
    found[:, :count] = centred @ directions
    spread = found.std(axis=0)
    return np.clip(found / np.where(spread > 0, spread, 1) * (_SPREAD * RANGE), -RANGE, RANGE).astype(np.float32)
