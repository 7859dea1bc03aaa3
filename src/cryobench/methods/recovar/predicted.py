"""Slices of volumes at the poses of packed particles, as packed entries."""

import torch
from torch import Tensor

from cryobench.imaging.grid import FourierVolume
from cryobench.imaging.slices import extract_slices
from cryobench.methods._shared.spectra import HalfDisc, Packed

_BYTES_AT_ONCE = {"cpu": 2e7, "cuda": 5e8}
"""Of slices: what stays in a cache, or what keeps a GPU busy."""


def predict(volume_ft: FourierVolume, packed: Packed, disc: HalfDisc) -> Tensor:
    """Slices (m, p), or (m, k, p) of K volumes, without the CTF."""
    index = torch.from_numpy(disc.index).to(packed.data.device)
    return extract_slices(volume_ft, packed.rotations).flatten(-2)[..., index]


def small_batches(packed: Packed, disc: HalfDisc, n_volumes: int) -> list[tuple[int, Packed]]:
    """Parts of a batch, with their first places, whose slices of all volumes are made at once."""
    size = disc.box_size * (disc.box_size // 2 + 1) * 8 * n_volumes
    step = max(1, int(_BYTES_AT_ONCE[packed.data.device.type] // size))
    return [(first, packed.cut(first, first + step)) for first in range(0, len(packed.indices), step)]


def weights_of(disc: HalfDisc, device: str) -> Tensor:
    """(p,) weights of the entries in sums over half the spectrum."""
    return torch.from_numpy(disc.weights).to(device)
