"""Contrast transfer function: the parameters of n particles, and their evaluation.

CTF = √(1−w²) sin γ − w cos γ,   γ(s) = 2π (−½ Δf λ s² + ¼ Cs λ³ s⁴) − phase shift,

with Δf(s) = ½ [U + V + (U − V) cos 2(∠s − defocus angle)]. So CTF(0) = −w: at underfocus (positive defocus)
protein is dark in recorded images. The angle is measured from the x axis towards y. Other programs' signs are
converted where their files are read, never by a flag here. The CPU evaluates the same formula in compiled form
(``kernels.cpu.ctf_and_shift``), and tests compare the two.

Source: Rohou & Grigorieff, J. Struct. Biol. 192 (2015) 216, doi:10.1016/j.jsb.2015.08.008; the wavelength is
the relativistic de Broglie wavelength, λ = 12.2639 / √(V + 0.97845·10⁻⁶ V²) Å.
"""

from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from cryobench._display import Displayed

_COLUMNS = [
    "defocus_u",
    "defocus_v",
    "defocus_angle",
    "voltage_kv",
    "cs_mm",
    "amplitude_contrast",
    "phase_shift",
    "b_factor",
]


@dataclass(frozen=True, eq=False, repr=False)
class Ctf(Displayed):
    """CTF parameters of n particles: read-only float64 arrays of shape (n,), checked once on construction.

    Raises
    ------
    ValueError
        If the arrays differ in length, a value is not finite, a voltage is not positive or an amplitude
        contrast is outside [0, 1]; the message names the parameter and the first such particle.
    """

    defocus_u: np.ndarray
    """Å, larger or smaller of the two principal defoci; positive is underfocus."""
    defocus_v: np.ndarray
    """Å, the other principal defocus."""
    defocus_angle: np.ndarray
    """Radian, from the x axis to the direction of ``defocus_u``."""
    voltage_kv: np.ndarray
    """Acceleration voltage in kV."""
    cs_mm: np.ndarray
    """Spherical aberration in mm."""
    amplitude_contrast: np.ndarray
    """Fraction w in [0, 1]."""
    phase_shift: np.ndarray
    """Radian, of a phase plate."""
    b_factor: np.ndarray
    """Å², of the envelope exp(−B s² / 4)."""

    def __post_init__(self) -> None:
        length = len(np.atleast_1d(self.defocus_u))
        for name in _COLUMNS:
            values = np.array(getattr(self, name), dtype=np.float64, ndmin=1)
            if values.shape != (length,):
                raise ValueError(
                    f"CTF parameter {name} has shape {values.shape}, expected ({length},) as defocus_u has: "
                    "give one value per particle, or use Ctf.from_columns to repeat a single value."
                )
            bad = ~np.isfinite(values)
            if name == "voltage_kv":
                bad |= values <= 0
            if name == "amplitude_contrast":
                bad |= (values < 0) | (values > 1)
            if bad.any():
                first = int(np.argmax(bad))
                raise ValueError(f"CTF parameter {name} of particle {first} is {values[first]}, out of range.")
            values.flags.writeable = False
            object.__setattr__(self, name, values)

    @classmethod
    def from_columns(
        cls,
        n: int,
        *,
        defocus_u: np.ndarray | float,
        defocus_v: np.ndarray | float,
        defocus_angle: np.ndarray | float = 0.0,
        voltage_kv: np.ndarray | float = 300.0,
        cs_mm: np.ndarray | float = 2.7,
        amplitude_contrast: np.ndarray | float = 0.1,
        phase_shift: np.ndarray | float = 0.0,
        b_factor: np.ndarray | float = 0.0,
    ) -> "Ctf":
        """Parameters of ``n`` particles from arrays of shape (n,) or single values, which are repeated."""
        given = {
            "defocus_u": defocus_u,
            "defocus_v": defocus_v,
            "defocus_angle": defocus_angle,
            "voltage_kv": voltage_kv,
            "cs_mm": cs_mm,
            "amplitude_contrast": amplitude_contrast,
            "phase_shift": phase_shift,
            "b_factor": b_factor,
        }
        return cls(**{name: _repeated(name, values, n) for name, values in given.items()})

    def __len__(self) -> int:
        return len(self.defocus_u)

    def __getitem__(self, indices: np.ndarray | slice) -> "Ctf":
        """Parameters of a subset of the particles, in the given order."""
        return Ctf(*(getattr(self, field.name)[indices] for field in fields(self)))


def _repeated(name: str, values: np.ndarray | float, n: int) -> np.ndarray:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim == 0:
        return np.full(n, array)
    if array.shape != (n,):
        raise ValueError(f"CTF parameter {name} has shape {array.shape}, expected ({n},) or a single value.")
    return array


def electron_wavelength(voltage_kv: np.ndarray | float) -> np.ndarray:
    """Relativistic wavelength in Å of electrons accelerated by ``voltage_kv``: 0.0197 Å at 300 kV."""
    volts = np.asarray(voltage_kv, dtype=np.float64) * 1e3
    return np.asarray(12.2639 / np.sqrt(volts + 0.97845e-6 * volts**2))


class PhaseCoefficients(NamedTuple):
    """For n particles, float64: CTF = sin((quartic |s|² − mean − difference cos 2(∠s − angle)) |s|² − offset)."""

    quartic: np.ndarray
    """π/2 Cs λ³, Å⁴."""
    mean: np.ndarray
    """π λ (U + V) / 2, Å²."""
    difference: np.ndarray
    """π λ (U − V) / 2, Å²."""
    offset: np.ndarray
    """Phase shift + arcsin w: √(1−w²) sin γ − w cos γ = sin(γ − arcsin w)."""


def phase_coefficients(ctf: Ctf) -> PhaseCoefficients:
    """Coefficients common to all evaluations of the CTF, on any grid."""
    wavelength = electron_wavelength(ctf.voltage_kv)
    return PhaseCoefficients(
        np.pi / 2 * ctf.cs_mm * 1e7 * wavelength**3,
        np.pi * wavelength * (ctf.defocus_u + ctf.defocus_v) / 2,
        np.pi * wavelength * (ctf.defocus_u - ctf.defocus_v) / 2,
        ctf.phase_shift + np.arcsin(ctf.amplitude_contrast),
    )


def evaluate_ctf(ctf: Ctf, frequencies: Float[Tensor, "*shape 2"]) -> Float[Tensor, "n *shape"]:
    """Contrast transfer of each particle on a grid of spatial frequencies, in the order of ``frequencies``.

    Parameters
    ----------
    ctf
        Parameters of n particles.
    frequencies
        (..., 2) in 1/Å, last axis (x, y); see ``fourier.frequency_grid``.

    Returns
    -------
    (n, ...) values, in [−1, 1] without a B factor; CTF(0) = −amplitude contrast.

    Examples
    --------
    >>> ctf = Ctf.from_columns(1, defocus_u=15_000.0, defocus_v=15_000.0, amplitude_contrast=0.1)
    >>> round(evaluate_ctf(ctf, torch.zeros(1, 2)).item(), 3)
    -0.1
    """
    x, y = frequencies.unbind(-1)
    squared = x * x + y * y
    angle = torch.atan2(y, x)
    shape = (-1,) + (1,) * squared.ndim

    def column(values: np.ndarray) -> Tensor:
        return torch.tensor(values, dtype=frequencies.dtype, device=frequencies.device).reshape(shape)

    phase = phase_coefficients(ctf)
    mean, difference = column(phase.mean), column(phase.difference)
    quartic = column(phase.quartic)
    # √(1−w²) sin γ − w cos γ = sin(γ − arcsin w): one sine instead of a sine and a cosine.
    offset = column(phase.offset)
    astigmatic = mean + difference * torch.cos(2 * (angle - column(ctf.defocus_angle)))
    values = torch.sin((quartic * squared - astigmatic) * squared - offset)
    if np.any(ctf.b_factor != 0):
        values = values * torch.exp(column(ctf.b_factor) * (-squared / 4))
    return values
