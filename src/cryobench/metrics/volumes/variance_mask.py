"""FSC in the variable region: inside a soft mask around the voxels of high variance over the true query volumes.

The mask holds the voxels of largest variance that together carry ``ENCLOSED_VARIANCE`` of it, dilated by
``DILATION_PX`` and with a soft edge of ``EDGE_PX``, in voxels so that the edge is equally soft in Fourier space at
any pixel size. Before masking, one constant is subtracted from all volumes of a reconstruction: the
mean of their means inside the mask. Hence neither an additive constant nor a scale changes the score.

Inside the mask one map for all particles still correlates with every state. The score of the best single map has a
closed form: with unit vectors t_q of the masked true spectra in a shell, no single map has a larger mean FSC than

    F = |Σ_q t_q| / n

so that (FSC − F) / (1 − F), both as areas, is 1 for the truth and at most 0 for *any* one map: the gain.

Own definition; entries 0 and 1 of curves as in ``metrics.volumes.deviations``.
"""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float

from cryobench.fourier import shell_indices
from cryobench.metrics.volumes.deviations import Moments, start_at_first_shell
from cryobench.metrics.volumes.fsc_curve import FscCurve, transform_masked
from cryobench.metrics.volumes.query_pairs import correlate_by_state
from cryobench.metrics.volumes.shell_products import shell_products
from cryobench.volumes.mask import Mask, make_soft_mask

ENCLOSED_VARIANCE = 0.9
DILATION_PX = 1.0
EDGE_PX = 3.0


def make_variance_mask(
    variance: Float[np.ndarray, "z y x"],
    pixel_size: float,
    *,
    enclosed_variance: float = ENCLOSED_VARIANCE,
) -> Mask:
    """Soft mask around the voxels of largest variance that together carry a fraction of it.

    ValueError as ``volumes.make_soft_mask``: if the variance is 0 everywhere, or the fraction is not within (0, 1).
    """
    return make_soft_mask(
        torch.from_numpy(np.ascontiguousarray(variance)),
        pixel_size,
        enclosed_mass=enclosed_variance,
        dilation=DILATION_PX * pixel_size,
        edge=EDGE_PX * pixel_size,
    )


def correlate_where_varying(moments: Moments, mask: Float[np.ndarray, "z y x"]) -> Iterator[tuple[int, FscCurve]]:
    """Row and its curve, state by state; each distinct pair is computed once."""
    level, true_level = _mean_inside(moments.mean, mask), _mean_inside(moments.true_mean, mask)
    found = correlate_by_state(
        moments.pairs,
        moments.rows_by_pair(),
        {"variance": mask},
        lambda volume: volume - level,
        lambda volume: volume - true_level,
    )
    for row, curves in found:
        yield row, start_at_first_shell(curves["variance"])


def correlate_best_map(moments: Moments, mask: Float[np.ndarray, "z y x"]) -> FscCurve:
    """Mean over the query particles of the FSC of their true volume with the one map that maximises this mean."""
    true_level = _mean_inside(moments.true_mean, mask)
    shells = shell_indices(len(mask), 3, binning="floor").clamp(max=len(mask) // 2 - 1)
    total = torch.zeros(shells.shape, dtype=torch.complex64)
    states, counts = np.unique(moments.pairs.states, return_counts=True)
    for state, count in zip(states, counts, strict=True):
        spectrum = transform_masked(moments.pairs.read_true(state) - true_level, mask)
        norms = np.sqrt(shell_products(spectrum.numpy(), spectrum.numpy())[0])
        factors = np.divide(count, norms, out=np.zeros_like(norms), where=norms > 0)
        total += spectrum * torch.from_numpy(np.append(factors, 0.0).astype(np.float32))[shells]
    summed = np.sqrt(shell_products(total.numpy(), total.numpy())[0]) / counts.sum()
    return start_at_first_shell(FscCurve(np.concatenate([[1.0], np.minimum(summed, 1.0)]), box_size=len(mask)))


def _mean_inside(volume: Float[np.ndarray, "z y x"], mask: Float[np.ndarray, "z y x"]) -> np.float32:
    """Mean of a volume weighted by a mask."""
    return np.float32(np.sum(volume * mask, dtype=np.float64) / np.sum(mask, dtype=np.float64))
