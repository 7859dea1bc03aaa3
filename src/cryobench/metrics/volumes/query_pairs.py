"""Query particles of known state, each with its reconstructed and its true volume.

The common input of all volume metrics. Volumes are read on demand; repeated ones (the classes of a discrete
method, the states of the truth) are recognised by their content, so that each distinct pair is computed once.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b, sha256

import numpy as np
import pandas as pd
from jaxtyping import Int

from cryobench.data import Dataset, IndexedVolumes, Reconstruction, VolumeSource
from cryobench.metrics.metric import check_particles
from cryobench.metrics.volumes.fsc_curve import FscCurve, correlate, transform_masked

_KEPT_BYTES = 2**30
"""Most true volumes held in memory: 100 of 128 px, 16 of 256 px."""


@dataclass(frozen=True, eq=False)
class QueryPairs:
    """Volumes to compare, one row per query particle of known state, in the order of the reconstruction."""

    particles: Int[np.ndarray, "q"]
    items: Int[np.ndarray, "q"]
    """Index of each particle's volume in ``volumes``."""
    states: Int[np.ndarray, "q"]
    """Index of each particle's true volume in ``true_volumes``."""
    volumes: VolumeSource
    true_volumes: VolumeSource
    n_unknown: int = 0
    """Number of query particles left out because their state is unknown."""

    def __len__(self) -> int:
        return len(self.particles)

    def read(self, item: int | np.integer) -> np.ndarray:
        """Volume (z, y, x) of row ``item``. ValueError if it holds NaN or infinite voxels."""
        return _check_finite(self.volumes.read(int(self.items[item])), f"of query particle {self.particles[item]}")

    def read_true(self, state: int | np.integer) -> np.ndarray:
        """True volume (z, y, x) of a state. ValueError if it holds NaN or infinite voxels."""
        return _check_finite(self.true_volumes.read(int(state)), f"of the true state {state}")


def pair_queries(reconstruction: Reconstruction, dataset: Dataset) -> QueryPairs:
    """Pairs of the volumes of a reconstruction and the true ones.

    Raises
    ------
    ValueError
        If there is no truth or no volume, the boxes differ, a query particle is not one of the data set, or the
        state of every query is unknown.
    """
    if dataset.truth is None:
        raise ValueError(f"data set {dataset.name} has no truth to compare with.")
    if dataset.truth.volumes is None:
        raise ValueError(f"data set {dataset.name} has labels but no true volumes to compare with.")
    if reconstruction.volumes is None:
        raise ValueError(f"{reconstruction.name} has no volumes to compare with the truth.")
    volumes, true_volumes, states = reconstruction.volumes, dataset.truth.volumes, dataset.truth.states
    if volumes.box_size != true_volumes.box_size:
        raise ValueError(
            f"volumes of {reconstruction.name} have {volumes.box_size} voxels a side, the truth has "
            f"{true_volumes.box_size}: resample them onto the data set's grid when importing."
        )
    check_particles(reconstruction, dataset)
    queries = reconstruction.queries
    known = np.flatnonzero(states[queries] >= 0)
    if len(known) == 0:
        raise ValueError(f"the true state of all {len(queries)} query particles is unknown: nothing to compare with.")
    return QueryPairs(
        particles=queries[known],
        items=known,
        states=states[queries[known]],
        volumes=volumes,
        true_volumes=true_volumes,
        n_unknown=len(queries) - len(known),
    )


def correlate_by_state(
    pairs: QueryPairs,
    groups: Iterable[tuple[int, Sequence[int] | np.ndarray]],
    masks: Mapping[str, np.ndarray | None],
    prepare: Callable[[np.ndarray], np.ndarray] = lambda volume: volume,
    prepare_true: Callable[[np.ndarray], np.ndarray] = lambda volume: volume,
) -> Iterator[tuple[int, dict[str, FscCurve]]]:
    """Row and its curve by mask: each distinct pair is computed once, and a true volume transformed once.

    Parameters
    ----------
    groups
        State, and rows that have equal volumes, state by state.
    prepare, prepare_true
        Change of a volume, and of a true one, before it is masked.
    """
    current, truths = -1, {}
    for state, rows in groups:
        if state != current:
            current, true_volume = state, prepare_true(pairs.read_true(state))
            truths = {name: transform_masked(true_volume, mask) for name, mask in masks.items()}
        volume = prepare(pairs.read(int(rows[0])))
        curves = {
            name: correlate(transform_masked(volume, mask), truths[name], pairs.volumes.box_size)
            for name, mask in masks.items()
        }
        for row in rows:
            yield int(row), curves


def as_source(volumes: np.ndarray | VolumeSource) -> VolumeSource:
    """A stack (m, z, y, x) as a ``VolumeSource``; a source is returned unchanged."""
    return IndexedVolumes(volumes, np.arange(len(volumes))) if isinstance(volumes, np.ndarray) else volumes


class KeptVolumes:
    """Source whose volumes stay in memory once read, up to one gibibyte."""

    def __init__(self, source: VolumeSource) -> None:
        self._source = source
        self._kept: dict[int, np.ndarray] = {}

    @property
    def box_size(self) -> int:
        return self._source.box_size

    def __len__(self) -> int:
        return len(self._source)

    def read(self, index: int) -> np.ndarray:
        if index not in self._kept:
            volume = self._source.read(index)
            if (len(self._kept) + 1) * volume.nbytes > _KEPT_BYTES:
                return volume
            self._kept[index] = volume
        return self._kept[index]


def hash_content(volume: np.ndarray) -> bytes:
    """Digest that identifies equal volumes."""
    return blake2b(np.ascontiguousarray(volume).data, digest_size=16).digest()


def hash_mask(mask: np.ndarray | None) -> str | None:
    """SHA-256 of a mask's voxels as float32, which identifies the mask in results."""
    return None if mask is None else sha256(np.ascontiguousarray(mask, np.float32).tobytes()).hexdigest()


def name_masks(mask: np.ndarray | None, box_size: int) -> dict[str, np.ndarray | None]:
    """Masks of the scores by name: the whole box, and the mask if there is one. ValueError for another shape."""
    if mask is None:
        return {"none": None}
    if mask.shape != (box_size,) * 3:
        raise ValueError(f"the mask has shape {mask.shape}, the volumes have {box_size} voxels a side.")
    return {"none": None, "mask": mask}


def lay_out_curves(particles: np.ndarray, curves: Mapping[str, Sequence[FscCurve]]) -> pd.DataFrame:
    """Long table of the curves of all particles by mask: particle, mask, shell, frequency (cycles/px), fsc."""
    frames = []
    for mask, of_mask in curves.items():
        shells = len(of_mask[0].values)
        frames.append(
            pd.DataFrame(
                {
                    "particle": np.repeat(particles, shells),
                    "mask": mask,
                    "shell": np.tile(np.arange(shells), len(of_mask)),
                    "frequency": np.tile(of_mask[0].frequencies, len(of_mask)),
                    "fsc": np.concatenate([curve.values for curve in of_mask]),
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def _check_finite(volume: np.ndarray, whose: str) -> np.ndarray:
    if not np.isfinite(volume).all():
        raise ValueError(f"the volume {whose} holds NaN or infinite voxels.")
    return volume
