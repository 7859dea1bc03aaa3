"""Image encoder: a residual perceptron to the mean and log-variance of a Gaussian posterior over the latent.

Source: Zhong et al., Nature Methods 18 (2021) 176 (cryoDRGN's encoder).
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cryobench.reconstruction.networks.coordinate_network import ResidualBlock


class ImageEncoder(nn.Module):
    """Maps M values of an image to means and log-variances of K latents.

    A linear layer with ReLU, ``depth`` residual blocks, a linear layer; as published, the first layer is also
    residual if M equals the width.
    """

    def __init__(self, n_values: int, z_dim: int, *, width: int = 1024, depth: int = 3) -> None:
        super().__init__()
        self.first = ResidualBlock(n_values, width) if n_values == width else nn.Linear(n_values, width)
        self.blocks = nn.ModuleList(ResidualBlock(width, width) for _ in range(depth))
        self.last = nn.Linear(width, 2 * z_dim)

    def forward(self, values: Float[Tensor, "b m"]) -> tuple[Float[Tensor, "b k"], Float[Tensor, "b k"]]:
        """Mean and log-variance, float32."""
        hidden = torch.relu(self.first(values))
        for block in self.blocks:
            hidden = block(hidden)
        mean, log_variance = self.last(hidden).float().chunk(2, dim=1)
        return mean, log_variance
