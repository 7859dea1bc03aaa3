"""State numbers as labelled, and as numbered in a data set: 0, 1, 2, … without gaps.

Labels may begin at 1, or be trajectory frames or cluster identifiers, few but large. Arrays with one entry per state
would otherwise grow with the largest label.
"""

from __future__ import annotations

import numpy as np

from cryobench._text import list_some


def compact_states(states: np.ndarray, notes: list[str]) -> tuple[np.ndarray, tuple[str, ...] | None]:
    """States (n,) numbered without gaps in the order of their labels, −1 if unlabelled; and their names, the
    labels.

    Names are None, and nothing changes, if the labels are already 0, 1, 2, …
    """
    labels = np.unique(states[states >= 0])
    if np.array_equal(labels, np.arange(len(labels))):
        return states, None
    names = tuple(str(label) for label in labels)
    notes.append(
        f"{len(labels):,} states occur, labelled {list_some(names, 4)}: they become states 0 to {len(labels) - 1:,},"
        " named by their labels"
    )
    compact = np.where(states < 0, -1, np.searchsorted(labels, states))
    return compact, names
