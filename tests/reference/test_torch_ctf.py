"""CTF against torch-ctf, which has the opposite sign, micrometres and degrees."""

import numpy as np
import pytest
import torch

from cryobench.fourier import frequency_grid
from cryobench.imaging.ctf import Ctf, evaluate_ctf

torch_ctf = pytest.importorskip("torch_ctf")


@pytest.mark.parametrize("box_size", [48, 49])
@pytest.mark.parametrize(
    "parameters",
    [
        {"defocus_u": 12e3, "defocus_v": 12e3},
        {"defocus_u": 21e3, "defocus_v": 17e3, "defocus_angle": 0.6},
        {"defocus_u": 11e3, "defocus_v": 9e3, "defocus_angle": 2.4, "voltage_kv": 200.0, "cs_mm": 1.4},
        {"defocus_u": 5e3, "defocus_v": 5e3, "phase_shift": 1.2, "amplitude_contrast": 0.07},
        {"defocus_u": -4e3, "defocus_v": -4e3, "cs_mm": 4.1, "amplitude_contrast": 0.2},
    ],
)
def test_agrees_with_torch_ctf(box_size, parameters):
    pixel_size = 1.7
    ctf = Ctf.from_columns(1, **parameters)
    ours = evaluate_ctf(ctf, frequency_grid(box_size, 2, pixel_size=pixel_size).double())[0]
    u, v = float(ctf.defocus_u[0]), float(ctf.defocus_v[0])
    theirs = torch_ctf.calculate_ctf_2d(
        defocus=(u + v) / 2e4,
        astigmatism=(u - v) / 2e4,
        astigmatism_angle=np.degrees(float(ctf.defocus_angle[0])),
        voltage=float(ctf.voltage_kv[0]),
        spherical_aberration=float(ctf.cs_mm[0]),
        amplitude_contrast=float(ctf.amplitude_contrast[0]),
        phase_shift=np.degrees(float(ctf.phase_shift[0])),
        pixel_size=pixel_size,
        image_shape=(box_size, box_size),
        rfft=True,
        fftshift=False,
    )
    # The wavelengths differ in the fifth digit, which the phase multiplies.
    assert (ours + torch.as_tensor(theirs).squeeze().double()).abs().max() < 8e-3


def test_the_two_principal_defoci_may_be_exchanged():
    frequencies = frequency_grid(32, 2, pixel_size=2.0).double()
    first = Ctf.from_columns(1, defocus_u=11e3, defocus_v=9e3, defocus_angle=0.4)
    second = Ctf.from_columns(1, defocus_u=9e3, defocus_v=11e3, defocus_angle=0.4 + np.pi / 2)
    torch.testing.assert_close(evaluate_ctf(first, frequencies), evaluate_ctf(second, frequencies))
