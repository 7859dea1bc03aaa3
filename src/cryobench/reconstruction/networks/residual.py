"""Residual of images against slices of a coordinate network, and its gradients, image by image in one sweep.

Equal to ``squared_residual`` of ``CoordinateNetwork.slices`` under automatic differentiation, up to rounding, but
the layers of one image at a time run forward and backward while in cache, and memory does not grow with the
batch. A residual block is one product, ReLU((W + 1) x + b); the mask of the ReLU is the sign of its output; only
the layers' outputs are kept.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from cryobench.reconstruction.networks.coordinate_network import CoordinateNetwork
from cryobench.reconstruction.networks.encoding import SliceEncoder
from cryobench.reconstruction.networks.prepared_images.spectra import NetworkBatch


def slice_residual(
    network: CoordinateNetwork,
    encoder: SliceEncoder,
    batch: NetworkBatch,
    latents: Float[Tensor, "b k"],
    dtype: torch.dtype = torch.float32,
) -> Float[Tensor, ""]:
    """Mean over images and pixels of the Hartley disc of (C H' − H)².

    Differentiable by weights and latents, and by those of the batch's data and rotations that require a gradient. In
    the fourier domain it jumps where a point crosses k_z = 0 and the network is not yet its own Friedel mate there
    (see ``coordinate_network``); the gradient by rotations ignores the jumps.

    Zero without images.

    Parameters
    ----------
    dtype
        Precision of layers and matrix products; gradients are summed in that of the weights, the residual in float64.
    """
    layers = [network.first, *network.blocks, network.last]
    tensors = [tensor for layer in layers for tensor in (layer.weight, layer.bias)]
    sweep = _Sweep(network, encoder, batch, dtype)
    return _SliceResidual.apply(sweep, latents, batch.data, batch.rotations, *tensors)  # pyright: ignore


def squared_residual(predicted: Float[Tensor, "b p 2"], batch: NetworkBatch) -> Float[Tensor, ""]:
    """Mean over images and pixels of the Hartley disc of (C H' − H)², from predicted halves."""
    return (batch.ctf[..., None] * predicted - batch.data).square().sum(-1).mean()


_AT_ONCE = {"cpu": 1 << 19, "cuda": 1 << 28}
"""Outputs of a layer computed at once, of whole images: fit a cache, or fill a device."""


def sweep_bytes(network: CoordinateNetwork, box_size: int, batch_size: int, device: str = "cpu") -> float:
    """Most bytes that ``slice_residual`` takes for images of a box, including their batch."""
    shape = network.shape
    n_points = np.pi / 8 * box_size**2 * (1 if shape.domain == "fourier" else 2)
    at_once = min(batch_size, max(1, _AT_ONCE[device.partition(":")[0]] // (n_points * shape.width)))
    each = 4 * n_points * ((shape.depth + 3) * shape.width + 8 * shape.encoding_size)
    return at_once * each + 64 * batch_size * n_points


class _SliceResidual(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, sweep: "_Sweep", latents: Tensor, data: Tensor, rotations: Tensor, *tensors: Tensor
    ) -> Tensor:
        value, ctx.gradients = sweep.run(
            latents, tensors, of_data=data.requires_grad, of_poses=rotations.requires_grad
        )
        return value

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore
        return (None, *(None if each is None else each * gradient for each in ctx.gradients))


@dataclass
class _Sweep:
    """Forward and backward pass through the layers for each image of a batch."""

    network: CoordinateNetwork
    encoder: SliceEncoder
    batch: NetworkBatch
    dtype: torch.dtype

    def run(
        self, latents: Float[Tensor, "b k"], tensors: tuple[Tensor, ...], *, of_data: bool, of_poses: bool
    ) -> tuple[Float[Tensor, ""], list[Tensor | None]]:
        """The residual, and its gradients by latents, data, rotations, and the layers' weights and biases."""
        if not len(latents):  # a process of the group may be left without images
            found = [self.batch.data if of_data else None, self.batch.rotations if of_poses else None]
            every = [latents, *found, *tensors]
            return latents.new_zeros(()), [None if each is None else torch.zeros_like(each) for each in every]
        batch, weights, biases = self.batch, tensors[::2], tensors[1::2]
        n_features = 2 * self.network.shape.encoding_size
        code = weights[0][:, n_features:]
        matrices = [_to_waves(weights[0][:, :n_features]), *map(_with_identity, weights[1:-1]), weights[-1]]
        is_fourier = self.network.shape.domain == "fourier"
        assert batch.rotations is not None
        waves = self.encoder.waves(batch.rotations)
        flips = self.encoder.depths(batch.rotations) > 0 if is_fourier else None
        n_points = batch.ctf.shape[1] * (1 if is_fourier else 2)
        at_once = min(len(latents), max(1, _AT_ONCE[latents.device.type] // (n_points * len(biases[0]))))
        layers = _Layers(matrices, biases, self.dtype, at_once, n_points)
        offsets = torch.addmm(biases[0], latents, code.T).to(self.dtype)
        total = torch.zeros((), dtype=torch.float64, device=latents.device)
        by_offset, by_data, by_rotations = [], [], []
        for first in range(0, len(latents), at_once):
            part = slice(first, first + at_once)
            data, ctf, mirrored = batch.data[part], batch.ctf[part], None if flips is None else flips[part]
            features = self.encoder.features(waves[part], mirrored)
            output = layers.forth(features, offsets[part])
            compare = _hartley if mirrored is None else partial(_fourier, flips=mirrored)
            residual, back = compare(output, data, ctf)
            total += residual.square().sum(dtype=torch.float64)
            by_sums = layers.back(back.mul_(2 / batch.ctf.numel()))
            by_offset.append(by_sums.sum(1).to(latents.dtype))
            if of_data:
                by_data.append(residual * (-2 / batch.ctf.numel()))
            if of_poses:
                by_features = layers.by_features(by_sums).to(features.dtype)
                by_rotations.append(self.encoder.by_rotations(features, by_features, mirrored))
        by_offset = torch.cat(by_offset)
        layers.by_weights[0] = torch.cat([_from_waves(layers.by_weights[0]), by_offset.T @ latents], dim=1)
        layers.by_biases[0] = by_offset.sum(0)
        pairs = zip(layers.by_weights, layers.by_biases, strict=True)
        value = (total / batch.ctf.numel()).to(latents.dtype)
        by_poses = (torch.cat(each) if each else None for each in (by_data, by_rotations))
        return value, [by_offset @ code, *by_poses, *(each for pair in pairs for each in pair)]


class _Layers:
    """Matrices in the precision of products, buffers for some images, and sums of gradients."""

    def __init__(
        self,
        matrices: list[Float[Tensor, "_ _"]],
        biases: tuple[Float[Tensor, "_"], ...],
        dtype: torch.dtype,
        at_once: int,
        n_points: int,
    ) -> None:
        self._matrices = [matrix.to(dtype) for matrix in matrices]
        self._biases = [bias.to(dtype) for bias in biases]
        self.by_weights, self.by_biases = ([torch.zeros_like(each) for each in group] for group in (matrices, biases))
        shape = (at_once, n_points, len(biases[0]))
        self._outputs = [self._matrices[0].new_empty(shape) for _ in matrices[:-1]]
        self._backs = [self._matrices[0].new_empty(shape) for _ in range(2)]
        self._values: list[Tensor] = []

    def forth(self, features: Float[Tensor, "b p e"], offsets: Float[Tensor, "b h"]) -> Float[Tensor, "b p o"]:
        """Outputs at features, where the first layer's bias and latent make offsets."""
        features = features.to(offsets.dtype)
        images, points, _ = features.shape
        outputs = [buffer[:images] for buffer in self._outputs]
        first = self._matrices[0].T.expand(images, -1, -1)
        torch.baddbmm(offsets[:, None], features, first, out=outputs[0]).relu_()
        self._values = [features.flatten(0, 1), *(each.flatten(0, 1) for each in outputs)]
        for number in range(1, len(outputs)):
            before, after = self._values[number : number + 2]
            torch.addmm(self._biases[number], before, self._matrices[number].T, out=after).relu_()
        found = torch.addmm(self._biases[-1], self._values[-1], self._matrices[-1].T)
        return found.reshape(images, points, -1).to(self.by_biases[0].dtype)

    def back(self, gradient: Float[Tensor, "b p o"]) -> Float[Tensor, "b p h"]:
        """Gradients by the first layer's sums, from those by outputs.

        Gradients by the layers are accumulated.
        """
        images = len(gradient)
        back = gradient.flatten(0, 1).to(self._matrices[0].dtype)
        for number in reversed(range(1, len(self._matrices))):
            self._add(number, back)
            self.by_biases[number] += back.sum(0)
            before = self._values[number]
            back = torch.mm(back, self._matrices[number], out=self._backs[number % 2][:images].flatten(0, 1))
            torch.ops.aten.threshold_backward.grad_input(back, before, 0, grad_input=back)
        self._add(0, back)
        return back.reshape(images, -1, back.shape[1])

    def by_features(self, by_sums: Float[Tensor, "b p h"]) -> Float[Tensor, "b p e"]:
        """Gradients by the features, from the output of ``back``."""
        return by_sums @ self._matrices[0]

    def _add(self, number: int, back: Float[Tensor, "m h"]) -> None:
        total = self.by_weights[number]
        if total.dtype == back.dtype:
            total.addmm_(back.T, self._values[number])
        else:
            total += back.T @ self._values[number]


def _fourier(
    output: Float[Tensor, "b p 2"],
    data: Float[Tensor, "b p 2"],
    ctf: Float[Tensor, "b p"],
    flips: Bool[Tensor, "b p"],
) -> tuple[Float[Tensor, "b p 2"], Float[Tensor, "b p 2"]]:
    """C Y' − Y, and half the gradient of its squared sum by real and imaginary part."""
    gain = torch.stack([ctf, torch.where(flips, -ctf, ctf)], dim=-1)
    residual = torch.addcmul(-data, gain, output)
    return residual, residual * gain


def _hartley(
    output: Float[Tensor, "b p2 1"], data: Float[Tensor, "b p 2"], ctf: Float[Tensor, "b p"]
) -> tuple[Float[Tensor, "b p 2"], Float[Tensor, "b p2 1"]]:
    """C Y' − Y, and half the gradient of its squared sum by H at all k, then at all −k."""
    one, other = output[..., 0].chunk(2, dim=1)
    residual = torch.addcmul(-data, ctf[..., None], torch.stack([one + other, other - one], dim=-1) / 2)
    real, imaginary = (residual * ctf[..., None] / 2).unbind(-1)
    return residual, torch.cat([real - imaginary, real + imaginary], dim=1)[..., None]


def _with_identity(weight: Float[Tensor, "h h"]) -> Float[Tensor, "h h"]:
    return weight + torch.eye(len(weight), dtype=weight.dtype, device=weight.device)


def _to_waves(weight: Float[Tensor, "h e"]) -> Float[Tensor, "h e"]:
    """Columns for [sin φ ; cos φ] in the order cos φ_1, sin φ_1, cos φ_2, …"""
    return weight.reshape(len(weight), 2, -1).flip(1).transpose(1, 2).reshape(len(weight), -1)


def _from_waves(weight: Float[Tensor, "h e"]) -> Float[Tensor, "h e"]:
    return weight.reshape(len(weight), -1, 2).transpose(1, 2).flip(1).reshape(len(weight), -1)
