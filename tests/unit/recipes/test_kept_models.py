"""Models are built once while they fit, the latest always stay, and none goes to another process."""

import pickle
from dataclasses import dataclass, field

import numpy as np

from cryobench.atoms.model import AtomicModel
from cryobench.recipes.recipe import Ensemble, FrameEnsemble
from cryobench.recipes.states.kept_models import KeptModels


@dataclass(frozen=True, eq=False, kw_only=True)
class Counted(Ensemble):
    """States of ten carbon atoms, and how often each was built."""

    counts: np.ndarray = field(default_factory=lambda: np.ones(5, dtype=np.int64))
    built: list[int] = field(default_factory=list)

    def model(self, state: int) -> AtomicModel:
        self.built.append(state)
        return AtomicModel.from_positions(np.full((10, 3), float(state)), np.full(10, 6))


@dataclass(frozen=True, eq=False, kw_only=True)
class CountedFrames(Counted, FrameEnsemble):
    topology: AtomicModel = field(
        default_factory=lambda: AtomicModel.from_positions(np.zeros((10, 3)), np.full(10, 6))
    )

    def positions(self, start: int, stop: int) -> np.ndarray:
        return np.stack([self.model(state).positions for state in range(start, stop)])


def ask(models: KeptModels, ensemble: Ensemble, states: list[int]) -> None:
    for state in states:
        assert models.get(ensemble, state).positions[0, 0] == state


def test_what_fits_is_built_once():
    ensemble = Counted()
    ask(KeptModels(), ensemble, [0, 1, 2, 1, 0, 2, 2])
    assert ensemble.built == [0, 1, 2]


def test_without_room_the_latest_stay():
    ensemble = Counted()
    models = KeptModels(room=2 * 10 * (3 * 8 + 4 * 8 + 4 + 4 + 12 + 4))
    ask(models, ensemble, [0, 1, 0, 2, 0, 1])
    assert ensemble.built == [0, 1, 2, 1], "1 was used longest ago when 2 came"
    tight = KeptModels(room=0)
    ask(tight, ensemble, [3, 3, 4, 4])
    assert ensemble.built[4:] == [3, 4]


def test_frames_are_not_kept():
    ensemble = CountedFrames()
    ask(KeptModels(), ensemble, [3, 3])
    assert ensemble.built == [3, 3]


def test_a_copy_for_a_worker_is_empty():
    models, ensemble = KeptModels(), Counted()
    ask(models, ensemble, list(range(5)))
    assert len(pickle.dumps(models)) < 200
    ask(pickle.loads(pickle.dumps(models)), ensemble, [0])
    assert ensemble.built == [0, 1, 2, 3, 4, 0]
