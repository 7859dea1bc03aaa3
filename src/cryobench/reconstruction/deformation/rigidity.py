"""Rigidity: elastic energy of any deformation of a mesh other than a rigid motion.

    E = Σ_t w_t Σ_j (s_j(F_t) − 1)² = Σ_t w_t |F_t − R_t|²

F_t the deformation gradient of element t, constant in it, s_j its singular values, R_t the nearest rotation. Because
R_t is where |F − R| is least, the gradient is 2 w_t (F_t − R_t) with R_t held fixed: no decomposition is
differentiated. For an inverted element R stays a rotation, and its smallest s counts as negative:
the reflection of the polar form would give a mirrored element zero energy.
"""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from cryobench._threads import run_ranges
from cryobench.imaging.kernels.cpu.rigidity import elastic_energy
from cryobench.reconstruction.deformation.mesh import Mesh


def rigidity_energy(
    positions: Float[Tensor, "n v 3"], mesh: Mesh, weights: Float[np.ndarray, "t"]
) -> Float[Tensor, "n"]:
    """E of n bodies whose vertices are at ``positions``, in cells of the mesh; differentiable by these.

    ``weights`` (t,) rigidity of the elements.
    """
    return _Energy.apply(positions, mesh, weights)  # pyright: ignore[reportReturnType]


def deformation_gradients(positions: Float[Tensor, "n v 3"], mesh: Mesh) -> Float[Tensor, "n t 3 3"]:
    """F of every element, from positions in cells."""
    corners = positions[:, torch.from_numpy(mesh.elements).long().to(positions.device)]
    edges = corners[:, :, 1:] - corners[:, :, :-1]
    order = torch.from_numpy(np.argsort(mesh.axes, axis=1)).to(positions.device)
    return edges.gather(2, order[None, :, :, None].expand_as(edges)).transpose(2, 3)


def energy_by_decomposition(
    positions: Float[Tensor, "n v 3"], mesh: Mesh, weights: Float[np.ndarray, "t"]
) -> Float[Tensor, "n"]:
    """E by singular values, in plain PyTorch: for any device, and as the reference in tests of the kernel."""
    found = deformation_gradients(positions, mesh)
    with torch.no_grad():
        left, _, right = torch.linalg.svd(found)
        hand = torch.linalg.det(left @ right)
        flip = torch.stack([torch.ones_like(hand), torch.ones_like(hand), hand], dim=-1)
        rotations = (left * flip[..., None, :]) @ right
    return ((found - rotations).square().sum((2, 3)) * torch.from_numpy(weights).to(positions)).sum(1)


class _Energy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, positions: Tensor, mesh: Mesh, weights: np.ndarray) -> Tensor:
        if positions.device.type != "cpu":
            with torch.enable_grad():
                free = positions.detach().requires_grad_()
                energies = energy_by_decomposition(free, mesh, weights)
                (ctx.gradients,) = torch.autograd.grad(energies.sum(), free)
            return energies.detach()
        energies, ctx.gradients = torch.zeros(len(positions)), torch.zeros_like(positions)
        arrays = (positions.detach().contiguous().numpy(), mesh.elements, mesh.axes, weights)
        run_ranges(elastic_energy, len(positions), *arrays, energies.numpy(), ctx.gradients.numpy())
        return energies

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore
        return ctx.gradients * gradient[:, None, None], None, None
