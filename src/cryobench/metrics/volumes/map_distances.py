"""Distances between all pairs of two sets of volumes, as matrices.

| matrix | definition | invariant to | range |
|---|---|---|---|
| fsc_auc | area under the FSC, normalised (``metrics.volumes.fsc_curve``) | a scale in every shell | −1 to 1 |
| correlation | Pearson's over voxels, weighted by the mask | scale and constant | −1 to 1 |
| distance | L2 of volumes of mean 0 and norm 1 in the mask: √(2 − 2 correlation) | scale and constant | 0 to 2 |
| resolution | wavelength in Å of the first shell whose FSC is below 0.5 | a scale in every shell | ≥ 2 pixels |

A volume that is constant in the mask has no correlation and no distance: NaN. Spectra are ordered by shell, so that
the FSC of all pairs of two blocks of volumes is one matrix product per shell.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Float, Int

from cryobench.data import VolumeSource
from cryobench.fourier import hermitian_weights, shell_indices
from cryobench.metrics.volumes.fsc_curve import FscCurve, fsc_auc, resolution, transform_masked
from cryobench.metrics.volumes.query_pairs import as_source

THRESHOLD = 0.5
"""FSC threshold of the resolution."""
_CHUNK = 65_536
"""Voxels multiplied at once in double precision."""


@dataclass(frozen=True, eq=False)
class MapDistances:
    """Entry (i, j) compares volume i of the first set with volume j of the second."""

    fsc_auc: Float[np.ndarray, "m k"]
    correlation: Float[np.ndarray, "m k"]
    distance: Float[np.ndarray, "m k"]
    resolution: Float[np.ndarray, "m k"]
    """Å."""
    crossed: Bool[np.ndarray, "m k"]
    """False where the FSC never fell below the threshold: the resolution is then only a bound."""


def compare_volumes(
    first: Float[np.ndarray, "m z y x"] | VolumeSource,
    second: Float[np.ndarray, "k z y x"] | VolumeSource,
    *,
    pixel_size: float,
    mask: Float[np.ndarray, "z y x"] | None = None,
    memory_bytes: int = 2**30,
) -> MapDistances:
    """All distances between two sets of volumes, read block by block.

    Parameters
    ----------
    first, second
        On the same grid and in the same frame; the same object twice for distances within a set.
    pixel_size
        Å.
    mask
        (z, y, x) multiplies the volumes. None compares whole boxes.
    memory_bytes
        For the volumes held at once; the second set is read once for every block of the first.

    Raises
    ------
    ValueError
        If the boxes or the mask differ in size, have fewer than 6 voxels a side, a set is empty, a volume holds
        NaN or infinite voxels, or the mask is empty or has negative values.

    Examples
    --------
    >>> import numpy as np
    >>> volumes = np.random.default_rng(0).normal(size=(2, 16, 16, 16)).astype(np.float32)
    >>> found = compare_volumes(volumes, 2 * volumes + 1, pixel_size=1.5)
    >>> found.correlation.round(2).tolist(), found.distance.round(1).tolist()
    ([[1.0, -0.0], [-0.0, 1.0]], [[0.0, 1.4], [1.4, 0.0]])
    """
    if not pixel_size > 0:
        raise ValueError(f"pixel_size must be positive, got {pixel_size} Å.")
    sources = as_source(first), as_source(second)
    size = sources[0].box_size
    if sources[1].box_size != size or size < 6:
        raise ValueError(
            f"the volumes have {size} and {sources[1].box_size} voxels a side: expected one size of at least 6. "
            "Resample one set onto the grid of the other."
        )
    if mask is not None and mask.shape != (size,) * 3:
        raise ValueError(f"the mask has shape {mask.shape}, the volumes have {size} voxels a side.")
    if mask is not None and not (mask.min() >= 0 and mask.max() > 0):
        raise ValueError(f"mask values are weights of at least 0, got {mask.min():g} to {mask.max():g}.")
    if len(sources[0]) == 0 or len(sources[1]) == 0:
        raise ValueError(f"there are {len(sources[0])} and {len(sources[1])} volumes: at least one each is needed.")
    shape = len(sources[0]), len(sources[1])
    auc, correlation, wavelength = (np.empty(shape) for _ in range(3))
    crossed = np.empty(shape, dtype=bool)
    # A volume takes its voxels and about as much for its spectrum; two blocks are held.
    block = max(1, memory_bytes // (2 * 2 * 4 * size**3))
    for rows, ours in _blocks(sources[0], block, mask, "first"):
        for columns, theirs in _blocks(sources[1], block, mask, "second"):
            part = rows, columns
            correlation[part] = _correlate_voxels(ours.voxels, theirs.voxels)
            curves = _correlate_shells(ours, theirs, size)
            for entry in np.ndindex(curves.shape[:2]):
                at = rows.start + entry[0], columns.start + entry[1]
                curve = FscCurve(curves[entry], box_size=size)
                auc[at] = fsc_auc(curve, normalised=True)
                wavelength[at], crossed[at] = resolution(curve, THRESHOLD, pixel_size)
    distance = np.sqrt(np.maximum(2 - 2 * correlation, 0))
    return MapDistances(auc, correlation, distance, wavelength, crossed)


@dataclass(frozen=True, eq=False)
class _Block:
    voxels: Float[np.ndarray, "m v"]
    """Mean 0 and norm 1 in the mask; NaN for a constant volume."""
    spectra: Float[np.ndarray, "m f"]
    """Real and imaginary parts alternating, ordered by shell, times the root of their multiplicity."""


def _blocks(source: VolumeSource, block: int, mask: np.ndarray | None, whose: str) -> Iterator[tuple[slice, _Block]]:
    order, weights, _ = _shell_order(source.box_size)
    for start in range(0, len(source), block):
        rows = slice(start, min(start + block, len(source)))
        voxels, spectra = [], []
        for index in range(rows.start, rows.stop):
            volume = np.asarray(source.read(index), dtype=np.float32)
            if not np.isfinite(volume).all():
                raise ValueError(f"volume {index} of the {whose} set holds NaN or infinite voxels.")
            voxels.append(_normalise(volume, mask))
            spectrum = transform_masked(volume, mask).numpy().ravel()[order] * weights
            spectra.append(spectrum.view(np.float32))
        yield rows, _Block(np.stack(voxels), np.stack(spectra))


def _normalise(volume: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """Voxels (v,) float32 of mean 0 and norm 1, weighted by the mask; NaN if they are all equal."""
    weight = np.ones(1) if mask is None else np.sqrt(mask.ravel().astype(np.float64))
    values = volume.ravel().astype(np.float64)
    values -= np.average(values, weights=None if mask is None else mask.ravel())
    largest = np.abs(volume).max()
    values *= weight
    norm = np.sqrt(np.dot(values, values))
    # Of a constant volume only single-precision rounding remains.
    constant = norm <= 1e-6 * largest * np.sqrt(volume.size if mask is None else mask.sum())
    return np.full(volume.size, np.nan, np.float32) if constant else (values / norm).astype(np.float32)


def _correlate_voxels(first: Float[np.ndarray, "m v"], second: Float[np.ndarray, "k v"]) -> Float[np.ndarray, "m k"]:
    total = np.zeros((len(first), len(second)))
    for start in range(0, first.shape[1], _CHUNK):
        part = slice(start, start + _CHUNK)
        total += first[:, part].astype(np.float64) @ second[:, part].astype(np.float64).T
    return np.clip(total, -1, 1)


def _correlate_shells(first: _Block, second: _Block, size: int) -> Float[np.ndarray, "m k s"]:
    """FSC curves of all pairs, by the conventions of ``metrics.volumes.fsc_curve``."""
    _, _, ends = _shell_order(size)
    curves = np.ones((len(first.spectra), len(second.spectra), len(ends) + 1))
    blank, true_blank = (~np.asarray(block.spectra.any(axis=1)) for block in (first, second))
    no_power = blank[:, None] & true_blank[None]
    for shell, (start, stop) in enumerate(zip(np.append(0, ends[:-1]), ends, strict=True)):
        ours = first.spectra[:, 2 * start : 2 * stop].astype(np.float64)
        theirs = second.spectra[:, 2 * start : 2 * stop].astype(np.float64)
        power = np.square(ours).sum(axis=1)[:, None]
        true_power = np.square(theirs).sum(axis=1)[None]
        scale = np.sqrt(power) * np.sqrt(true_power)
        found = np.divide(ours @ theirs.T, scale, out=np.zeros_like(scale), where=scale > 0)
        empty = (power == 0) & (true_power == 0)
        curves[..., shell + 1] = np.where(empty, np.where(no_power, 0.0, 1.0), np.clip(found, -1, 1))
    return curves


@lru_cache(maxsize=2)
def _shell_order(size: int) -> tuple[Int[np.ndarray, "f"], Float[np.ndarray, "f"], Int[np.ndarray, "s"]]:
    """Entries of a flattened half-spectrum by shell, the root of each one's weight, and the end of each shell."""
    shells = shell_indices(size, 3, binning="floor").numpy()
    weights = np.broadcast_to(np.sqrt(hermitian_weights(size).numpy()), shells.shape)
    n_shells = size // 2 - 1
    order = np.argsort(shells, axis=None, kind="stable")
    ends = np.cumsum(np.bincount(shells.ravel(), minlength=n_shells)[:n_shells])
    order = order[: ends[-1]]
    return order, weights.ravel()[order].astype(np.float32), ends
