"""The two transforms that all others here are made of: real to half-spectrum and back, about sample 0.

On the CPU the bits depend neither on the number of threads nor on what else is in the batch. Forward, that holds of
torch's transforms (MKL) of planes and lines, each of which falls to one thread, but not of volumes, which are shared
out in an order that the number of threads decides: they are taken apart into planes and lines. Backward it holds of
scipy's (pocketfft), which takes every line alone. Elsewhere, and where gradients are asked for, torch's.
"""

import scipy.fft
import torch
from jaxtyping import Complex, Float
from torch import Tensor


def forward(values: Float[Tensor, "*shape"], dims: tuple[int, ...]) -> Complex[Tensor, "*half"]:
    """Unnormalised half-spectrum over ``dims``, the last of which is halved."""
    if len(dims) < 3 or _needs_torch(values):
        return torch.fft.rfftn(values, dim=dims)
    if values.ndim > 3:
        return torch.stack([forward(each, dims) for each in values])
    # Plane by plane and then across them: each of these transforms is worked out by one thread.
    return torch.fft.fft(torch.fft.rfftn(values, dim=dims[1:]), dim=dims[0])


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
