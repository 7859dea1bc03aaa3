"""What is to be aligned, checked: volumes, references, mask, and the band of frequencies used."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Float

from cryobench._types import Volume
from cryobench.volumes.alignment.objective import Objective, correlate_shells, make_objective
from cryobench.volumes.alignment.refine import Candidate
from cryobench.volumes.alignment.search import choose_bands
from cryobench.volumes.alignment.spectrum import largest_band, make_lattice, make_spectrum
from cryobench.volumes.rotate import rotate_volume

AnyVolume: TypeAlias = Float[torch.Tensor, "z y x"] | Float[np.ndarray, "z y x"]

_LEAST_BAND = 4
_WIDEST_DEFAULT = 32


@dataclass(frozen=True, eq=False)
class Problem:
    """Checked volumes, the mask of their references, and the objective made of them."""

    volumes: list[Volume]
    mask: Volume | None
    objective: Objective

    @property
    def box_size(self) -> int:
        """Voxels an axis."""
        return self.volumes[0].shape[-1]

    def score(self, candidate: Candidate) -> float:
        """Mean FSC over the band and over pairs; with a mask, of volumes moved in real space and masked."""
        if self.mask is None:
            curves = self.objective.measure(candidate.matrix, candidate.shift)
        else:
            curves = [self._measure_masked(index, candidate) for index in range(len(self.volumes))]
        trusts = [pair.trust for pair in self.objective.pairs]
        total = sum(float((trust * curve).sum()) for trust, curve in zip(trusts, curves, strict=True))
        return total / sum(float(trust.sum()) for trust in trusts)

    def _measure_masked(self, index: int, candidate: Candidate) -> Float[np.ndarray, "s"]:
        lattice, pair = self.objective.lattice, self.objective.pairs[index]
        moved = rotate_volume(
            self.volumes[index], candidate.rotation, candidate.shift * self.box_size, mirrored=candidate.mirrored
        )
        spectra = make_spectrum(moved, lattice.bands[-1], self.mask), pair.reference
        values = [spectrum.sample(lattice.points.astype(np.float64)) for spectrum in spectra]
        return correlate_shells(values[0], values[1], lattice)


def pose_problem(
    volumes: Sequence[AnyVolume],
    references: Sequence[AnyVolume],
    pixel_size: float,
    mask: AnyVolume | None,
    resolution: float | None,
) -> Problem:
    """Problem of one transform for all pairs. ValueError for what cannot be aligned: see ``modes.align``."""
    moving = [_check_volume("the volume", volume) for volume in volumes]
    still = [_check_volume("the reference", reference) for reference in references]
    sizes = [volume.shape[-1] for volume in (*moving, *still)]
    if len(set(sizes)) > 1:
        raise ValueError(
            f"volumes and references share one box: the volume has {sizes[0]} voxels an axis, another "
            f"{next(size for size in sizes if size != sizes[0])}. Resample one (fourier_crop, fourier_pad)."
        )
    band = _choose_band(sizes[0], pixel_size, resolution)
    checked = None if mask is None else _check_mask(mask, sizes[0])
    lattice = make_lattice(choose_bands(band))
    spectra = [
        (make_spectrum(volume, band), make_spectrum(reference, band, checked))
        for volume, reference in zip(moving, still, strict=True)
    ]
    return Problem(moving, checked, make_objective(spectra, lattice))


def _choose_band(box_size: int, pixel_size: float, resolution: float | None) -> int:
    """Greatest |k| in index units."""
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
            f"a box of {box_size} voxels of {pixel_size:g} Å is aligned at a resolution of "
            f"{extent / greatest:.4g} to {extent / _LEAST_BAND:.4g} Å, got {resolution}."
        )
    return int(extent / resolution + 1e-9)


def _check_volume(name: str, volume: AnyVolume) -> Volume:
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


def _check_mask(mask: AnyVolume, box_size: int) -> Volume:
    tensor = _check_volume("the mask", mask)
    if tensor.shape[-1] != box_size:
        raise ValueError(f"the mask has {tensor.shape[-1]} voxels an axis, the volumes {box_size}.")
    if tensor.min() < 0 or tensor.max() > 1:
        raise ValueError(f"mask values lie in [0, 1], got {float(tensor.min())} to {float(tensor.max())}.")
    return tensor
