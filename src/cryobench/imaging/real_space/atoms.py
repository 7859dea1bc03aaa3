"""Noise-free projections directly from the atoms, without a volume: the simulator's exact route.

The Gaussians of ``atoms.gaussians`` integrate along z in closed form, so an image is a sum of two-dimensional
Gaussians at the rotated, displaced atoms, sampled at the pixel centres.

Unit: atomic number per Å². An integral along z: it equals ``pixel_size`` times the sum over the z voxels of the
rotated model's rendered density, and a central slice of that density's transform, which is such a sum, must be
multiplied by ``pixel_size`` to compare. The sum over voxels is the rectangle rule for the integral, exact for a
Gaussian except for aliased terms. With r = sigma / pixel_size they are at most 2 exp(−2 π² r²) of one atom; on an
antibody (1HZH) the two images differ in relative L2 by 3.5e-3 at r = 0.45 (3 Å resolution on 1.5 Å voxels), 2e-5
at 0.675, and 1e-6 from 0.8 on, where the cutoff at 5 sigma remains.

Cost: 1.4 ms an image on one core for 23,000 atoms at 3 Å resolution on 512 px of 0.75 Å, 1.1 ms on 256 px of 1.5 Å.
"""

import numpy as np
import torch
from jaxtyping import Float, Float64, Shaped

from cryobench._threads import run_parts
from cryobench._types import Images, Rotations
from cryobench.atoms.gaussians import CUTOFF, sigma_from_resolution
from cryobench.atoms.projected_gaussians import sum_gaussians_image, tabulate_gaussian


def project_atoms(
    positions: Float64[np.ndarray, "a 3"] | Float64[np.ndarray, "_ a 3"],
    weights: Shaped[np.ndarray, " _"],
    rotations: Rotations,
    box_size: int,
    pixel_size: float,
    resolution: float,
    *,
    shifts: Float[torch.Tensor, "_ 2"] | None = None,
) -> Images:
    """Projections (n, y, x), float32, of atoms in n poses.

    Density beyond the image's edge is cut off, as by a detector. Images are distributed over threads; the bits of
    each depend only on its own atoms and pose.

    Parameters
    ----------
    positions
        (a, 3) in Å, or (n, a, 3) for a separate conformation in each image; the origin is at pixel
        ``box_size // 2`` of both axes.
    weights
        (a,) the integral of each Gaussian: `AtomicModel.atomic_numbers`.
    rotations
        (n, 3, 3), x_particle = R x_reference; the beam runs along the particle's z.
    box_size, pixel_size
        Pixels per axis, even or odd, and their size in Å.
    resolution
        molmap's, in Å: sigma = resolution / (π √2).
    shifts
        (n, 2), x and y in Å, the displacement that centres the particle: it appears displaced by minus the shift.
        None for centred particles.

    Raises
    ------
    ValueError
        If arrays differ in length, or the grid has no pixel of positive size.
    """
    if box_size < 1 or not pixel_size > 0:
        raise ValueError(
            f"a grid needs at least one pixel of positive size, got {box_size} pixels of {pixel_size} Å."
        )
    atoms = positions.shape[-2]
    if len(weights) != atoms:
        raise ValueError(f"one weight per atom: got {len(weights)} weights for {atoms} positions.")
    count = len(rotations)
    if positions.ndim == 3 and len(positions) != count:
        raise ValueError(f"one conformation per rotation: got {len(positions)} for {count} rotations.")
    if shifts is None:
        shifts = torch.zeros(count, 2, dtype=torch.float64)
    if len(shifts) != count:
        raise ValueError(f"one shift per rotation: got {len(shifts)} shifts for {count} rotations.")
    images = np.zeros((count, box_size, box_size), dtype=np.float32)
    conformations = np.broadcast_to(positions, (count, atoms, 3))
    values = np.ascontiguousarray(weights, dtype=np.float64)
    turns, moves = _as_float64(rotations), _as_float64(shifts)
    grid = float(pixel_size), sigma_from_resolution(resolution), CUTOFF
    table = tabulate_gaussian(*grid)

    def project(image: int) -> None:
        atoms_of_image = np.ascontiguousarray(conformations[image])
        sum_gaussians_image(atoms_of_image, values, turns[image], moves[image], *grid, table, images[image])

    run_parts(project, [(image,) for image in range(count)])
    return torch.from_numpy(images)


def _as_float64(values: Float[torch.Tensor, "..."]) -> Float64[np.ndarray, "..."]:
    return np.ascontiguousarray(values.detach().cpu().numpy(), dtype=np.float64)
