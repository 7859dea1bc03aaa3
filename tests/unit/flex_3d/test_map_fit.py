"""The map of half-sets with its motion fixed: the minimum of a quadratic, as SciPy's L-BFGS finds it."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from cryobench._progress import Silent
from cryobench.compute import Compute
from cryobench.methods.flex_3d.consensus import find_consensus
from cryobench.methods.flex_3d.map_fit import MapFit, make_imaging
from cryobench.reconstruction.deformation import FlowNetwork, make_mesh
from cryobench.reconstruction.engine import Checkpoint, Passes, iterate
from cryobench.reconstruction.statistics import split_halves
from hinged_blobs import hinged_dataset


@pytest.fixture(scope="module")
def parts():
    particles = hinged_dataset(n=80, size=16).particles
    halves = split_halves(len(particles), 0)
    passes = Passes(particles, Compute(memory=10**9))
    consensus = find_consensus(passes, halves, torch.ones(16, 16, 16))
    region = np.asarray(particles.mask) > 0.5
    mesh = make_mesh(region, particles.pixel_size, 16.0)
    voxels = mesh.bind(16, particles.pixel_size, np.flatnonzero(region))
    torch.manual_seed(0)
    flow = FlowNetwork(2, 16, 2, mesh.n_vertices)
    torch.nn.init.normal_(flow.last.weight, std=0.1)
    latents = np.random.default_rng(0).uniform(-1, 1, (80, 2)).astype(np.float32)
    return passes, consensus, halves, voxels, mesh, flow, latents


def make_fit(parts, steps, *, still=False):
    passes, consensus, halves, voxels, mesh, flow, latents = parts
    imaging = make_imaging(voxels, mesh, None if still else flow, consensus)
    return MapFit(passes, imaging, consensus, halves, latents, steps)


def test_the_flow_stays_on_its_device_when_images_are_on_another(parts):
    """Findings of the motion are computed with it on the CPU, after maps were fitted on a GPU."""
    _, consensus, _, voxels, mesh, flow, _ = parts
    elsewhere = [torch.empty(3, *shape, device="meta") for shape in ((3, 3), (2,))]
    assert make_imaging(voxels, mesh, flow, consensus).positions(*elsewhere).device.type == "meta"
    assert {each.device.type for each in flow.parameters()} == {"cpu"}


def test_hessian_is_symmetric_and_the_halves_do_not_mix(parts):
    fit, generator = make_fit(parts, 1), np.random.default_rng(1)
    one, other = (torch.from_numpy(generator.standard_normal((2, len(parts[3])))).float() for _ in range(2))
    there = (fit._run(one, against_data=False).double() * other).sum(1)
    back = (fit._run(other, against_data=False).double() * one).sum(1)
    assert torch.allclose(there, back, rtol=1e-4)
    same = one[:1].expand(2, -1).contiguous()
    everyone = MapFit(fit._passes, fit._imaging, parts[1], np.zeros_like(parts[2]), parts[6], 1)
    together = everyone._run(same, against_data=False)
    assert torch.allclose(fit._run(same, against_data=False).sum(0), together[0], rtol=1e-3, atol=1e-3)
    assert float(together[1].abs().max()) == 0


def test_steps_lead_to_the_minimum_that_scipy_finds(parts):
    fit = make_fit(parts, 40)
    start = fit.start()
    state, convergence = iterate(fit, Checkpoint(None, {}), Silent())
    objectives = np.array([entry["objective"] for entry in convergence.log])
    assert (np.diff(objectives) <= 1e-6).all()

    def misfit(flat):
        change = torch.from_numpy(flat.reshape(2, -1)).float()
        turned = fit._run(change, against_data=False).double()
        gradient = turned - start.residual.double()
        value = float(0.5 * (change * turned).sum() - (change * start.residual).sum())
        return value, gradient.numpy().ravel()

    reached = float(misfit((state.values - start.values).double().numpy().ravel())[0])
    assert reached == pytest.approx(objectives[-1] * 80, rel=1e-3)
    best = minimize(misfit, np.zeros(start.values.numel()), jac=True, method="L-BFGS-B", options={"maxiter": 400})
    assert reached <= best.fun * 0.99  # both are negative


def test_motion_held_at_rest_is_no_motion(parts):
    passes, consensus, halves, voxels, mesh, _, latents = parts
    resting = FlowNetwork(2, 16, 2, mesh.n_vertices)
    torch.nn.init.zeros_(resting.last.weight)
    moving = MapFit(passes, make_imaging(voxels, mesh, resting, consensus), consensus, halves, latents, 1)
    assert torch.equal(moving.start().residual, make_fit(parts, 1, still=True).start().residual)
