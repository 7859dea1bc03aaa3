"""The state of a classification between two iterations: model, memberships, sums, log; kept and found again."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from cryobench.imaging.accumulate import SliceAccumulator
from cryobench.methods._shared.checkpoint import Checkpoint
from cryobench.methods.classification_3d.expectation import Memberships
from cryobench.methods.classification_3d.volumes import Model

_NAME = "classification"


@dataclass
class Progression:
    """State between two iterations."""

    model: Model
    members: Memberships
    sums: SliceAccumulator | None = None
    """Sums that the next mini-batch is to be blended into; None before a pass over all particles."""
    done: int = 0
    """Iterations finished."""
    converged: bool = False
    tried: bool = False
    """Whether moving classes has been tried since they were last moved."""
    log: list[dict[str, Any]] = field(default_factory=list)
    """One entry per iteration."""

    @property
    def posteriors(self) -> np.ndarray:
        """(n, k)."""
        return self.members.posteriors


def keep_progression(state: Progression, checkpoint: Checkpoint) -> None:
    """Keep the state and the log in place of the former ones."""
    arrays = {
        "volumes": state.model.volumes.cpu().numpy(),
        "populations": state.model.populations,
        "noise": state.model.noise,
        "leverage": state.model.leverage,
        "posteriors": state.members.posteriors,
        "held": state.members.held,
        "scales": state.members.scales,
    }
    if state.sums is not None:
        arrays["numerator"], arrays["weight"] = (part.cpu().numpy() for part in state.sums.sums)
    facts = {"done": state.done, "converged": state.converged, "tried": state.tried, "log": state.log}
    checkpoint.keep(_NAME, arrays, facts)
    checkpoint.write_log(state.log)


def find_progression(checkpoint: Checkpoint, device: str) -> Progression | None:
    """The state that was kept, or None. FormatError if it is damaged."""
    found = checkpoint.find(_NAME)
    if found is None:
        return None
    arrays, facts = found
    volumes = torch.from_numpy(arrays["volumes"]).to(device)
    model = Model(volumes, arrays["populations"], arrays["noise"], arrays["leverage"])
    members = Memberships(arrays["posteriors"], arrays["held"], arrays["scales"])
    sums = _restore_sums(arrays, volumes.shape[-1], device) if "numerator" in arrays else None
    return Progression(model, members, sums, **facts)


def _restore_sums(arrays: dict[str, np.ndarray], box_size: int, device: str) -> SliceAccumulator:
    """Sums of full radius from their stored parts."""
    sums = SliceAccumulator(box_size, n_volumes=len(arrays["numerator"]), device=device)
    for part, name in zip(sums.sums, ("numerator", "weight"), strict=True):
        part.copy_(torch.from_numpy(arrays[name]))
    return sums
