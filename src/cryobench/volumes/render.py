"""Density of an atomic model on a voxel grid, as by ChimeraX's molmap.

Definition and cutoff are those of ``atoms.gaussians``. Two differences from molmap's command: the grid is given
(cubic, the model's origin at voxel ``box_size // 2``, where molmap makes a box around the atoms), and the sum is
made in double precision per atom. The unit is that of molmap: atomic number per Å³, so that the voxels' sum times
``pixel_size³`` is the sum of atomic numbers.
"""

import numpy as np
import torch
from jaxtyping import Float64

from cryobench._types import Volume
from cryobench.atoms import gaussians
from cryobench.atoms.model import AtomicModel
from cryobench.atoms.solvent import make_layers


def render(
    model: AtomicModel,
    box_size: int,
    pixel_size: float,
    resolution: float,
    *,
    solvent_density: float = 0.0,
    cutoff: float = gaussians.CUTOFF,
) -> Volume:
    """Density (z, y, x), float32, of a model whose origin is at voxel ``box_size // 2`` of each axis.

    The Gaussians are sampled at the voxel centres, not averaged over voxels: with ``pixel_size`` above about
    resolution / 3 the density has frequencies beyond Nyquist, which appear as aliases;
    rendering on a finer grid and cropping the spectrum (`fourier.crop_with_power`) removes them.

    Parameters
    ----------
    model
        Every atom counts, with its atomic number; see `AtomicModel.centred`.
    box_size
        Voxels of each axis, even or odd.
    pixel_size
        Å.
    resolution
        molmap's, in Å: sigma = resolution / (π √2).
    solvent_density
        g/cm³ of displaced solvent to be subtracted (see ``atoms.solvent``); 0 for vacuum, as molmap.
    cutoff
        Extent of a Gaussian, in sigma, along each axis. At 5, as in molmap, 2e-6 of its mass is omitted.

    Raises
    ------
    ValueError
        If an atom's centre is outside the box; the message names the smallest box that contains them all. If the
        grid has no voxel of positive size.
    """
    _check_grid(box_size, pixel_size)
    check_inside(model.positions, box_size, pixel_size)
    volume = np.zeros((box_size,) * 3, dtype=np.float32)
    order = np.argsort(model.positions[:, 2], kind="stable")
    for layer in make_layers(model, resolution, solvent_density):
        gaussians.sum_gaussians_volume(
            model.positions,
            layer.weights,
            order,
            box_size,
            float(pixel_size),
            gaussians.sigma_from_resolution(layer.resolution),
            float(cutoff),
            volume,
        )
    return torch.from_numpy(volume)


def _check_grid(box_size: int, pixel_size: float) -> None:
    if box_size < 1 or not pixel_size > 0:
        raise ValueError(
            f"a grid needs at least one voxel of positive size, got {box_size} voxels of {pixel_size} Å."
        )


def check_inside(positions: Float64[np.ndarray, "a 3"], box_size: int, pixel_size: float) -> None:
    """ValueError if atoms (a, 3), in Å, are outside a box about the origin, with the smallest box that fits."""
    half = box_size // 2
    lower, upper = -half * pixel_size, (box_size - 1 - half) * pixel_size
    lowest, highest = positions.min(), positions.max()
    if lowest >= lower and highest <= upper:
        return
    below, above = int(np.ceil(-lowest / pixel_size)), int(np.ceil(highest / pixel_size))
    needed = min(2 * max(below, above + 1), 2 * max(below, above) + 1)
    outside = ((positions < lower) | (positions > upper)).any(axis=1).sum()
    raise ValueError(
        f"{outside} atoms lie outside the box: they extend from {lowest:.1f} to {highest:.1f} Å about the origin, "
        f"the box of {box_size} voxels of {pixel_size:g} Å from {lower:.1f} to {upper:.1f} Å. "
        f"Centre the model, or use at least {needed} voxels of this size."
    )
