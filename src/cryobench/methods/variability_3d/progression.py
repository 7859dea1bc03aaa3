"""The state between two iterations: mean, components, variances and scales, the log; kept and found again."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from cryobench.methods._shared.checkpoint import Checkpoint
from cryobench.methods.variability_3d.mean import Mean

_NAME = "variability"


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


def keep_progression(state: Progression, checkpoint: Checkpoint) -> None:
    """Keep the state and the log in place of the former ones."""
    mean = state.mean
    arrays = {
        "mean": mean.volume.cpu().numpy(),
        "mean_noise": mean.noise,
        "residual": mean.residual,
        "fitted": mean.fitted,
        "half_set_fsc": mean.half_set_fsc,
        "components": state.components.cpu().numpy(),
        "variances": state.variances,
        "scales": state.scales,
        "noise": state.noise,
    }
    checkpoint.keep(_NAME, arrays, {"done": state.done, "converged": state.converged, "log": state.log})
    checkpoint.write_log(state.log)


def find_progression(checkpoint: Checkpoint, device: str) -> Progression | None:
    """The state that was kept, or None. FormatError if it is damaged."""
    found = checkpoint.find(_NAME)
    if found is None:
        return None
    arrays, facts = found
    mean = Mean(
        torch.from_numpy(arrays["mean"]).to(device),
        arrays["mean_noise"],
        arrays["residual"],
        arrays["fitted"],
        arrays["half_set_fsc"],
    )
    components = torch.from_numpy(arrays["components"]).to(device)
    return Progression(mean, components, arrays["variances"], arrays["scales"], arrays["noise"], **facts)
