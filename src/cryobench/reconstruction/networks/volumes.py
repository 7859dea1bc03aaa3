"""Volumes of a coordinate network: its spectrum on the grid of a box, for many latents at once.

Only one of each Friedel pair is evaluated, the one whose last coordinate other than zero is negative, within the ball
|k| ≤ ½ in which slices lie, so a volume's corners in Fourier space are zero. The zero frequency is in no loss; it is
chosen such that the solvent, beyond the largest sphere in the box, is zero on average.
"""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from cryobench.fourier import ifft_volume
from cryobench.reconstruction.networks.coordinate_network import CoordinateNetwork
from cryobench.reconstruction.networks.encoding import centred_points
from cryobench.reconstruction.networks.spectrum import evaluate_spectrum

_MOST_AT_ONCE = 32
_SPECTRA_BYTES = 1 << 28
"""Memory for the spectra of all latents at once."""
_PRODUCTS = 5e11
"""Multiplications for all latents at once, some ten seconds of a core. Latents have only the first layer in common,
and none is finished before all are: an interruption loses them."""


@torch.no_grad()
def decode_volumes(
    network: CoordinateNetwork, latents: Float[np.ndarray, "m k"], scale: float, *, box_size: int | None = None
) -> Iterator[Float[np.ndarray, "z y x"]]:
    """Volumes, float32, at latents, one at a time.

    Parameters
    ----------
    scale
        s, by which the network's output is multiplied: see ``prepared_images``.
    box_size
        Box of the volumes; if smaller than that of the network, they are Fourier-cropped, except for the zero
        frequency, which follows from the solvent of the smaller box. None for its own.
    """
    full = network.shape.box_size
    size = full if box_size is None else box_size
    device = network.frequencies.device
    points = _grid_points(size, full)
    x, y, z = points.T
    index = torch.from_numpy(((z % size) * size + y % size) * (size // 2 + 1) + x).to(device)
    above = (z > 0) | ((z == 0) & ((y > 0) | ((y == 0) & (x > 0))))
    sides = torch.from_numpy(np.where(above, -1, 1)[:, None]).float().to(device)
    at = sides * torch.from_numpy(points / full).float().to(device)
    outside = _outside(size, device)
    n_weights = sum(weights.numel() for weights in network.parameters())
    most = min(_SPECTRA_BYTES / (8 * size * size * (size // 2 + 1)), _PRODUCTS / (n_weights * len(points)))
    at_once = min(_MOST_AT_ONCE, max(1, int(most)))
    for first in range(0, len(latents), at_once):
        group = torch.from_numpy(np.asarray(latents[first : first + at_once], dtype=np.float32)).to(device)
        spectra = torch.zeros(len(group), size * size * (size // 2 + 1), dtype=torch.complex64, device=device)
        for part, found in evaluate_spectrum(network, at, group):
            mirrored = torch.cat([found[..., :1], found[..., 1:] * sides[part]], dim=-1)
            spectra[:, index[part]] = torch.view_as_complex(mirrored)
        gain = scale * (size / full) ** 3
        for spectrum in spectra:
            volume = ifft_volume(spectrum.reshape(size, size, size // 2 + 1) * gain, size)
            yield (volume - volume[outside].mean()).cpu().numpy()


def _grid_points(size: int, full: int) -> Int[np.ndarray, "p 3"]:
    """Integer (x, y, z) of the entries of a half-spectrum of ``size`` within the ball of a ``full`` box."""
    if size < full:  # as ``fourier_crop``, without the Nyquist planes of an even box
        return centred_points(full // 2, (size - 1) // 2)
    points = centred_points(full // 2)
    # An even box stores its Nyquist frequency once, as the negative one.
    return points[(points[:, 1:] < (size + 1) // 2).all(axis=1)]


def _outside(size: int, device: torch.device) -> Bool[Tensor, "z y x"]:
    """Whether a voxel is beyond the largest sphere in the box."""
    axis = torch.arange(size, device=device) - size // 2
    return axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2 > (size // 2) ** 2
