"""Models of states that were built once: checked, rendered, and rendered again for the mask, none built anew."""

from collections import OrderedDict
from dataclasses import fields
from threading import Lock

from cryobench.atoms.model import AtomicModel
from cryobench.recipes.recipe import Ensemble, FrameEnsemble
from cryobench.recipes.rounding import round_positions

KEPT_BYTES = 2**29
"""Of models kept at most: some 5 million atoms."""


class KeptModels:
    """Gives the models of one ensemble and keeps those last used. Frames, of which there are many, are not kept.

    May be asked from several threads. A copy sent to another process starts empty.
    """

    def __init__(self, room: int = KEPT_BYTES) -> None:
        self._room = room
        self._models: OrderedDict[int, AtomicModel] = OrderedDict()
        self._lock = Lock()

    def get(self, ensemble: Ensemble, state: int) -> AtomicModel:
        """Model of a state, its positions rounded, built unless it was kept."""
        if isinstance(ensemble, FrameEnsemble):
            return round_positions(ensemble.model(state))
        with self._lock:
            if state in self._models:
                self._models.move_to_end(state)
                return self._models[state]
        model = round_positions(ensemble.model(state))
        with self._lock:
            self._models[state] = model
            while sum(map(_count_bytes, self._models.values())) > self._room and len(self._models) > 1:
                self._models.popitem(last=False)
        return model

    def __reduce__(self) -> tuple[type["KeptModels"], tuple[int]]:
        """Pickled without the models: a worker builds those of its own states."""
        return KeptModels, (self._room,)


def _count_bytes(model: AtomicModel) -> int:
    return sum(getattr(model, field.name).nbytes for field in fields(model))
