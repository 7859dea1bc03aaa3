"""What an interrupted run needs to go on to the same result: the mean, the components, the latents, the log."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cryobench._errors import FormatError
from cryobench.io.atomic import atomic_write
from cryobench.methods.variability_3d.mean import Mean

NAME = "variability.npz"
LOG = "log.jsonl"


@dataclass
class Progression:
    """State between two iterations."""

    mean: Mean
    components: torch.Tensor
    """(k, z, y, x) float32, orthonormal, in the box of the filter resolution."""
    variances: np.ndarray
    """(k,) of the latents along them, falling."""
    scales: np.ndarray
    """(n,)."""
    noise: np.ndarray
    """(r + 1,) power of the noise up to the filter resolution."""
    done: int = 0
    """Iterations finished."""
    converged: bool = False
    log: list[dict[str, Any]] = field(default_factory=list)
    """One entry per iteration."""


def save_progression(progression: Progression, folder: Path, call: dict[str, Any]) -> None:
    """Write the state and the log into a folder, replacing the former ones when complete."""
    mean = progression.mean
    rest = {
        "call": call,
        "done": progression.done,
        "converged": progression.converged,
        "log": progression.log,
    }
    with atomic_write(folder / NAME) as file:
        np.savez(
            file,
            mean=mean.volume.cpu().numpy(),
            mean_noise=mean.noise,
            residual=mean.residual,
            fitted=mean.fitted,
            half_set_fsc=mean.half_set_fsc,
            components=progression.components.cpu().numpy(),
            variances=progression.variances,
            scales=progression.scales,
            noise=progression.noise,
            rest=np.array(json.dumps(rest)),
        )
    with atomic_write(folder / LOG) as file:
        file.write("".join(json.dumps(entry) + "\n" for entry in progression.log).encode())


def load_progression(folder: Path, call: dict[str, Any], device: str) -> Progression | None:
    """The state left in a folder, or None if there is none. FormatError if it is damaged or of another call."""
    path = folder / NAME
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        rest = json.loads(str(arrays["rest"]))
        mean = Mean(
            torch.from_numpy(arrays["mean"]).to(device),
            arrays["mean_noise"],
            arrays["residual"],
            arrays["fitted"],
            arrays["half_set_fsc"],
        )
        found = Progression(
            mean,
            torch.from_numpy(arrays["components"]).to(device),
            arrays["variances"],
            arrays["scales"],
            arrays["noise"],
            rest["done"],
            rest["converged"],
            rest["log"],
        )
    except (OSError, ValueError, KeyError) as error:
        raise FormatError(f"{path} cannot be read as a checkpoint ({error}): remove it to start afresh.") from error
    if rest["call"] != json.loads(json.dumps(call)):
        raise FormatError(
            f"{path} is a checkpoint of another call ({rest['call']}, now {call}): "
            "choose another folder or remove it."
        )
    return found
