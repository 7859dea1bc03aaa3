"""Coarse search over all rotations, shifts and both hands for transforms to be refined.

Two sources of rotations, each a correlation over all of SO(3) by spherical harmonics:

- of the amplitudes |F|, which depend on neither shift nor hand: F(-k) is the conjugate of F(k), so one rotation R of
  the amplitudes corresponds to two of the volume, R itself and, mirrored by S = diag(1, 1, -1), R Rz(π), for
  R Rz(π) S = -R;
- of the volumes about the centres of their dense parts, for each hand, which resolves the ambiguities of amplitudes.

For every rotation found the best shift comes from a cross-correlation by one small inverse transform.
"""

import numpy as np
import torch
from jaxtyping import Float

from cryobench.fourier import ifft_volume
from cryobench.rotations import geodesic_distance
from cryobench.volumes.alignment import harmonics
from cryobench.volumes.alignment.objective import Objective
from cryobench.volumes.alignment.refine import Candidate
from cryobench.volumes.alignment.spectrum import Spectrum
from cryobench.volumes.rotate import MIRROR

_PEAKS = 40
_SEPARATION = np.deg2rad(12.0)
_POOL = 4000
_BATCH = 20
_HALF_TURN = np.diag([-1.0, -1.0, 1.0])


def find_candidates(objective: Objective, level: int, *, try_mirror: bool) -> list[Candidate]:
    """Candidates of both hands (or one), best first, scored in band number ``level`` of the lattice."""
    band = objective.lattice.bands[level]
    hands = (False, True) if try_mirror else (False,)
    rotations: dict[bool, list[np.ndarray]] = {hand: [] for hand in hands}
    sources = [(pair.volume, pair.reference) for pair in objective.pairs]
    for rotation in _peaks(_correlate(sources, band, mirrored=None)):
        for hand in hands:
            rotations[hand].append(rotation @ _HALF_TURN if hand else rotation)
    for hand in hands:
        rotations[hand].extend(_peaks(_correlate(sources, band, mirrored=hand)))
    found = [
        candidate
        for hand in hands
        for first in range(0, len(rotations[hand]), _BATCH)
        for candidate in _find_shifts(objective, np.stack(rotations[hand][first : first + _BATCH]), hand, level)
    ]
    return sorted(found, key=lambda candidate: -candidate.score)


def keep_distinct(candidates: list[Candidate], separation: float, count: int) -> list[Candidate]:
    """The first ``count``, of either hand, whose rotations are at least ``separation`` (radian) from those kept."""
    kept: list[Candidate] = []
    for candidate in candidates:
        same = [other.rotation for other in kept if other.mirrored == candidate.mirrored]
        if not same or geodesic_distance(candidate.rotation[None], np.stack(same)).min() >= separation:
            kept.append(candidate)
        if len(kept) == count:
            break
    return kept


def _correlate(
    sources: list[tuple[Spectrum, Spectrum]], band: int, *, mirrored: bool | None
) -> Float[np.ndarray, "b a g"]:
    """Overlap over all rotations of the amplitudes (``mirrored`` None) or of one hand about the centroids."""
    radii = np.arange(1, band + 1)
    positions = (radii[:, None, None] * harmonics.sphere_directions()).reshape(-1, 3)
    from_centre = mirrored is not None
    centres = [np.mean([pair[side].centroid for pair in sources], axis=0) for side in (0, 1)]
    total: np.ndarray | None = None
    for pair in sources:
        coefficients = []
        for spectrum, centre in zip(pair, centres, strict=True):
            values = spectrum.sample(positions)
            values = values * np.exp(2j * np.pi * (positions @ centre)) if from_centre else np.abs(values)
            expanded = harmonics.expand(values.reshape(band, -1).astype(np.complex64))
            # The direction-dependent part of each shell, to unit norm.
            norm = np.linalg.norm(expanded[:, 1:], axis=1, keepdims=True)
            coefficients.append(np.divide(expanded, norm, out=np.zeros_like(expanded), where=norm > 0))
        volume, reference = coefficients
        overlap = harmonics.correlate_rotations(harmonics.flip(volume) if mirrored else volume, reference)
        total = overlap if total is None else total + overlap
    if total is None:
        raise ValueError("no pairs of volumes to correlate.")
    return total


def _peaks(overlap: Float[np.ndarray, "b a g"]) -> list[np.ndarray]:
    """Rotations of largest overlap that are apart from each other, best first."""
    flat = overlap.ravel()
    pool = np.argpartition(-flat, _POOL)[:_POOL]
    pool = pool[np.lexsort((pool, -flat[pool]))]
    rotations = harmonics.grid_rotations(pool)
    # Angles by the trace: cos(angle) = (trace(A Bᵀ) - 1) / 2.
    closeness = 1 + 2 * np.cos(_SEPARATION)
    free = np.ones(_POOL, dtype=bool)
    rows = rotations.reshape(_POOL, 9)
    kept: list[np.ndarray] = []
    while free.any() and len(kept) < _PEAKS:
        first = int(free.argmax())
        kept.append(rotations[first])
        free &= rows @ rows[first] < closeness
        free[first] = False
    return kept


def _find_shifts(
    objective: Objective, rotations: Float[np.ndarray, "n 3 3"], mirrored: bool, level: int
) -> list[Candidate]:
    """Best shift of each rotation, on a grid of a third of the band's finest wave, with its score."""
    end, band = objective.lattice.ends[level], objective.lattice.bands[level]
    points = objective.lattice.points[:end]
    products = np.zeros((len(rotations), end), dtype=np.complex64)
    for product, rotation in zip(products, rotations, strict=True):
        positions = points @ (rotation @ MIRROR if mirrored else rotation)
        for pair, targets in zip(objective.pairs, objective.targets, strict=True):
            product += pair.volume.sample(positions) * targets[:end].view(np.complex64)[:, 0]
    size = 3 * band
    # Score(t) = Re Σ c(k) exp(-2πi k·t), so conj(c) is a spectrum of the score as a function of t.
    half = np.zeros((len(rotations), size, size, size // 2 + 1), dtype=np.complex64)
    x, y, z = points.T
    half[:, z, y, x] = products.conj()
    plane = x == 0
    half[:, -z[plane], -y[plane], 0] = products[:, plane]
    scores = ifft_volume(torch.from_numpy(half), size).flatten(1) * (size**3 / 2 / objective.totals[level])
    places = scores.argmax(dim=1).numpy()
    shifts = (np.stack(np.unravel_index(places, (size,) * 3)[::-1], axis=1) - size // 2) / size
    best = scores.amax(dim=1).tolist()
    return [
        Candidate(rotation, shift, mirrored, score)
        for rotation, shift, score in zip(rotations, shifts, best, strict=True)
    ]
