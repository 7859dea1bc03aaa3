"""``CheckpointVolumes``: finished volumes that stay in a run's checkpoint, where memory need not hold them all."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from cryobench.reconstruction.engine.checkpoint import Checkpoint


@dataclass(frozen=True, eq=False)
class CheckpointVolumes:
    """Volumes of a checkpoint, each read when it is wanted, as a ``VolumeSource``."""

    checkpoint: Checkpoint
    names: Sequence[str]
    """Names under which the volumes were stored, each as the array "volume"."""
    box_size: int
    """Side in voxels."""

    def __len__(self) -> int:
        return len(self.names)

    def read(self, index: int) -> Float[np.ndarray, "z y x"]:
        """Volume (z, y, x) float32. KeyError if it is not in the checkpoint, FormatError if its file is damaged."""
        found = self.checkpoint.find(self.names[index])
        if found is None:
            raise KeyError(f"the checkpoint has no volume {self.names[index]!r}.")
        return found[0]["volume"]
