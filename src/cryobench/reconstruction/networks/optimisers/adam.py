"""PyTorch's dense Adam with its state allocated at the start, so that it can be stored and restored."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn


def make_adam(parameters: Iterable[nn.Parameter], lr: float) -> torch.optim.Adam:
    """Adam with zero moments for every parameter."""
    optimiser = torch.optim.Adam(parameters, lr=lr, fused=True)
    for group in optimiser.param_groups:
        for parameter in group["params"]:
            optimiser.state[parameter] = {
                "step": torch.zeros((), dtype=torch.float32, device=parameter.device),
                "exp_avg": torch.zeros_like(parameter),
                "exp_avg_sq": torch.zeros_like(parameter),
            }
    return optimiser


def adam_tensors(optimiser: torch.optim.Adam, prefix: str = "adam") -> dict[str, Tensor]:
    """Steps and moments by name, in the order of the parameters."""
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    return {
        f"{prefix}.{number}.{name}": value
        for number, parameter in enumerate(parameters)
        for name, value in optimiser.state[parameter].items()
    }
