"""Assignment of particles to states, images per state, and the query particles."""

import numpy as np
from jaxtyping import Int

from cryobench.recipes.settings import SimulationSettings
from cryobench.rng import stream


def set_populations(counts: Int[np.ndarray, "k"], settings: SimulationSettings, seed: int) -> Int[np.ndarray, "k"]:
    """Images of each state, the total unchanged, made unequal by ``population_ratio``.

    The factors run geometrically from 1 to the ratio over the states in random order; remainders of rounding
    down go to the largest fractions. Every state keeps at least one image.

    Raises
    ------
    ValueError
        If a state has no images to begin with.
    """
    counts = np.asarray(counts, dtype=np.int64)
    if (counts < 1).any():
        empty = np.flatnonzero(counts < 1)
        raise ValueError(
            f"state {empty[0]} has {counts[empty[0]]} images ({len(empty)} such states): give every state at least "
            "one image, or leave it out."
        )
    if settings.population_ratio == 1.0 or len(counts) == 1:
        return counts
    ranks = stream(seed, "populations").permutation(len(counts)) / (len(counts) - 1)
    weights = counts * settings.population_ratio**ranks
    spare = counts.sum() - len(counts)
    exact = weights / weights.sum() * spare
    extra = np.floor(exact).astype(np.int64)
    extra[np.argsort(np.round(extra - exact, 9), kind="stable")[: spare - extra.sum()]] += 1
    return 1 + extra


def assign_states(counts: Int[np.ndarray, "k"], settings: SimulationSettings, seed: int) -> Int[np.ndarray, "n"]:
    """State of each particle. Shuffled by default, so that a particle's index in the table reveals nothing."""
    states = np.repeat(np.arange(len(counts)), counts)
    return states if settings.order == "by state" else stream(seed, "order").permutation(states)


def choose_queries(states: Int[np.ndarray, "n"], n_queries: int) -> Int[np.ndarray, "q"]:
    """Query particles, in the order of the table: every N // n-th of the particles sorted by state.

    Particles of state −1 (junk) are never queries. This is the benchmark's choice; when n does not divide N it
    gives a few more than ``n_queries``.
    """
    by_state = np.argsort(states, kind="stable")
    known = by_state[np.count_nonzero(states < 0) :]
    return np.sort(known[:: max(1, len(known) // n_queries)])
