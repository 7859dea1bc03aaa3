"""What classes are made of, by the true states of their particles: duplicates and noise show there."""

import numpy as np


def find_composition(states: np.ndarray, classes: np.ndarray, n_classes: int) -> np.ndarray:
    """Share (k, states) of each true state in each class; empty classes are left out."""
    table = np.zeros((n_classes, states.max() + 1))
    np.add.at(table, (classes, states), 1)
    table = table[table.sum(axis=1) > 0]
    return table / table.sum(axis=1, keepdims=True)


def largest_overlap(shares: np.ndarray) -> float:
    """How much two classes show of the same states, at most: 1 for duplicates, 0 for classes apart."""
    overlap = np.minimum(shares[:, None], shares).sum(axis=-1)
    np.fill_diagonal(overlap, 0)
    return float(overlap.max())


def count_effective_states(shares: np.ndarray) -> np.ndarray:
    """exp of the entropy of each class (k,): as many states as there are for a class of noise."""
    return np.exp(-(shares * np.log(np.maximum(shares, 1e-12))).sum(axis=1))
