"""The flow: a network from a latent to the displacements of a mesh's vertices."""

import math
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

_LAST = 1e-2
"""Initial standard deviation of the outputs for a latent of one: cells."""


class FlowNetwork(nn.Module):
    """z → (Linear, ReLU) x depth → Linear without bias → three displacements a vertex, in cells of the mesh.

    Hidden weights are drawn after He, so that latents remain distinguishable after six layers (torch's default
    leaves 1 / 200 of their distance), biases are zero and the last weights small: initially there is almost no
    motion.

    Parameters
    ----------
    z_dim, width, depth
        Latent dimensions; units per layer; hidden layers.
    n_vertices
        Number of vertices of the mesh.
    """

    def __init__(self, z_dim: int, width: int, depth: int, n_vertices: int) -> None:
        super().__init__()
        sizes = [z_dim, *[width] * depth]
        self.hidden = nn.ModuleList(nn.Linear(before, after) for before, after in pairwise(sizes))
        self.last = nn.Linear(sizes[-1], 3 * n_vertices, bias=False)
        for layer in self.hidden:
            nn.init.normal_(layer.weight, std=math.sqrt(2 / layer.in_features))  # pyright: ignore
            nn.init.zeros_(layer.bias)  # pyright: ignore
        nn.init.normal_(self.last.weight, std=_LAST / math.sqrt(sizes[-1]))

    def forward(self, latents: Float[Tensor, "b k"]) -> Float[Tensor, "b v 3"]:
        """Displacements, in cells."""
        values = latents
        for layer in self.hidden:
            values = torch.relu(layer(values))
        return self.last(values).reshape(len(latents), -1, 3)
