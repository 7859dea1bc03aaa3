"""What deforming costs: nothing for rigid motions, a closed form for a stretch, SciPy's polar form, its gradient."""

import numpy as np
import pytest
import torch
from scipy.linalg import polar

from cryobench.reconstruction.deformation import deformation_gradients, make_mesh, rigidity_energy
from cryobench.reconstruction.deformation.modes import _stiffness, soft_modes
from cryobench.reconstruction.deformation.rigidity import energy_by_decomposition
from cryobench.rotations import rotations_from_quaternions


def draw_mesh(seed=0):
    axis = np.arange(10) - 5
    mesh = make_mesh(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2 < 16, 1.0, 2.5)
    return mesh, np.random.default_rng(seed).uniform(0.5, 3, len(mesh.elements)).astype(np.float32)


def test_a_rigid_motion_costs_nothing():
    mesh, weights = draw_mesh()
    rotations = torch.from_numpy(rotations_from_quaternions(np.random.default_rng(1).standard_normal((5, 4)))).float()
    moved = mesh.rest @ rotations.transpose(1, 2) + torch.tensor([3.0, -2.0, 7.0])
    assert float(rigidity_energy(moved, mesh, weights).abs().max()) < 1e-8 * weights.sum()


@pytest.mark.parametrize("s", [0.6, 1.3])
def test_a_uniform_stretch_costs_its_closed_form(s):
    mesh, weights = draw_mesh()
    energy = float(rigidity_energy(s * mesh.rest[None], mesh, weights))
    assert energy == pytest.approx(3 * weights.sum() * (s - 1) ** 2, rel=1e-4)


def test_energy_is_that_of_scipys_polar_form():
    mesh, weights = draw_mesh()
    moved = mesh.rest[None] + 0.1 * torch.from_numpy(
        np.random.default_rng(2).standard_normal((1, mesh.n_vertices, 3))
    )
    gradients = deformation_gradients(moved, mesh)[0].numpy()
    assert (np.linalg.det(gradients) > 0).all()
    expected = sum(w * np.square(f - polar(f)[0]).sum() for w, f in zip(weights, gradients, strict=True))
    assert float(rigidity_energy(moved.float(), mesh, weights)) == pytest.approx(expected, rel=1e-4)


def test_kernel_equals_decomposition_also_inside_out():
    mesh, weights = draw_mesh()
    noise = torch.from_numpy(np.random.default_rng(3).standard_normal((3, mesh.n_vertices, 3)))
    moved = mesh.rest + torch.tensor([0.2, 0.4, 0.7])[:, None, None] * noise
    assert (torch.linalg.det(deformation_gradients(moved, mesh)[2]) < 0).any()
    found = rigidity_energy(moved.float(), mesh, weights)
    assert torch.allclose(found.double(), energy_by_decomposition(moved, mesh, weights), rtol=1e-4)


def test_a_mirrored_mesh_is_not_free():
    mesh, weights = draw_mesh()
    mirrored = mesh.rest * torch.tensor([-1.0, 1.0, 1.0])
    assert float(rigidity_energy(mirrored[None], mesh, weights)) == pytest.approx(4 * weights.sum(), rel=1e-3)


def test_gradient_with_the_rotation_held_equals_finite_differences():
    mesh, weights = draw_mesh()
    generator = np.random.default_rng(4)
    moved = mesh.rest[None].double() + 0.15 * torch.from_numpy(generator.standard_normal((1, mesh.n_vertices, 3)))
    free = moved.float().requires_grad_()
    rigidity_energy(free, mesh, weights).sum().backward()
    assert free.grad is not None
    change, step = torch.from_numpy(generator.standard_normal(moved.shape)), 1e-6
    up, down = (energy_by_decomposition(moved + sign * step * change, mesh, weights) for sign in (1, -1))
    expected = float((free.grad.double() * change).sum())
    assert float((up - down) / (2 * step)) == pytest.approx(expected, rel=1e-4)


def test_six_soft_modes_are_rigid_and_the_next_cost_what_their_stiffness_says():
    mesh, weights = draw_mesh()
    masses = np.random.default_rng(5).uniform(1, 2, mesh.n_vertices)
    modes = soft_modes(mesh, weights, masses, 8)
    step = 1e-2
    costs = rigidity_energy(mesh.rest + step * modes, mesh, weights).double() / step**2
    assert float(costs[:6].max()) < 0.05 * float(costs[6])
    flat = modes[6].double().numpy().ravel()
    second = flat @ (_stiffness(mesh, weights) @ flat) / 2
    assert float(costs[6]) == pytest.approx(second, rel=0.02)
