"""The two transforms that all others here are made of: real to half-spectrum and back, about sample 0.

On the CPU they are those of scipy (pocketfft), which takes every line alone, whatever thread it falls to: the bits
depend neither on the number of threads nor on what else is in the batch. Those of torch there (MKL) share one
transform among threads, in an order that their number decides. Elsewhere, and where gradients are asked for, torch's.
"""

import scipy.fft
import torch
from jaxtyping import Complex, Float
from torch import Tensor


def forward(values: Float[Tensor, "*shape"], dims: tuple[int, ...]) -> Complex[Tensor, "*half"]:
    """Unnormalised half-spectrum over ``dims``, the last of which is halved."""
    if _needs_torch(values):
        return torch.fft.rfftn(values, dim=dims)
    return torch.from_numpy(scipy.fft.rfftn(values.detach().numpy(), axes=dims, workers=torch.get_num_threads()))


def inverse(spectrum: Complex[Tensor, "*half"], size: int, dims: tuple[int, ...]) -> Float[Tensor, "*shape"]:
    """Real function of ``size`` samples on each of ``dims``, divided by their number: it undoes ``forward``."""
    shape = (size,) * len(dims)
    if _needs_torch(spectrum):
        return torch.fft.irfftn(spectrum, s=shape, dim=dims)
    values = spectrum.detach().resolve_conj().numpy()
    return torch.from_numpy(scipy.fft.irfftn(values, s=shape, axes=dims, workers=torch.get_num_threads()))


def multiply(first: Complex[Tensor, "*shape"], second: Complex[Tensor, "*#shape"]) -> Complex[Tensor, "*shape"]:
    """Product of complex tensors in which each entry's bits depend on its factors alone.

    Those of ``first * second`` on the CPU also depend on its place: vectors are worked out otherwise than what is
    left over at the end of each thread's stretch.
    """
    real = first.real * second.real - first.imag * second.imag
    return torch.complex(real, first.real * second.imag + first.imag * second.real)


def _needs_torch(values: Tensor) -> bool:
    return values.device.type != "cpu" or (values.requires_grad and torch.is_grad_enabled())
