"""Numbers of states as labels give them, and as a data set counts them: 0, 1, 2, … without gaps.

Labels may begin at 1, or be the frames of a trajectory or the identifiers of clusters, few but large. Whatever has
one entry per state would grow with the largest of them.
"""

from __future__ import annotations

import numpy as np


def compact_states(states: np.ndarray, notes: list[str]) -> tuple[np.ndarray, tuple[str, ...] | None]:
    """States (n,) counted without gaps in the order of their labels, −1 where unlabelled; and their names, the
    labels.

    Names are None, and nothing changes, if the labels are 0, 1, 2, … already.
    """
    labels = np.unique(states[states >= 0])
    if np.array_equal(labels, np.arange(len(labels))):
        return states, None
    notes.append(
        f"{len(labels):,} states occur, labelled {_list(labels)}: they are the states 0 to {len(labels) - 1:,},"
        " named by their labels"
    )
    compact = np.where(states < 0, -1, np.searchsorted(labels, states))
    return compact, tuple(str(label) for label in labels)


def _list(labels: np.ndarray) -> str:
    shown = [str(label) for label in labels]
    return ", ".join(shown if len(shown) <= 4 else [*shown[:2], "…", shown[-1]])
