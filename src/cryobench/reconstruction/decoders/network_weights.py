"""Weights of a decoding network, and of the encoder trained with it, among the arrays of a model."""

import numpy as np
from torch import nn

DECODER, ENCODER = "weights/decoder.", "weights/encoder."
"""Prefixes of their names."""


def list_weights(decoder: nn.Module, encoder: nn.Module | None) -> dict[str, np.ndarray]:
    """Weights of both networks by their names in a model."""
    parts = {DECODER: decoder, **({} if encoder is None else {ENCODER: encoder})}
    return {
        f"{prefix}{name}": value.detach().cpu().numpy()
        for prefix, part in parts.items()
        for name, value in part.state_dict().items()
    }
