"""Misfit of each of K volumes to each particle at its pose, shell by shell, in one pass.

For packed data y, CTF c and slices V_k, with the weights w of ``HalfDisc``:

    A[i, s, k] = Σ_{entries of shell s} w ( c² |V_k|² − 2 Re conj(y) c V_k )

so that |y − c V_k|² summed over a shell is the data's own power plus A: for any noise model or class
prior, a classification needs only linear functions of A. On the CPU a compiled kernel reads the K interleaved values
of each voxel in one gather and never stores a slice; elsewhere, and as its reference, slices are extracted.
"""

from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Complex64, Float32
from torch import Tensor

from cryobench._threads import count_threads, run_parts
from cryobench.imaging.grid import FourierVolume
from cryobench.imaging.half_disc import HalfDisc
from cryobench.imaging.kernels.cpu.slices.class_scores import score
from cryobench.imaging.slices import extract_slices


def score_classes(
    volume_ft: FourierVolume,
    data: Complex64[Tensor, "n p"],
    ctf: Float32[Tensor, "n p"],
    rotations: Float32[Tensor, "n 3 3"],
    disc: HalfDisc,
    radius: int,
) -> Float32[Tensor, "n s k"]:
    """A[i, s, k] of the shells up to ``radius``, (n, radius + 1, k), see the module.

    Parameters
    ----------
    volume_ft
        A trilinear stack, in the box of ``disc``.
    data, ctf
        Packed: their first entries are those of ``disc``.
    rotations
        Particle from reference.

    Raises
    ------
    ValueError
        If ``volume_ft`` is anything else.
    """
    if not volume_ft.is_stack or volume_ft.kernel != "trilinear" or volume_ft.box_size != disc.box_size:
        raise ValueError("scores are computed against a stack of volumes, trilinear, in the particles' box size.")
    if data.device.type != "cpu":
        return score_by_slices(volume_ft, data, ctf, rotations, disc, radius)
    count = disc.count(radius)
    result = np.zeros((len(data), radius + 1, volume_ft.n_volumes), dtype=np.float32)
    values = volume_ft.values.contiguous().numpy().view(np.float32)
    layout = volume_ft.layout
    arguments = (
        values.reshape(-1),
        values.shape[3],
        values.shape[1] * values.shape[2],
        values.shape[2],
        rotations.numpy(),
        (disc.frequencies[:count] * volume_ft.padding).astype(np.float32),
        disc.shells[:count],
        disc.weights[:count],
        data.numpy(),
        ctf.numpy(),
        layout.center,
        layout.center_x,
        result,
    )
    bounds = np.linspace(0, len(result), 4 * count_threads() + 1).astype(int)
    run_parts(score, [(*arguments, first, last) for first, last in pairwise(bounds)])
    return torch.from_numpy(result)


def score_by_slices(
    volume_ft: FourierVolume,
    data: Complex64[Tensor, "n p"],
    ctf: Float32[Tensor, "n p"],
    rotations: Float32[Tensor, "n 3 3"],
    disc: HalfDisc,
    radius: int,
) -> Float32[Tensor, "n s k"]:
    """The same from extracted slices: for any device, and as the reference in tests of the kernel."""
    count = disc.count(radius)
    reach = min(radius + 1, volume_ft.layout.max_radius)
    slices = extract_slices(volume_ft, rotations, radius=reach).flatten(2)
    slices = slices[:, :, torch.from_numpy(disc.index[:count]).to(data.device)]
    predicted = slices * ctf[:, None, :count]
    terms = predicted.abs().square() - 2 * (data[:, None, :count].conj() * predicted).real
    terms = terms * torch.from_numpy(disc.weights[:count]).to(data.device)
    shells = torch.nn.functional.one_hot(torch.from_numpy(disc.shells[:count]), radius + 1).float().to(data.device)
    return (terms @ shells).transpose(1, 2).contiguous()
