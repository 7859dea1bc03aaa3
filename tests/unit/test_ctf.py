"""CTF parameters and values: signs, zeros, envelope, refusals."""

import numpy as np
import pytest
import torch

from cryobench.imaging.ctf import Ctf, electron_wavelength, evaluate_ctf


def line(count=200, top=0.25):
    x = torch.linspace(0, top, count, dtype=torch.float64)
    return torch.stack([x, torch.zeros_like(x)], dim=-1)


@pytest.mark.parametrize(("voltage_kv", "wavelength"), [(300.0, 0.019687), (200.0, 0.025079), (100.0, 0.037014)])
def test_wavelength(voltage_kv, wavelength):
    assert electron_wavelength(voltage_kv) == pytest.approx(wavelength, rel=1e-4)


def test_value_at_zero_frequency_and_sign_beyond():
    ctf = Ctf.from_columns(2, defocus_u=15e3, defocus_v=15e3, amplitude_contrast=np.array([0.1, 0.0]))
    values = evaluate_ctf(ctf, line())
    assert values[:, 0].numpy() == pytest.approx([-0.1, 0])
    # At underfocus the first lobe has one sign: dark protein.
    assert (values[1, 1:20] < 0).all()


def test_matches_its_formula_with_all_terms():
    ctf = Ctf.from_columns(
        1, defocus_u=18e3, defocus_v=14e3, defocus_angle=0.5, phase_shift=0.7, amplitude_contrast=0.15, b_factor=60.0
    )
    frequencies = torch.tensor([[0.03, 0.11], [-0.08, 0.02], [0.1, -0.1]], dtype=torch.float64)
    x, y = frequencies.T.numpy()
    squared, angle = x**2 + y**2, np.arctan2(y, x)
    wavelength, cs = electron_wavelength(300.0), 2.7e7
    defocus = 0.5 * (18e3 + 14e3 + 4e3 * np.cos(2 * (angle - 0.5)))
    gamma = 2 * np.pi * (-0.5 * defocus * wavelength * squared + 0.25 * cs * wavelength**3 * squared**2) - 0.7
    expected = np.sqrt(1 - 0.15**2) * np.sin(gamma) - 0.15 * np.cos(gamma)
    got = evaluate_ctf(ctf, frequencies)[0]
    np.testing.assert_allclose(got, expected * np.exp(-60 * squared / 4), atol=1e-9)


def test_defocus_u_lies_along_the_defocus_angle():
    ctf = Ctf.from_columns(1, defocus_u=20e3, defocus_v=10e3, defocus_angle=np.pi / 2)
    round_ctf = Ctf.from_columns(1, defocus_u=20e3, defocus_v=20e3)
    along_y = line().flip(-1)
    torch.testing.assert_close(evaluate_ctf(ctf, along_y), evaluate_ctf(round_ctf, along_y))


def test_subset_and_length():
    ctf = Ctf.from_columns(4, defocus_u=np.arange(4) * 1e3, defocus_v=np.arange(4) * 1e3)
    assert len(ctf) == 4
    assert ctf[np.array([3, 1])].defocus_u.tolist() == [3e3, 1e3]
    assert not ctf.defocus_u.flags.writeable


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"defocus_v": np.zeros(3)}, "defocus_v has shape"),
        ({"defocus_u": np.array([1e4, np.nan])}, "defocus_u of particle 1 is nan"),
        ({"voltage_kv": 0.0}, "voltage_kv of particle 0"),
        ({"amplitude_contrast": np.array([0.1, 1.2])}, "amplitude_contrast of particle 1 is 1.2"),
    ],
)
def test_refusals_name_the_parameter_and_the_particle(change, message):
    with pytest.raises(ValueError, match=message):
        Ctf.from_columns(2, **({"defocus_u": 1e4, "defocus_v": 1e4} | change))
