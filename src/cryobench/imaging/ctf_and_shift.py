"""Transfer of projections by the microscope, in one pass: CTF times the phases of a displacement."""

import numpy as np
from jaxtyping import Complex, Float
from torch import Tensor

from cryobench._threads import run_ranges
from cryobench.fourier import frequency_axis, frequency_grid
from cryobench.imaging.ctf import Ctf, evaluate_ctf, phase_coefficients
from cryobench.imaging.kernels.cpu import ctf_and_shift as cpu
from cryobench.imaging.shift import shift_phases


def apply_transfer(
    spectra: Complex[Tensor, "n y h"], ctf: Ctf, displacements: Float[Tensor, "n 2"], *, pixel_size: float
) -> Complex[Tensor, "n y h"]:
    """Multiply half-spectra of n images by their CTF and translate their content by ``displacements``.

    Parameters
    ----------
    spectra
        (n, y, h) native-order half-spectra; not modified.
    ctf
        Parameters of the n particles.
    displacements
        (n, 2) Å, (x, y). A particle whose pose has shift t appears displaced by −t: pass −t to simulate an
        image, +t to centre one (see ``shift``).
    pixel_size
        Å per pixel.

    Returns
    -------
    (n, y, h). On the CPU each image's bits do not depend on the other images or the number of threads.
    """
    box_size = spectra.shape[1]
    if spectra.device.type != "cpu":
        grid = frequency_grid(box_size, 2, pixel_size=pixel_size, device=spectra.device)
        phases = shift_phases(displacements, box_size, pixel_size=pixel_size)
        return spectra * evaluate_ctf(ctf, grid) * phases
    # The grid is in double precision, so that the phases are as exact as float32 allows.
    along_y = frequency_axis(box_size, half=False).numpy().astype(np.float64) / pixel_size
    along_x = frequency_axis(box_size, half=True).numpy().astype(np.float64) / pixel_size
    squared = along_y[:, None] ** 2 + along_x**2
    double_angle = 2 * np.arctan2(along_y[:, None], along_x[None, :])
    phase = phase_coefficients(ctf)
    quartic, mean, along_cosine, along_sine, offset = (
        (radians / (2 * np.pi)).astype(np.float32)  # the kernel counts in turns
        for radians in (
            phase.quartic,
            phase.mean,
            phase.difference * np.cos(2 * ctf.defocus_angle),
            phase.difference * np.sin(2 * ctf.defocus_angle),
            phase.offset,
        )
    )
    result = spectra.contiguous().clone()
    run_ranges(
        cpu.apply_transfer,
        len(result),
        result.numpy(),
        squared.astype(np.float32),
        np.cos(double_angle).astype(np.float32),
        np.sin(double_angle).astype(np.float32),
        quartic,
        mean,
        along_cosine,
        along_sine,
        offset,
        (ctf.b_factor / 4).astype(np.float32),
        (2 * np.pi / (pixel_size * box_size) * displacements.numpy().astype(np.float64)).astype(np.float32),
    )
    return result
