"""Images with flipped phases: multiplied, in Fourier space, by the sign of their CTF.

RELION states this in the optics column rlnCtfDataArePhaseFlipped. With c for RELION's CTF (−1 times ours) such an
image is |c| · projection + noise. Its spectrum times sign(c) is c · projection + noise, as recorded: the
sign is its own inverse, and noise stays as white as before. So phases are unflipped as images are read, and no other
code is affected.
"""

from __future__ import annotations

import numpy as np
import torch

from cryobench.data import ImageSource
from cryobench.fourier import fft_images, frequency_grid, ifft_images
from cryobench.imaging.ctf import Ctf, evaluate_ctf
from cryobench.io.formats.mrc import MrcStacks


class UnflippedImages:
    """Images as recorded, from stacks in which some have flipped phases; an ``ImageSource``. Picklable."""

    def __init__(self, stacks: MrcStacks, ctf: Ctf, pixel_size: float, flipped: np.ndarray) -> None:
        self.stacks, self.paths, self.box_size = stacks, stacks.paths, stacks.box_size
        self.flipped = np.asarray(flipped, dtype=bool)
        """(n,) whether each stored image is flipped."""
        self._ctf, self._pixel_size = ctf, pixel_size
        if not len(stacks) == len(ctf) == len(self.flipped):
            raise ValueError(f"there are {len(stacks)} images, but {len(ctf)} CTFs and {len(self.flipped)} flags.")

    def __len__(self) -> int:
        return len(self.stacks)

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Images (m, y, x) float32 in the order of ``indices`` (m,), unflipped."""
        indices = np.asarray(indices, dtype=np.int64).reshape(-1)
        images = self.stacks.read(indices)
        which = np.flatnonzero(self.flipped[indices])
        if len(which):
            images[which] = self._turn_back(images[which], self._ctf[indices[which]])
        return images

    def _turn_back(self, images: np.ndarray, ctf: Ctf) -> np.ndarray:
        frequencies = frequency_grid(self.box_size, 2, pixel_size=self._pixel_size)
        signs = torch.where(evaluate_ctf(ctf, frequencies) > 0, -1.0, 1.0)  # of RELION's CTF
        return ifft_images(fft_images(torch.from_numpy(images)) * signs, self.box_size).numpy()


def stacks_of(images: ImageSource) -> MrcStacks | None:
    """The MRC stacks that images come from, as stored; None for other sources."""
    if isinstance(images, UnflippedImages):
        return images.stacks
    return images if isinstance(images, MrcStacks) else None


def flipped_of(images: ImageSource) -> np.ndarray:
    """(n,) whether each image is stored with flipped phases."""
    return images.flipped if isinstance(images, UnflippedImages) else np.zeros(len(images), dtype=bool)
