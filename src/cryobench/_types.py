"""Array types with named axes: the vocabulary of shapes.

Usual axis names: ``n`` particles, ``b`` or ``m`` some of them, ``y x`` an image, ``z y x`` a volume, ``h`` the
non-negative half of the x frequencies (``x // 2 + 1`` of them), ``p`` packed entries of a half-disc, ``k`` volumes or
classes, ``q`` query particles, ``d`` latent dimensions, ``s`` shells, ``a`` atoms. Coordinates are always ordered
(x, y, z).
"""

from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Complex64, Float, Int

Images: TypeAlias = Float[torch.Tensor, "n y x"]
ImagesFT: TypeAlias = Complex64[torch.Tensor, "n y h"]
Volume: TypeAlias = Float[torch.Tensor, "z y x"]
Rotations: TypeAlias = Float[torch.Tensor, "n 3 3"]
Shifts: TypeAlias = Float[torch.Tensor, "n 2"]

ImageArray: TypeAlias = Float[np.ndarray, "n y x"]
VolumeArray: TypeAlias = Float[np.ndarray, "z y x"]
RotationArray: TypeAlias = Float[np.ndarray, "n 3 3"]
ShiftArray: TypeAlias = Float[np.ndarray, "n 2"]
Indices: TypeAlias = Int[np.ndarray, "n"]
