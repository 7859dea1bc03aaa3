"""States of different composition: embedding, assembly graph, and images per state."""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

from cryobench._text import list_some
from cryobench.atoms.model import AtomicModel
from cryobench.atoms.tie_breaking import settle_axes
from cryobench.recipes.rounding import round_coordinates


def embed_composition(presence: Bool[np.ndarray, "k c"], masses: Float[np.ndarray, "c"]) -> Float[np.ndarray, "k d"]:
    """Coordinates in which the squared distance of two states is the mass by which they differ.

    That is the mass of all units present in only one of them. The coordinates of a state are the
    square roots of the masses of its units, rotated to their principal axes, so that the first ones matter most.

    Parameters
    ----------
    presence
        True if a state has a unit: a component, or a residue.
    masses
        Of the units, in kDa.

    Returns
    -------
    Of each state, in at most states - 1 dimensions, of mean 0; square root of kDa.
    """
    coordinates = presence * np.sqrt(masses)
    coordinates = coordinates - coordinates.mean(axis=0)
    left, sizes, _ = np.linalg.svd(coordinates, full_matrices=False)
    left = settle_axes(left.T, sizes).T
    kept = sizes > 1e-9 * max(float(sizes[0]), 1.0)
    kept[0] = True
    axes = left[:, kept] * sizes[kept]
    # The sign of an axis is arbitrary: the last state, usually the most complete, is on its positive side.
    decisive = np.where(np.abs(axes[-1]) > 1e-6 * sizes[kept], axes[-1], 1.0)
    return round_coordinates(axes * np.where(decisive < 0, -1.0, 1.0))


def find_growth(
    occupancies: Float[np.ndarray, "k c"], masses: Float[np.ndarray, "k"], tolerance: float
) -> Int[np.ndarray, "e 2"]:
    """Edges of the assembly graph as pairs of states (from, to).

    One state can grow into another that is heavier and has at least as much of every component, within
    ``tolerance``; there is an edge if no third state is between the two.

    Parameters
    ----------
    occupancies
        Of the components of each state, in [0, 1].
    masses
        Of the states, in any unit.
    tolerance
        Occupancy that may be lost.
    """
    contained = (occupancies[:, None] <= occupancies[None] + tolerance).all(axis=2)
    # States of the same atoms have equal masses, whatever the last bit of their sums.
    grows = contained & (masses[:, None] < masses[None] - 1e-9 * masses.max())
    between = (grows.astype(np.int64) @ grows.astype(np.int64)) > 0
    return np.argwhere(grows & ~between)


def check_distinct(what: str, keys: Iterable[tuple[Path, str]]) -> None:
    """Raise ValueError, naming both files, if two have the same key; ``what`` says what they then share."""
    seen: dict[str, Path] = {}
    for path, key in keys:
        if key in seen:
            raise ValueError(
                f"{seen[key]} and {path} {what}: every state must be a different structure. Leave one out."
            )
        seen[key] = path


def fingerprint(model: AtomicModel) -> str:
    """Hash of the elements and positions of a model's atoms."""
    return hashlib.sha256(model.positions.tobytes() + model.atomic_numbers.tobytes()).hexdigest()


def divide_images(
    n_images: int, weights: Sequence[float], names: Sequence[str], usual: Sequence[float] = ()
) -> Int[np.ndarray, "k"]:
    """Images per named state by the given weights, else by the usual ones if they are for as many states.

    ValueError, naming the state, for weights that do not match; and the errors of `apportion`.
    """
    if not weights:
        return apportion(n_images, usual if len(usual) == len(names) else (1,) * len(names))
    if len(weights) != len(names):
        raise ValueError(
            f"weights has {len(weights)} numbers for {len(names)} states ({list_some(names, 8)}): give one per "
            "state, in the order of the structures, or leave weights out."
        )
    for weight, name in zip(weights, names, strict=True):
        if not (np.isfinite(weight) and weight > 0):
            raise ValueError(
                f"state {name} has weight {weight:g}: weights are positive. Leave out states without images."
            )
    return apportion(n_images, weights)


def apportion(n_images: int, weights: Sequence[float]) -> Int[np.ndarray, "k"]:
    """Images per state: proportional to the weights, at least one each, ``n_images`` in total.

    Remainders go to the largest fractions (Hamilton's method); images needed to give the smallest states one each are
    taken from the largest. ValueError for weights that are not positive, or fewer images than states.
    """
    fractions = np.asarray(weights, dtype=np.float64)
    if not (np.isfinite(fractions).all() and (fractions > 0).all()):
        raise ValueError(
            f"weights of states must be positive, got {list(weights)}. Leave out a state without images."
        )
    if n_images < len(fractions):
        raise ValueError(f"{n_images} images cannot cover {len(fractions)} states: use at least {len(fractions)}.")
    exact = n_images * fractions / fractions.sum()
    counts = np.floor(exact + 1e-9).astype(np.int64)
    order = np.argsort(-np.round(exact - counts, 9), kind="stable")
    counts[order[: n_images - counts.sum()]] += 1
    while (counts == 0).any():
        counts[counts.argmax()] -= 1
        counts[counts.argmin()] += 1
    return counts
