"""``Recipe`` and ``Ensemble``: a data set defined as data, made by ``simulate``.

A recipe defines an *ensemble*: the atomic model of every state, its number of images, and the truth about it.
Everything else (imaging, noise, files) is the same for all recipes and is in ``simulate``.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from cryobench.atoms.entries import find_entry, list_entries
from cryobench.atoms.model import AtomicModel
from cryobench.data import CollectiveVariable, StateComponents
from cryobench.recipes.settings import REALISTIC, SimulationSettings


@dataclass(frozen=True, eq=False, kw_only=True)
class Ensemble(ABC):
    """The states of a recipe, and the truth about them. Must be picklable: states are made in worker processes."""

    counts: np.ndarray
    """(states,) images per state."""
    variables: Mapping[str, CollectiveVariable] = field(default_factory=dict)
    """Collective variables with one value per *state*."""
    embedding: np.ndarray | None = None
    """(states, d) coordinates in which distance means difference in conformation, or None."""
    state_names: Sequence[str] | None = None
    """Unique name of each state, such as a PDB entry. None: they are numbered only."""
    components: StateComponents | None = None
    """Components present in each state, if states differ in composition."""
    notes: Sequence[str] = ()
    """Unexpected facts about how the structures were read: one line each, for the card."""

    @abstractmethod
    def model(self, state: int) -> AtomicModel:
        """Atoms of one state, positioned as imaged: the origin is the centre of the box."""


@dataclass(frozen=True, eq=False, kw_only=True)
class FrameEnsemble(Ensemble):
    """One structure per state, so many that their truth is kept as a trajectory and volumes are made on demand."""

    topology: AtomicModel
    """Names and elements of the atoms of every frame."""

    @abstractmethod
    def positions(self, start: int, stop: int) -> Float[np.ndarray, "m a 3"]:
        """Frames ``start`` to ``stop``, float64, in Å, positioned as imaged.

        A frame depends on its own number alone, not on the other requested frames.
        """

    def model(self, state: int) -> AtomicModel:
        return self.topology.with_positions(self.positions(state, state + 1)[0])


@dataclass(frozen=True)
class Recipe:
    """A published data set, or another kind of ensemble.

    ``presets`` map a size ("tiny", "lite", "paper") to the settings that differ from the defaults of
    ``settings``; "realistic", lite with the departures of ``settings.REALISTIC``, is added to all. ``ensemble``
    builds the states from the settings and the structure files that ``choose_structures`` returns (a recipe without
    ``entries`` uses molecules of its own when the user gives none).
    """

    name: str
    title: str
    description: str
    heterogeneity: str
    citation: str
    sources: str
    """The molecules used if the user gives no structure: identity, source and licence."""
    settings: type[SimulationSettings]
    presets: Mapping[str, Mapping[str, object]]
    ensemble: Callable[[Any, Sequence[Path]], Ensemble] = field(repr=False)
    """States from ``settings`` of this recipe's type, and structure files."""
    series: Mapping[str, tuple[str, Sequence[object]]] = field(default_factory=dict)
    """Published one-factor series: a name, the setting that varies, and its values."""
    version: int = 1
    """Raised whenever the same command makes different particles; recorded in data sets."""
    entries: Sequence[str] = ()
    """Entries in this package (`atoms.entries`) that are read if the user gives no structure."""
    alternatives: str = ""
    """What ``--structure`` accepts instead of ``sources``."""

    def __post_init__(self) -> None:
        realistic = {**self.presets["lite"], **REALISTIC}
        object.__setattr__(self, "presets", {"realistic": realistic, **self.presets})

    def choose_structures(self, given: Sequence[Path]) -> Sequence[Path]:
        """Structure files given by the user, or those of the recipe's entries."""
        return given or [find_entry(name).path for name in self.entries]

    def describe_sources(self, hashes: Sequence[str]) -> str:
        """Molecules of a data set and their licence, from the SHA-256 of its structure files."""
        if not hashes:
            return self.sources
        origins = {entry.sha256: entry.origin for entry in list_entries()}
        known = list(dict.fromkeys(origins[each] for each in hashes if each in origins))
        others = sum(each not in origins for each in hashes)
        if others:
            files = "a structure file" if others == 1 else f"{others:,} structure files"
            known.append(f"{files} given by the user, under their own licence (wwPDB entries: CC0 1.0)")
        return "; ".join(known)
