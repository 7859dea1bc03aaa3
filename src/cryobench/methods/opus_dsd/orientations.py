"""Viewing directions: the bins from which batches are drawn, and the tilted orientations compared with an image."""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryobench.rotations import healpix_directions

_POLAR = 40
"""Pixels of the first four rings, which contain the polar neighbours."""
N_TILTED = 8
"""Number of neighbours of the polar pixel."""


def view_bins(rotations: Float[np.ndarray, "n 3 3"], n_side: int) -> Int[np.ndarray, "n"]:
    """(n,) index of the HEALPix centre nearest to each particle's viewing direction.

    That direction is the third row of its rotation. Cells are the sets nearest to a centre, which differ from
    HEALPix pixels only along their borders.
    """
    return np.argmax(np.asarray(rotations)[:, 2] @ healpix_directions(n_side).T, axis=1)


def tilted_directions(n_side: int) -> Float[np.ndarray, "8 2"]:
    """(8, 2) tilt and azimuth, in radians, of the neighbours of the first pixel of a HEALPix grid, about the pole.

    The first pixel is one of the four that meet at the pole. Its neighbours are the 8 nearest pixels: the other three
    at the pole, four of the second ring, one of the third; at 32 their tilts are 1.46°, 2.92° and 4.39°. The pole,
    the given orientation itself, is not among them.
    """
    directions = healpix_directions(n_side, first=_POLAR)
    nearest = np.argsort(-(directions @ directions[0]), kind="stable")[1 : N_TILTED + 1]
    x, y, z = directions[np.sort(nearest)].T
    return np.stack([np.arctan2(np.hypot(x, y), z), np.arctan2(y, x)], axis=1)


def tilts(directions: Float[np.ndarray, "j 2"], azimuths: Float[Tensor, "b"]) -> Float[Tensor, "b j 3 3"]:
    """Rotations by each tilt towards each azimuth, without in-plane rotation, all rotated by an angle per image."""
    tilt, azimuth = (torch.from_numpy(each).to(azimuths) for each in directions.T)
    cosine, sine = torch.cos(tilt), torch.sin(tilt)
    toward = azimuth + azimuths[:, None]
    x, y = torch.cos(toward), torch.sin(toward)
    cosine, sine = cosine.expand_as(x), sine.expand_as(x)
    rows = [
        [1 - (1 - cosine) * x * x, -(1 - cosine) * x * y, sine * x],
        [-(1 - cosine) * x * y, 1 - (1 - cosine) * y * y, sine * y],
        [-sine * x, -sine * y, cosine],
    ]
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)
