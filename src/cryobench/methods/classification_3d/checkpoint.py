"""What an interrupted classification needs to go on to the same result: model, memberships, sums, the log."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cryobench._errors import FormatError
from cryobench.imaging.accumulate import SliceAccumulator
from cryobench.io.atomic import atomic_write
from cryobench.methods.classification_3d.expectation import Memberships
from cryobench.methods.classification_3d.volumes import Model

NAME = "classification.npz"
LOG = "log.jsonl"


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


def save_progression(progression: Progression, folder: Path, call: dict[str, Any]) -> None:
    """Write the state and the log into a folder, replacing the former ones when complete."""
    sums = progression.sums
    kept: dict[str, Any] = {}
    if sums is not None:
        kept = dict(zip(("numerator", "weight"), (part.cpu().numpy() for part in sums.sums), strict=True))
    with atomic_write(folder / NAME) as file:
        np.savez(
            file,
            **kept,
            volumes=progression.model.volumes.cpu().numpy(),
            populations=progression.model.populations,
            noise=progression.model.noise,
            leverage=progression.model.leverage,
            posteriors=progression.members.posteriors,
            held=progression.members.held,
            scales=progression.members.scales,
            rest=np.array(
                json.dumps(
                    {
                        "call": call,
                        "done": progression.done,
                        "converged": progression.converged,
                        "tried": progression.tried,
                        "log": progression.log,
                    }
                )
            ),
        )
    with atomic_write(folder / LOG) as file:
        file.write("".join(json.dumps(entry) + "\n" for entry in progression.log).encode())


def load_progression(folder: Path, call: dict[str, Any], device: str) -> Progression | None:
    """The state left in a folder, or None if there is none. FormatError if it is of another call."""
    path = folder / NAME
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        rest = json.loads(str(arrays["rest"]))
        model = Model(
            torch.from_numpy(arrays["volumes"]).to(device), arrays["populations"], arrays["noise"], arrays["leverage"]
        )
        members = Memberships(arrays["posteriors"], arrays["held"], arrays["scales"])
        sums = _restore_sums(arrays, model.volumes.shape[-1], device) if "numerator" in arrays else None
    except (OSError, ValueError, KeyError) as error:
        raise FormatError(f"{path} cannot be read as a checkpoint ({error}): remove it to start afresh.") from error
    if rest["call"] != json.loads(json.dumps(call)):
        raise FormatError(
            f"{path} is a checkpoint of another call ({rest['call']}, now {call}): "
            "choose another folder or remove it."
        )
    return Progression(model, members, sums, rest["done"], rest["converged"], rest["tried"], rest["log"])


def _restore_sums(arrays: dict[str, np.ndarray], box_size: int, device: str) -> SliceAccumulator:
    """Sums of full radius from their stored parts."""
    sums = SliceAccumulator(box_size, n_volumes=len(arrays["numerator"]), device=device)
    for part, name in zip(sums.sums, ("numerator", "weight"), strict=True):
        part.copy_(torch.from_numpy(arrays[name]))
    return sums
