"""Models of states that were built once: checked, rendered, and rendered again for the mask, none built anew."""

from dataclasses import fields

from cryobench.atoms.model import AtomicModel
from cryobench.recipes.recipe import Ensemble, FrameEnsemble

KEPT_BYTES = 2**29
"""Of models kept at most: some 5 million atoms."""


class KeptModels:
    """Gives the models of one ensemble, and keeps what fits. Frames, of which there are many, are never kept.

    A copy sent to another process starts empty.
    """

    def __init__(self, room: int = KEPT_BYTES) -> None:
        self._room = room
        self._models: dict[int, AtomicModel] = {}

    def get(self, ensemble: Ensemble, state: int) -> AtomicModel:
        """Model of a state, built unless it was kept."""
        if state in self._models:
            return self._models[state]
        model = ensemble.model(state)
        size = sum(getattr(model, field.name).nbytes for field in fields(model))
        if size <= self._room and not isinstance(ensemble, FrameEnsemble):
            self._room -= size
            self._models[state] = model
        return model

    def __reduce__(self) -> tuple[type["KeptModels"], tuple[int]]:
        """Pickled without the models: a worker builds those of its own states."""
        return KeptModels, (KEPT_BYTES,)
