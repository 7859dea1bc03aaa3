"""``Particles``: everything a reconstruction method may see."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch

from cryobench._display import Displayed
from cryobench.data._checks import check_poses, check_range, freeze
from cryobench.data.sources import CroppedImages, ImageSource, SelectedImages, find_origin
from cryobench.fourier import fourier_crop
from cryobench.imaging.ctf import Ctf

CHUNK = 512
"""Particles read at a time by default: 32 MB of images at 128 px."""


@dataclass(frozen=True, eq=False, repr=False)
class Particles(Displayed):
    """Input of a reconstruction method: images, CTF, poses if given, optics and a mask.

    Raises
    ------
    ValueError
        If the parts differ in length or box size, a rotation is invalid, or the pixel size is not positive.
    """

    images: ImageSource
    """n square images; read through ``read``, which applies ``sign``."""
    pixel_size: float
    """Å per pixel."""
    ctf: Ctf
    """CTFs of n particles."""
    rotations: np.ndarray | None = None
    """(n, 3, 3) particle-from-reference, or None if poses are withheld."""
    shifts: np.ndarray | None = None
    """(n, 2) Å, (x, y): the displacement that centres each particle; None if poses are withheld."""
    sign: Literal[1, -1] = 1
    """+1 if stored images are +CTF x projection (protein dark at underfocus, as recorded), −1 if they are
    inverted (protein bright, as is usual in stacks on disk). ``read`` undoes it."""
    mask: np.ndarray | None = None
    """(z, y, x) in [0, 1]: mask of the molecule; None if there is none."""

    def __post_init__(self) -> None:
        n, box_size = len(self.images), self.images.box_size
        if not (np.isfinite(self.pixel_size) and self.pixel_size > 0):
            raise ValueError(f"pixel_size must be positive, in Å per pixel; got {self.pixel_size}.")
        if self.sign not in (1, -1):
            raise ValueError(f"sign must be +1 or -1, got {self.sign}.")
        if len(self.ctf) != n:
            raise ValueError(f"there are {n} images, but CTF parameters for {len(self.ctf)} particles.")
        check_poses(self, n)
        if self.mask is not None:
            mask = np.array(self.mask, dtype=np.float32)
            if mask.shape != (box_size,) * 3:
                raise ValueError(f"the mask has shape {mask.shape}, expected {(box_size,) * 3} like the images.")
            if not np.isfinite(mask).all() or mask.min() < 0 or mask.max() > 1:
                raise ValueError(f"mask values must lie in [0, 1], found {mask.min()} to {mask.max()}.")
            freeze(self, "mask", mask)

    def __len__(self) -> int:
        return len(self.images)

    @property
    def box_size(self) -> int:
        """Side of the images in px."""
        return self.images.box_size

    def read(self, indices: np.ndarray | Sequence[int]) -> np.ndarray:
        """Images (m, y, x) float32 such that image = +CTF x projection + noise, whatever the stored sign.

        Raises
        ------
        ValueError
            If a pixel is NaN or infinite; the message names the particle.
        """
        indices = np.asarray(indices, dtype=np.int64)
        images = self.images.read(indices)
        finite = np.isfinite(images.sum(axis=(1, 2), dtype=np.float64))
        if not finite.all():
            bad = find_origin(self.images, indices[~finite])
            raise ValueError(
                f"the image of particle {bad[0]} holds NaN or infinite pixels"
                f" ({len(bad)} such particles among those just read). Remove them from the table or mend the stack."
            )
        return images if self.sign == 1 else -images

    def select(self, indices: np.ndarray) -> Particles:
        """The chosen particles (m,), in that order, as new particles."""
        indices = np.asarray(indices, dtype=np.int64)
        check_range("particle", indices, 0, len(self))
        return replace(
            self,
            images=SelectedImages(self.images, indices),
            ctf=self.ctf[indices],
            rotations=None if self.rotations is None else self.rotations[indices],
            shifts=None if self.shifts is None else self.shifts[indices],
        )

    def at_box(self, box_size: int) -> Particles:
        """The same particles with images Fourier-cropped to a smaller box when read.

        Images are scaled to stay projections of the cropped volume: a volume made from them and padded
        back (``fourier_pad``) has the same density as one made from the full images. ValueError if the box is larger
        than the images or smaller than 4 px.
        """
        if box_size == self.box_size:
            return self
        images = CroppedImages(self.images, box_size)
        mask = self.mask
        if mask is not None:
            mask = fourier_crop(torch.tensor(mask), box_size, dimensions=3).clamp(0, 1).numpy()
        return replace(self, images=images, pixel_size=self.pixel_size * self.box_size / box_size, mask=mask)

    def without_poses(self) -> Particles:
        """The same particles without poses and without the mask, which is in the frame of the poses."""
        return replace(self, rotations=None, shifts=None, mask=None)

    def chunks(self, size: int = CHUNK) -> Iterator[np.ndarray]:
        """Consecutive index arrays that cover all particles, ``size`` at a time."""
        for start in range(0, len(self), size):
            yield np.arange(start, min(start + size, len(self)))
