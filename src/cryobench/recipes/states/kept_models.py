"""Cache of atomic models, each needed for checking, rendering and the mask."""

from collections import OrderedDict
from dataclasses import fields
from threading import Lock

from cryobench.atoms.model import AtomicModel
from cryobench.recipes.recipe import Ensemble, FrameEnsemble
from cryobench.recipes.rounding import round_positions

KEPT_BYTES = 2**29
"""Maximum size of kept models: some 5 million atoms."""


class KeptModels:
    """Models of one ensemble, of which those last used are kept. Frames, being many, are not kept.

    Thread-safe. A copy sent to another process starts empty.
    """

    def __init__(self, room: int = KEPT_BYTES) -> None:
        self._room = room
        self._models: OrderedDict[int, AtomicModel] = OrderedDict()
        self._lock = Lock()

    def get(self, ensemble: Ensemble, state: int) -> AtomicModel:
        """Model of a state, its positions rounded; built unless kept."""
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
        """Pickle without the models: a worker builds those of its own states."""
        return KeptModels, (self._room,)


def _count_bytes(model: AtomicModel) -> int:
    return sum(getattr(model, field.name).nbytes for field in fields(model))
