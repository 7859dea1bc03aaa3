"""Residual of images against slices of a coordinate network, and its gradients, image by image in one sweep.

Equal to automatic differentiation of the residual of ``CoordinateNetwork.slices``, up to rounding, but
the layers of one image at a time run forward and backward while in cache, and memory does not grow with the
batch. On a CPU every thread has an image of its own. A residual block is one product, ReLU((W + 1) x + b); the mask
of the ReLU is the sign of its output; only the layers' outputs are kept.
"""

from dataclasses import dataclass
from functools import partial, reduce
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from cryobench._threads import map_torch
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


_AT_ONCE = {"cpu": 1 << 19, "cuda": 1 << 28}
"""Outputs of a layer computed at once, of whole images: fit a cache, or fill a device."""
_GROUPS = 8
"""Most groups of images whose gradients are summed apart, each by one thread. Their number depends on sizes alone, so
results are the same on any number of threads."""
_GROUP_OUTPUTS, _LARGE_IMAGE = 1 << 18, 1 << 23
"""Least outputs of a layer for a group, and those of an image so large that torch's threads share its products."""


def sweep_bytes(network: CoordinateNetwork, box_size: int, batch_size: int, device: str, n_threads: int) -> float:
    """Most bytes that ``slice_residual`` takes in a process for images of a box, including their batch."""
    shape = network.shape
    n_points = round(np.pi / 8 * box_size**2 * (1 if shape.domain == "fourier" else 2))
    groups, at_once = _divide(batch_size, n_points * shape.width, device.partition(":")[0])
    each = 4 * n_points * ((shape.depth + 3) * shape.width + 8 * shape.encoding_size)
    sums = 4 * groups * sum(each.numel() for each in network.parameters())
    return min(groups, n_threads) * at_once * each + sums + 64 * batch_size * n_points


def _divide(batch_size: int, n_outputs: int, kind: str) -> tuple[int, int]:
    """Groups of a batch, and images computed at once, for a layer's outputs of each image."""
    groups = 1
    if kind == "cpu" and n_outputs <= _LARGE_IMAGE:
        groups = min(batch_size, _GROUPS, max(1, batch_size * n_outputs // _GROUP_OUTPUTS))
    return groups, max(1, min(-(-batch_size // groups), _AT_ONCE[kind] // n_outputs))


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
        weights, biases = tensors[::2], tensors[1::2]
        n_features = 2 * self.network.shape.encoding_size
        code = weights[0][:, n_features:]
        matrices = [_to_waves(weights[0][:, :n_features]), *map(_with_identity, weights[1:-1]), weights[-1]]
        low_matrices, low_biases = ([each.to(self.dtype) for each in group] for group in (matrices, biases))
        offsets = torch.addmm(biases[0], latents, code.T).to(self.dtype)
        n_groups, at_once = _divide(len(latents), self._n_points * len(biases[0]), latents.device.type)
        bounds = np.linspace(0, len(latents), n_groups + 1).astype(int)
        idle: list[_Layers] = []

        @torch.no_grad()
        def sweep(first: int, last: int) -> _Sums:
            sums = _Sums(matrices, biases)
            layers = idle.pop() if idle else _Layers(low_matrices, low_biases, (at_once, self._n_points))
            for start in range(first, last, at_once):
                part = slice(start, min(start + at_once, last))
                self._add(layers, sums, part, offsets[part], of_data=of_data, of_poses=of_poses)
            idle.append(layers)
            return sums

        total = reduce(_Sums.join, map_torch(sweep, pairwise(bounds.tolist())))
        by_offset = torch.cat(total.by_offset).to(latents.dtype)
        by_weights, by_biases = total.by_weights, total.by_biases
        by_weights[0] = torch.cat([_from_waves(by_weights[0]), by_offset.T @ latents], dim=1)
        by_biases[0] = by_offset.sum(0)
        value = (total.residual / self.batch.ctf.numel()).to(latents.dtype)
        by_poses = (torch.cat(each) if each else None for each in (total.by_data, total.by_rotations))
        pairs = zip(by_weights, by_biases, strict=True)
        return value, [by_offset @ code, *by_poses, *(each for pair in pairs for each in pair)]

    @property
    def _is_fourier(self) -> bool:
        return self.network.shape.domain == "fourier"

    @property
    def _n_points(self) -> int:
        """Points at which the network is evaluated for an image."""
        return self.batch.ctf.shape[1] * (1 if self._is_fourier else 2)

    def _add(
        self,
        layers: "_Layers",
        sums: "_Sums",
        part: slice,
        offsets: Float[Tensor, "b h"],
        *,
        of_data: bool,
        of_poses: bool,
    ) -> None:
        """Add some images of the batch to the sums."""
        assert self.batch.rotations is not None
        data, ctf, rotations = self.batch.data[part], self.batch.ctf[part], self.batch.rotations[part]
        flips = self.encoder.depths(rotations) > 0 if self._is_fourier else None
        features = self.encoder.features(self.encoder.waves(rotations), flips)
        output = layers.forth(features, offsets)
        compare = _hartley if flips is None else partial(_fourier, flips=flips)
        residual, back = compare(output, data, ctf)
        sums.residual += residual.square().sum(dtype=torch.float64)
        by_sums = layers.back(back.mul_(2 / self.batch.ctf.numel()), sums)
        sums.by_offset.append(by_sums.sum(1))
        if of_data:
            sums.by_data.append(residual * (-2 / self.batch.ctf.numel()))
        if of_poses:
            by_features = layers.by_features(by_sums).to(features.dtype)
            sums.by_rotations.append(self.encoder.by_rotations(features, by_features, flips))


class _Sums:
    """Residual and gradients of a group of images."""

    def __init__(self, matrices: list[Float[Tensor, "_ _"]], biases: tuple[Float[Tensor, "_"], ...]) -> None:
        self.residual = torch.zeros((), dtype=torch.float64, device=biases[0].device)
        self.by_weights, self.by_biases = ([torch.zeros_like(each) for each in group] for group in (matrices, biases))
        self.by_offset: list[Tensor] = []
        self.by_data: list[Tensor] = []
        self.by_rotations: list[Tensor] = []

    def join(self, later: "_Sums") -> "_Sums":
        """These sums with those of the images that follow."""
        self.residual += later.residual
        torch._foreach_add_([*self.by_weights, *self.by_biases], [*later.by_weights, *later.by_biases])
        for name in ("by_offset", "by_data", "by_rotations"):
            getattr(self, name).extend(getattr(later, name))
        return self


class _Layers:
    """Matrices and biases in the precision of products, and buffers for images × points."""

    def __init__(self, matrices: list[Tensor], biases: list[Tensor], images_and_points: tuple[int, int]) -> None:
        self._matrices, self._biases = matrices, biases
        shape = (*images_and_points, len(biases[0]))
        self._outputs = [matrices[0].new_empty(shape) for _ in matrices[:-1]]
        self._backs = [matrices[0].new_empty(shape) for _ in range(2)]
        self._values: list[Tensor] = []

    def forth(self, features: Float[Tensor, "b p e"], offsets: Float[Tensor, "b h"]) -> Float[Tensor, "b p o"]:
        """Outputs, in the precision of the features, where the first layer's bias and latent make offsets."""
        images, points, _ = features.shape
        outputs = [buffer[:images] for buffer in self._outputs]
        values = features.to(offsets.dtype)
        first = self._matrices[0].T.expand(images, -1, -1)
        torch.baddbmm(offsets[:, None], values, first, out=outputs[0]).relu_()
        self._values = [values.flatten(0, 1), *(each.flatten(0, 1) for each in outputs)]
        for number in range(1, len(outputs)):
            before, after = self._values[number : number + 2]
            torch.addmm(self._biases[number], before, self._matrices[number].T, out=after).relu_()
        found = torch.addmm(self._biases[-1], self._values[-1], self._matrices[-1].T)
        return found.reshape(images, points, -1).to(features.dtype)

    def back(self, gradient: Float[Tensor, "b p o"], sums: _Sums) -> Float[Tensor, "b p h"]:
        """Gradients by the first layer's sums, from those by outputs; those by the layers are added to the sums."""
        images = len(gradient)
        back = gradient.flatten(0, 1).to(self._matrices[0].dtype)
        for number in reversed(range(1, len(self._matrices))):
            self._add(sums.by_weights[number], number, back)
            sums.by_biases[number] += back.sum(0)
            before = self._values[number]
            back = torch.mm(back, self._matrices[number], out=self._backs[number % 2][:images].flatten(0, 1))
            torch.ops.aten.threshold_backward.grad_input(back, before, 0, grad_input=back)
        self._add(sums.by_weights[0], 0, back)
        return back.reshape(images, -1, back.shape[1])

    def by_features(self, by_sums: Float[Tensor, "b p h"]) -> Float[Tensor, "b p e"]:
        """Gradients by the features, from the output of ``back``."""
        return by_sums @ self._matrices[0]

    def _add(self, total: Float[Tensor, "h w"], number: int, back: Float[Tensor, "m h"]) -> None:
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
