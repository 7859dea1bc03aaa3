"""The fused CPU pass agrees with CTF and shift applied one after the other, and its bits know no company."""

import numpy as np
import pytest
import torch

from cryobench.fourier import frequency_grid
from cryobench.imaging.ctf import Ctf, evaluate_ctf
from cryobench.imaging.ctf_and_shift import apply_transfer
from cryobench.imaging.shift import shift_images


@pytest.fixture(params=[32, 33], ids=lambda n: f"box{n}")
def case(request, rng):
    n, box_size = 7, request.param
    spectra = rng.standard_normal((n, box_size, box_size // 2 + 1, 2)).astype(np.float32)
    ctf = Ctf.from_columns(
        n,
        defocus_u=rng.uniform(8e3, 2e4, n),
        defocus_v=rng.uniform(8e3, 2e4, n),
        defocus_angle=rng.uniform(0, np.pi, n),
        phase_shift=rng.uniform(0, 1, n),
        b_factor=rng.uniform(0, 100, n),
    )
    moves = torch.from_numpy(rng.uniform(-20, 20, (n, 2)).astype(np.float32))
    return torch.view_as_complex(torch.from_numpy(spectra)), ctf, moves


def test_equals_ctf_then_shift(case):
    spectra, ctf, moves = case
    box_size = spectra.shape[1]
    grid = frequency_grid(box_size, 2, pixel_size=3.0)
    expected = shift_images(spectra * evaluate_ctf(ctf, grid), moves, box_size, pixel_size=3.0)
    torch.testing.assert_close(apply_transfer(spectra, ctf, moves, pixel_size=3.0), expected, atol=3e-5, rtol=0)


def test_bits_depend_on_neither_company_nor_threads(case):
    spectra, ctf, moves = case
    torch.set_num_threads(4)
    together = apply_transfer(spectra, ctf, moves, pixel_size=3.0)
    torch.set_num_threads(1)
    alone = apply_transfer(spectra[2:3], ctf[2:3], moves[2:3], pixel_size=3.0)
    assert torch.equal(together[2:3], alone)


def test_input_is_left_alone(case):
    spectra, ctf, moves = case
    before = spectra.clone()
    apply_transfer(spectra, ctf, moves, pixel_size=3.0)
    assert torch.equal(spectra, before)
