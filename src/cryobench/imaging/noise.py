"""White noise from named per-particle streams, and the variance of the signal it is measured against.

SNR = signal variance / noise variance, where the signal variance is that of the CTF-applied noise-free images
over all pixels of the box (the benchmark's definition), or over the pixels of a mask. The first also has a closed
form: by the projection-slice theorem its expectation over uniform orientations needs only the volume's
shell-averaged power and the CTFs, so a noise level can be set before any image is made.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32
from torch import Tensor

from cryobench._types import Indices
from cryobench.fourier import frequency_grid, hermitian_weights, shell_average, shell_indices
from cryobench.imaging.ctf import Ctf, evaluate_ctf
from cryobench.rng import IndexedStream

_CTF_BATCH = 256


def white_noise(
    particles: Indices, box_size: int, *, seed: int, purpose: str = "noise", threads: int = 1
) -> Float32[np.ndarray, "n y x"]:
    """Standard normal pixels (n, box_size, box_size) of the particles with the given numbers.

    Each particle draws from its own counter-based stream, so its pixels do not depend on which other particles
    are drawn, in what order, or by how many threads.

    Parameters
    ----------
    particles
        Global particle numbers, non-negative, in any order.
    box_size
        Pixels an axis.
    seed, purpose
        Name of the streams: see ``rng.stream``.
    threads
        Threads to draw with; drawing releases the interpreter.
    """
    pixels = np.empty((len(particles), box_size, box_size), dtype=np.float32)

    def draw(first: int) -> None:
        streams = IndexedStream(seed, purpose)
        for position in range(first, len(particles), threads):
            streams.at(int(particles[position])).standard_normal(dtype=np.float32, out=pixels[position])

    if threads <= 1:
        draw(0)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(draw, range(threads)))
    return pixels


def signal_variance(
    images: Float[Tensor, "n y x"], mask: Bool[Tensor, "y x"] | Bool[Tensor, "n y x"] | None = None
) -> float:
    """Mean over images of the variance of their pixels, all of them or those inside a mask.

    ValueError if a mask has no pixels.
    """
    if mask is None:
        return float(images.double().var(dim=(-2, -1), correction=0).mean())
    inside = mask.expand(images.shape).double()
    counts = inside.sum(dim=(-2, -1))
    if bool((counts == 0).any()):
        raise ValueError("the mask leaves no pixel of some image to measure the signal in.")
    values = images.double()
    mean = (values * inside).sum(dim=(-2, -1), keepdim=True) / counts[:, None, None]
    return float(((((values - mean) ** 2) * inside).sum(dim=(-2, -1)) / counts).mean())


def volume_shell_power(volume_spectrum: Tensor, box_size: int) -> Float[Tensor, "s"]:
    """Mean |V|² of each shell of a volume's half-spectrum (z, y, h), for ``expected_signal_variance``. float64."""
    indices = shell_indices(box_size, 3, device=volume_spectrum.device)
    power = volume_spectrum.real.double() ** 2 + volume_spectrum.imag.double() ** 2
    return shell_average(power, indices, box_size // 2 + 1, box_size=box_size)


def expected_signal_variance(
    shell_power: Float[Tensor, "s"],
    ctf: Ctf,
    *,
    box_size: int,
    pixel_size: float,
    radius: float | None = None,
) -> Float[Tensor, "n"]:
    """Variance over all pixels of each particle's noise-free image, averaged over uniform orientations.

    By Parseval it is n⁻⁴ Σ_{k≠0} CTF(k)² P(|k|) with P the volume's shell-averaged power: a slice of uniform
    orientation has on average the power of the shell. P is interpolated linearly between shells.

    Parameters
    ----------
    shell_power
        From ``volume_shell_power``.
    ctf
        Parameters of n particles.
    box_size, pixel_size
        Pixels an axis, and Å per pixel.
    radius
        Entries with |k| > radius (index units) are 0 in the images. Default: (box_size − 1) // 2, as in
        ``extract_slices``.

    Returns
    -------
    (n,) float64, in squared units of the projection.
    """
    frequencies = frequency_grid(box_size, 2, pixel_size=pixel_size, device=shell_power.device)
    distance = torch.linalg.norm(frequencies.double(), dim=-1) * (box_size * pixel_size)
    limit = (box_size - 1) // 2 if radius is None else radius
    lower = distance.floor().long().clamp(max=len(shell_power) - 1)
    upper = (lower + 1).clamp(max=len(shell_power) - 1)
    fraction = distance - lower
    power = (1 - fraction) * shell_power.double()[lower] + fraction * shell_power.double()[upper]
    kept = (distance > 0) & (distance <= limit + 1e-6)
    power = power * kept * hermitian_weights(box_size, device=shell_power.device).double()
    parts = []
    for first in range(0, len(ctf), _CTF_BATCH):
        transfer = evaluate_ctf(ctf[first : first + _CTF_BATCH], frequencies).double()
        parts.append((transfer**2 * power).sum(dim=(-2, -1)))
    return torch.cat(parts) / box_size**4
