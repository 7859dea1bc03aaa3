"""What an interrupted classification needs to go on to the same result: volumes, posteriors, noise, the log."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cryobench._errors import FormatError
from cryobench.io.atomic import atomic_write
from cryobench.methods.classification_3d.expectation import Model

NAME = "classification.npz"
LOG = "log.jsonl"


@dataclass
class Progression:
    """State between two iterations."""

    model: Model
    posteriors: np.ndarray
    """(n, k)."""
    done: int = 0
    """Iterations finished."""
    converged: bool = False
    log: list[dict[str, Any]] = field(default_factory=list)
    """One entry per iteration."""


def save_progression(progression: Progression, folder: Path, call: dict[str, Any]) -> None:
    """Write the state and the log into a folder, replacing the former ones when complete."""
    with atomic_write(folder / NAME) as file:
        np.savez(
            file,
            volumes=progression.model.volumes.cpu().numpy(),
            populations=progression.model.populations,
            noise=progression.model.noise,
            leverage=progression.model.leverage,
            posteriors=progression.posteriors,
            rest=np.array(
                json.dumps(
                    {
                        "call": call,
                        "done": progression.done,
                        "converged": progression.converged,
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
        posteriors = arrays["posteriors"]
    except (OSError, ValueError, KeyError) as error:
        raise FormatError(f"{path} cannot be read as a checkpoint ({error}): remove it to start afresh.") from error
    if rest["call"] != json.loads(json.dumps(call)):
        raise FormatError(
            f"{path} is a checkpoint of another call ({rest['call']}, now {call}): "
            "choose another folder or remove it."
        )
    return Progression(model, posteriors, rest["done"], rest["converged"], rest["log"])
