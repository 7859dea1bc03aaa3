"""Transposed convolution that doubles a grid, with the forward pass of a convolution.

PyTorch's transposed 3-D convolution is slow on the CPU where it makes few channels. With a kernel of 4 and stride 2
each output sample has two taps per axis, and its even and odd samples are eight interleaved grids: one convolution
with a kernel of 2 makes all eight, in a fifth of the time for one channel. Gradients are PyTorch's own, which are
fast.
"""

from itertools import product
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

_MOST_CHANNELS = 8
"""From 16 output channels on, PyTorch's is the faster one."""
_TAPS = torch.tensor([[3, 1], [2, 0]])
"""Taps of the even and of the odd samples, which come from inputs i − 1 and i, or i and i + 1."""


def double_grid(layer: nn.ConvTranspose3d, values: Float[Tensor, "b c z y x"]) -> Float[Tensor, "b d 2*z 2*y 2*x"]:
    """``layer(values)`` for a layer of stride 2 with kernels of 2, or of 4 and padding 1."""
    few = layer.kernel_size[0] == 2 * layer.stride[0] and layer.out_channels <= _MOST_CHANNELS
    if few and values.device.type == "cpu" and not torch.is_autocast_enabled("cpu"):
        return _Doubling.apply(values, layer.weight, layer.bias)  # pyright: ignore[reportReturnType]
    return layer(values)


class _Doubling(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(values, weight)
        channels, (z, y, x) = weight.shape[1], values.shape[2:]
        taps = weight[:, :, _TAPS[:, None, None, :, None, None], _TAPS[:, None, None, :, None], _TAPS[:, None, None]]
        # (in, out, pz, py, px, uz, uy, ux), of which each phase p and output channel is a convolution.
        kernels = taps.permute(2, 3, 4, 1, 0, 5, 6, 7).reshape(8 * channels, -1, 2, 2, 2)
        phases = functional.conv3d(values, kernels, bias.repeat(8), padding=1).unflatten(1, (2, 2, 2, channels))
        doubled = values.new_empty(len(values), channels, 2 * z, 2 * y, 2 * x)
        for p, q, r in product(range(2), repeat=3):
            doubled[:, :, p::2, q::2, r::2] = phases[:, p, q, r, :, p : p + z, q : q + y, r : r + x]
        return doubled

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, ...]:  # pyright: ignore
        values, weight = ctx.saved_tensors
        geometry = ([2] * 3, [1] * 3, [1] * 3, True, [0] * 3, 1, list(ctx.needs_input_grad))
        return torch.ops.aten.convolution_backward(gradient, values, weight, [weight.shape[1]], *geometry)
