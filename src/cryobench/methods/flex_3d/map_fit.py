"""Map of each half-set at the full box with fixed motion, or without motion, by L-BFGS.

With the motion fixed the misfit is quadratic in the map, f(V) = Σ_i |C_i P_i T_i V − y_i|² / σ², so that along any
direction the best step is known from one product with the Hessian. With such exact line searches L-BFGS, whatever its
memory, makes the steps of conjugate gradients (Nocedal & Wright, Numerical Optimization, 2nd ed., theorem 7.4 and
section 7.2), and is implemented as these: one pass over the images per iteration, and three vectors to keep.
Preconditioned by the weight of the images in each shell of the volume, n ⟨C²⟩ / (2 k σ²).
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryobench.fourier import shell_indices
from cryobench.imaging.real_space.moved_voxels import BoundVoxels, gather_voxels, spread_voxels
from cryobench.methods.flex_3d.consensus import Consensus, low_pass
from cryobench.methods.flex_3d.misfit import Band, make_band, place_vertices
from cryobench.reconstruction.deformation import FlowNetwork, Mesh
from cryobench.reconstruction.engine import Iteration, Passes, Rows, Step, Sums
from cryobench.reconstruction.images import Posed, PosedSpectra

_AT_ONCE = {"cpu": 1 << 21, "cuda": 1 << 26}
"""Pixels of fine images processed at once."""


@dataclass(frozen=True, eq=False)
class Imaging:
    """Imaging of the voxels of the map; picklable for workers."""

    voxels: BoundVoxels
    mesh: Mesh
    flow: FlowNetwork | None
    """None for no motion."""
    band: Band

    @torch.no_grad()
    def positions(self, rotations: Float[Tensor, "b 3 3"], latents: Float[Tensor, "b k"]) -> Float[Tensor, "b v 2"]:
        """Positions (b, v, 2) of the vertices in the images of particles."""
        moved = self.mesh.rest.to(rotations.device).expand(len(latents), -1, -1)
        if self.flow is not None:
            moved = moved + self.flow.to(rotations.device)(latents)
        return place_vertices(moved, rotations, self.voxels, self.mesh).contiguous()


@dataclass
class MapState:
    """State of conjugate gradients, for both halves."""

    values: Tensor
    """(2, m) maps at the voxels."""
    residual: Tensor
    """(2, m) minus the gradient of the misfit."""
    direction: Tensor
    """(2, m)."""
    product: np.ndarray
    """(2,) inner products of the residual and its preconditioned self."""
    gained: float
    """Nats by which the misfit has fallen."""


class MapFit(Iteration[MapState]):
    """Conjugate gradients for the maps of two half-sets at once."""

    label = "L-BFGS for the map"
    State = MapState
    objective = "misfit of a particle to the map of its half-set, in nats, relative to that of the consensus"
    advice = "Look for outliers among the images, and check the CTF parameters."

    def __init__(
        self,
        passes: Passes,
        imaging: Imaging,
        consensus: Consensus,
        halves: Int[np.ndarray, "n"],
        latents: Float[np.ndarray, "n k"],
        steps: int,
    ) -> None:
        self._passes, self._imaging, self._consensus = passes, imaging, consensus
        self._halves, self._latents = halves, latents
        self.n_steps, self.device = steps, passes.device
        self._response = _precondition(imaging.voxels.box_size, consensus, passes.device)

    def start(self) -> MapState:
        """The consensus of each half, and the gradient there."""
        values = torch.stack([self._imaging.voxels.take(half.to(self.device)) for half in self._consensus.halves])
        residual = self._run(values, against_data=True)
        direction, product = self._prepare(residual)
        return MapState(values, residual, direction, product, 0.0)

    def step(self, state: MapState, done: int, log: Sequence[Mapping[str, Any]]) -> Step[MapState]:
        """The best step along the direction, and the next direction."""
        turned = self._run(state.direction, against_data=False)
        curvature = (state.direction.double() * turned).sum(1).cpu().numpy()
        rates = state.product / np.maximum(curvature, 1e-300)
        along = torch.from_numpy(rates).float().to(self.device)[:, None]
        values, residual = state.values + along * state.direction, state.residual - along * turned
        prepared, product = self._prepare(residual)
        ratio = torch.from_numpy(product / np.maximum(state.product, 1e-300)).float().to(self.device)[:, None]
        gained = state.gained + 0.5 * float((rates * state.product).sum())
        entry = {"iteration": done + 1, "objective": -gained / len(self._halves)}
        return Step(MapState(values, residual, prepared + ratio * state.direction, product, gained), (entry,))

    def _run(self, values: Float[Tensor, "2 m"], *, against_data: bool) -> Float[Tensor, "2 m"]:
        own = (self._halves, self._latents)
        sums, _ = self._passes.run(_sum_adjoint, self._imaging, values.cpu(), against_data, own=own)
        return sums["sums"].float().to(self.device)

    def _prepare(self, residual: Float[Tensor, "2 m"]) -> tuple[Float[Tensor, "2 m"], Float[np.ndarray, "2"]]:
        voxels = self._imaging.voxels
        ready = torch.stack([voxels.take(low_pass(voxels.put(half), self._response)) for half in residual])
        return ready, (ready.double() * residual).sum(1).cpu().numpy()


def make_imaging(voxels: BoundVoxels, mesh: Mesh, flow: FlowNetwork | None, consensus: Consensus) -> Imaging:
    """Imaging in the map's box, up to the last whole shell."""
    band = make_band(voxels.box_size, len(consensus.noise) - 1, consensus.noise)
    # A copy, as the network follows the images to their device.
    return Imaging(voxels, mesh, deepcopy(flow), band)


def _precondition(box_size: int, consensus: Consensus, device: str) -> Float[Tensor, "z y h"]:
    """Inverse of the images' weight in each shell, scaled to a maximum of one."""
    shells = np.arange(len(consensus.noise))
    weights = consensus.gain / (np.maximum(shells, 0.5) * consensus.noise)
    weights[0] = weights[1]
    inverse = 1 / np.maximum(weights, 1e-3 * weights.max())
    index = shell_indices(box_size, 3, device=device).clamp(max=len(shells) - 1)
    return torch.from_numpy(inverse / inverse.max()).float().to(device)[index]


def _sum_adjoint(
    spectra: PosedSpectra,
    imaging: Imaging,
    values: Float[Tensor, "2 m"],
    against_data: bool,
    halves: Int[np.ndarray, "n"],
    latents: Float[np.ndarray, "n k"],
) -> tuple[Sums, Rows]:
    """(2, m) float64 of both halves: Σ A*(y − A V) / σ², or Σ A* A V / σ²."""
    device, size = spectra.device, imaging.band.disc.box_size
    values, weights = values.to(device), imaging.band.weights(device)
    total = torch.zeros(values.shape, dtype=torch.float64, device=device)
    at_once = max(1, _AT_ONCE[device.partition(":")[0]] // size**2)
    for batch in spectra.batches():
        for half in (0, 1):
            rows = np.flatnonzero(halves[batch.indices] == half)
            for first in range(0, len(rows), at_once):
                part = batch.select(rows[first : first + at_once])
                own = torch.from_numpy(latents[part.indices]).to(device)
                total[half] += _adjoint_of(part, own, values[half], imaging, weights, against_data)
    return {"sums": total}, {}


def _adjoint_of(
    batch: Posed,
    latents: Float[Tensor, "b k"],
    values: Float[Tensor, "m"],
    imaging: Imaging,
    weights: Float[Tensor, "p"],
    against_data: bool,
) -> Float[Tensor, "m"]:
    positions = imaging.positions(batch.rotations, latents)
    gain = imaging.band.gain(batch.ctf)
    packed = imaging.band.disc.from_images(spread_voxels(positions, values, imaging.voxels)).mul_(gain)
    if against_data:
        packed = batch.data[:, : packed.shape[1]] - packed
    images = imaging.band.adjoint(packed.mul_(gain * weights))
    return gather_voxels(positions, values, images, imaging.voxels, of_positions=False)[0]
