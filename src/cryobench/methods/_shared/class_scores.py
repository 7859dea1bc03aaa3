"""How badly each of K volumes explains each particle at its pose, shell by shell, in one pass.

For packed data y, CTF c and slices V_k, with the weights w of ``HalfDisc``:

    A[i, s, k] = Σ_{entries of shell s} w ( c² |V_k|² − 2 Re conj(y) c V_k )

so that |y − c V_k|² summed over a shell is the data's own power plus A: whatever the noise model or the prior
odds, everything a classification needs is linear in A. On the CPU a compiled kernel reads the K interleaved values
of each voxel in one gather and never stores a slice; elsewhere, and as its reference, slices are extracted.
"""

from itertools import pairwise

import numba
import numpy as np
import torch
from torch import Tensor

from cryobench.imaging.grid import FourierVolume
from cryobench.imaging.kernels.cpu.threads import count_threads, run_parts
from cryobench.imaging.slices import extract_slices
from cryobench.methods._shared.spectra import HalfDisc, Packed


def score_classes(volume_ft: FourierVolume, packed: Packed, disc: HalfDisc, radius: int) -> Tensor:
    """A[i, s, k] of the shells up to ``radius``: (m, radius + 1, k) float32.

    ``volume_ft`` is a stack for the trilinear kernel on the grid of ``disc``'s box.
    """
    if not volume_ft.is_stack or volume_ft.kernel != "trilinear" or volume_ft.box_size != disc.box_size:
        raise ValueError("scores are taken against a stack of volumes, trilinear, of the particles' box size.")
    if packed.data.device.type != "cpu":
        return score_by_slices(volume_ft, packed, disc, radius)
    count = disc.count(radius)
    result = np.zeros((len(packed.indices), radius + 1, volume_ft.n_volumes), dtype=np.float32)
    values = volume_ft.values.contiguous().numpy()
    frequencies = (disc.frequencies[:count] * volume_ft.padding).astype(np.float32)
    layout = volume_ft.layout
    arguments = (
        values.view(np.float32),
        packed.rotations.numpy(),
        frequencies,
        disc.shells[:count],
        disc.weights[:count],
        packed.data.numpy(),
        packed.ctf.numpy(),
        layout.center,
        layout.center_x,
        result,
    )
    bounds = np.linspace(0, len(result), 4 * count_threads() + 1).astype(int)
    run_parts(_score, [(*arguments, first, last) for first, last in pairwise(bounds)])
    return torch.from_numpy(result)


def score_by_slices(volume_ft: FourierVolume, packed: Packed, disc: HalfDisc, radius: int) -> Tensor:
    """The same from extracted slices: any device, and what the kernel is tested against."""
    count = disc.count(radius)
    device = packed.data.device
    reach = min(radius + 1, volume_ft.layout.max_radius)
    slices = extract_slices(volume_ft, packed.rotations, radius=reach).flatten(2)
    slices = slices[:, :, torch.from_numpy(disc.index[:count]).to(device)]
    predicted = slices * packed.ctf[:, None, :count]
    data = packed.data[:, None, :count]
    terms = predicted.abs().square() - 2 * (data.conj() * predicted).real
    terms = terms * torch.from_numpy(disc.weights[:count]).to(device)
    shells = torch.nn.functional.one_hot(torch.from_numpy(disc.shells[:count]), radius + 1).float().to(device)
    return (terms @ shells).transpose(1, 2).contiguous()


@numba.njit(nogil=True, fastmath=True, cache=True)
def _score(volumes, rotations, frequencies, shells, weights, data, ctf, center, center_x, result, first, last):
    doubled = volumes.shape[3]
    classes = doubled // 2
    taken = np.empty(doubled, np.float32)
    sums = np.zeros(classes, np.float32)
    one = np.float32(1.0)
    count = len(frequencies)
    for i in range(first, last):
        # Rows of R times (kx, ky, 0): the point k R in the volume.
        r00, r01, r02 = rotations[i, 0, 0], rotations[i, 0, 1], rotations[i, 0, 2]
        r10, r11, r12 = rotations[i, 1, 0], rotations[i, 1, 1], rotations[i, 1, 2]
        for p in range(count):
            kx, ky = frequencies[p, 0], frequencies[p, 1]
            x = kx * r00 + ky * r10
            y = kx * r01 + ky * r11
            z = kx * r02 + ky * r12
            sign = one
            if x < 0:
                x, y, z, sign = -x, -y, -z, -one
            x += np.float32(center_x)
            y += np.float32(center)
            z += np.float32(center)
            x0, y0, z0 = int(x), int(y), int(z)
            fx, fy, fz = x - np.float32(x0), y - np.float32(y0), z - np.float32(z0)
            gx, gy, gz = one - fx, one - fy, one - fz
            w0, w1, w2, w3 = gz * gy * gx, gz * gy * fx, gz * fy * gx, gz * fy * fx
            w4, w5, w6, w7 = fz * gy * gx, fz * gy * fx, fz * fy * gx, fz * fy * fx
            v0, v1 = volumes[z0, y0, x0], volumes[z0, y0, x0 + 1]
            v2, v3 = volumes[z0, y0 + 1, x0], volumes[z0, y0 + 1, x0 + 1]
            v4, v5 = volumes[z0 + 1, y0, x0], volumes[z0 + 1, y0, x0 + 1]
            v6, v7 = volumes[z0 + 1, y0 + 1, x0], volumes[z0 + 1, y0 + 1, x0 + 1]
            for k in range(doubled):
                taken[k] = (
                    w0 * v0[k] + w1 * v1[k] + w2 * v2[k] + w3 * v3[k]
                    + w4 * v4[k] + w5 * v5[k] + w6 * v6[k] + w7 * v7[k]
                )  # fmt: skip
            c = ctf[i, p]
            square = weights[p] * c * c
            real = np.float32(2.0) * weights[p] * c * data[i, p].real
            imag = np.float32(2.0) * weights[p] * c * sign * data[i, p].imag
            for k in range(classes):
                re, im = taken[2 * k], taken[2 * k + 1]
                sums[k] += square * (re * re + im * im) - (real * re + imag * im)
            shell = shells[p]
            if p + 1 == count or shells[p + 1] != shell:
                for k in range(classes):
                    result[i, shell, k] = sums[k]
                    sums[k] = np.float32(0.0)
