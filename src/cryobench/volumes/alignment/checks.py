"""Checks of arguments: volumes, masks, resolution."""

from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Float

from cryobench._types import Volume
from cryobench.volumes.alignment.spectrum import largest_band

AnyVolume: TypeAlias = Float[torch.Tensor, "z y x"] | Float[np.ndarray, "z y x"]

_LEAST_BAND = 4
_WIDEST_DEFAULT = 32


def choose_band(box_size: int, pixel_size: float, resolution: float | None) -> int:
    """Largest |k| in index units. ValueError if the box or the resolution (Å) does not allow it."""
    if not pixel_size > 0:
        raise ValueError(f"pixel_size must be positive, got {pixel_size} Å.")
    greatest = largest_band(box_size)
    if greatest < _LEAST_BAND:
        raise ValueError(f"volumes of {box_size} voxels an axis are too small to align: at least 11 are needed.")
    if resolution is None:
        return min(max(box_size // 3, _LEAST_BAND), _WIDEST_DEFAULT)
    extent = box_size * pixel_size
    if not extent / greatest <= resolution <= extent / _LEAST_BAND:
        raise ValueError(
            f"a box of {box_size} voxels of {pixel_size:g} Å can be aligned at a resolution of "
            f"{extent / greatest:.4g} to {extent / _LEAST_BAND:.4g} Å, got {resolution}."
        )
    return int(extent / resolution + 1e-9)


def check_volume(name: str, volume: AnyVolume) -> Volume:
    """The volume as a float32 tensor on the CPU. ValueError if it is not cubic, not finite, or constant."""
    # A copy, as an array may be read-only or of another byte order.
    tensor = torch.from_numpy(np.array(volume, dtype=np.float32)) if isinstance(volume, np.ndarray) else volume
    tensor = tensor.detach().cpu()
    if tensor.ndim != 3 or len(set(tensor.shape)) != 1:
        raise ValueError(f"{name} must be cubic, (n, n, n), got {tuple(tensor.shape)}.")
    if not torch.isfinite(tensor).all():
        count = int((~torch.isfinite(tensor)).sum())
        raise ValueError(f"{name} holds {count} values that are not finite.")
    if tensor.max() == tensor.min():
        raise ValueError(f"{name} is {float(tensor.max()):g} everywhere: nothing to align.")
    return tensor.float()


def check_mask(mask: AnyVolume, box_size: int) -> Volume:
    """The mask as a tensor. ValueError if its box is not that of the volumes, or values are outside [0, 1]."""
    tensor = check_volume("the mask", mask)
    if tensor.shape[-1] != box_size:
        raise ValueError(f"the mask has {tensor.shape[-1]} voxels an axis, the volumes {box_size}.")
    if tensor.min() < 0 or tensor.max() > 1:
        raise ValueError(f"mask values must be in [0, 1], got {float(tensor.min())} to {float(tensor.max())}.")
    return tensor
