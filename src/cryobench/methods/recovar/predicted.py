"""Slices of volumes at the poses of packed particles, as packed entries."""

import torch
from torch import Tensor

from cryobench.imaging.grid import FourierVolume
from cryobench.imaging.slices import extract_slices
from cryobench.methods._shared.spectra import HalfDisc, Packed


def predict(volume_ft: FourierVolume, packed: Packed, disc: HalfDisc) -> Tensor:
    """Slices (m, p), or (m, k, p) of K volumes, without the CTF."""
    index = torch.from_numpy(disc.index).to(packed.data.device)
    return extract_slices(volume_ft, packed.rotations).flatten(-2)[..., index]
