"""Sub-pixel translation of images in Fourier space.

A pose's shift is in Å and is the displacement that *centres* the particle (as rlnOriginXAngst): applying it moves
the particle to the centre of the box, applying its negative moves a centred projection to the particle's position.
"""

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from cryobench._threads import run_ranges
from cryobench.fourier import frequency_axis
from cryobench.imaging.kernels.cpu import ctf_and_shift as cpu


def shift_phases(shifts: Float[Tensor, "n 2"], box_size: int, *, pixel_size: float) -> Complex[Tensor, "n y h"]:
    """Factors exp(−2πi k·t) that translate images by t = ``shifts`` (n, 2) in Å, ordered (x, y), on half-spectra.

    For an even size the Nyquist row and column get the real part, so that the shifted image stays real.
    """
    along_y, along_x = _phases_by_axis(shifts, box_size, pixel_size)
    return along_y[:, :, None] * along_x[:, None, :]


def _phases_by_axis(
    shifts: Float[Tensor, "n 2"], box_size: int, pixel_size: float
) -> tuple[Complex[Tensor, "n y"], Complex[Tensor, "n h"]]:
    radians = -2 * torch.pi * shifts / pixel_size
    half = frequency_axis(box_size, half=True, device=shifts.device)
    full = frequency_axis(box_size, half=False, device=shifts.device)
    along_x = torch.polar(torch.ones(1, device=shifts.device), radians[:, :1] * half)
    along_y = torch.polar(torch.ones(1, device=shifts.device), radians[:, 1:] * full)
    if box_size % 2 == 0:
        along_x[:, -1] = along_x[:, -1].real.to(along_x.dtype)
        along_y[:, box_size // 2] = along_y[:, box_size // 2].real.to(along_y.dtype)
    return along_y, along_x


def shift_images(
    spectra: Complex[Tensor, "n y h"], shifts: Float[Tensor, "n 2"], box_size: int, *, pixel_size: float
) -> Complex[Tensor, "n y h"]:
    """Half-spectra of the images translated by ``shifts`` (n, 2) in Å: content moves towards +x, +y for positive t.

    On the CPU each image's bits do not depend on the other images or the number of threads. Not differentiable there.
    """
    if spectra.device.type != "cpu":
        return spectra * shift_phases(shifts, box_size, pixel_size=pixel_size)
    along_y, along_x = _phases_by_axis(shifts, box_size, pixel_size)
    result = spectra.contiguous().clone()
    run_ranges(cpu.turn_phases, len(result), result.numpy(), along_y.numpy(), along_x.numpy())
    return result
