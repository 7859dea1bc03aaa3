"""Variation of density that a deformation cannot model: found where an arm comes and goes, and not in noise."""

import numpy as np
import pytest
import torch

from cryobench.compute import Compute
from cryobench.methods.flex_3d.composition import divide_voxels, estimate_variation, measure_composition
from cryobench.methods.flex_3d.consensus import find_consensus
from cryobench.methods.flex_3d.map_fit import make_imaging
from cryobench.reconstruction.deformation import make_mesh
from cryobench.reconstruction.engine import Passes
from cryobench.reconstruction.statistics import split_halves
from hinged_blobs import hinged_dataset


@pytest.mark.gate
def test_an_arm_that_comes_and_goes_is_found_as_large_as_it_varies():
    dataset = hinged_dataset(n=300, size=24, vanishing=True)
    particles = dataset.particles
    passes = Passes(particles, Compute(memory=10**9))
    consensus = find_consensus(passes, split_halves(300, 0), torch.ones(24, 24, 24))
    region = np.asarray(particles.mask) > 0.5
    mesh = make_mesh(region, particles.pixel_size, 16.0)
    voxels = mesh.bind(24, particles.pixel_size, np.flatnonzero(region))
    imaging = make_imaging(voxels, mesh, None, consensus)
    values = voxels.take(consensus.volume)
    latents = np.zeros((300, 1), dtype=np.float32)
    # Its density is uniform between 0 and 2; body and arm are the two halves, but for a blob at the joint.
    whole = measure_composition(passes, imaging, values, latents, divisions=1)
    deviation = np.linspace(0, 2, 13).std()
    assert np.allclose(np.sqrt(whole.variance), deviation, rtol=0.25)
    assert (whole.variance > 5 * whole.error).all()


def test_noise_of_unknown_power_is_no_variation():
    generator = np.random.default_rng(0)
    information = generator.uniform(2, 6, (4000, 2, 3))
    for scale in (1.0, 3.0):
        noise = scale * generator.standard_normal(information.shape) * np.sqrt(information)
        found = estimate_variation(noise, information)
        assert (np.abs(found.variance) < 4 * found.error).all()
        varied = estimate_variation(noise + information * 0.3 * generator.standard_normal((4000, 1, 3)), information)
        assert np.allclose(varied.variance, 0.09, atol=4 * varied.error.max())
        assert (varied.error < 0.03 * scale**2).all()


def test_a_common_offset_is_no_variation():
    information = np.full((100, 2, 1), 4.0)
    found = estimate_variation(0.5 * information, information)
    assert np.allclose(found.variance, 0, atol=1e-12)


def test_blocks_have_equal_mass_and_are_apart():
    region = np.zeros((12, 12, 12), dtype=bool)
    region[4:8, 4:8, 2:10] = True
    mesh = make_mesh(region, 4.0, 12.0)
    voxels = mesh.bind(12, 4.0, np.flatnonzero(region))
    mass = np.ones(len(voxels))
    blocks = divide_voxels(voxels, mesh, mass, 1)
    x = voxels.voxels % 12
    assert np.bincount(blocks).tolist() == [64, 64]
    assert (x[blocks == 0].max() < x[blocks == 1].min()) or (x[blocks == 1].max() < x[blocks == 0].min())
