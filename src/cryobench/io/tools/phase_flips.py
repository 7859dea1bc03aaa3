"""Images whose phases were flipped before they came here: multiplied, in Fourier space, by the sign of their CTF.

RELION says so in the optics column rlnCtfDataArePhaseFlipped. With c for RELION's CTF (−1 times ours) such an image
is |c| · projection + noise. Its spectrum times sign(c) is c · projection + noise, which is what was recorded: the
sign is its own inverse, and noise stays as white as it was. So flipped images are turned back as they are read, and
nothing else knows of them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from cryobench.data import ImageSource
from cryobench.fourier import fft_images, frequency_grid, ifft_images
from cryobench.imaging.ctf import Ctf, evaluate_ctf
from cryobench.io.formats.mrc import MrcStacks


class UnflippedImages:
    """Images as recorded, of stacks in which the phases of some were flipped; an ``ImageSource``. Picklable."""

    def __init__(self, stacks: MrcStacks, ctf: Ctf, pixel_size: float, flipped: np.ndarray) -> None:
        self.stacks = stacks
        self.flipped = np.asarray(flipped, dtype=bool)
        """(n,) which of the stored images are flipped."""
        self._ctf, self._pixel_size = ctf, pixel_size
        if not len(stacks) == len(ctf) == len(self.flipped):
            raise ValueError(
                f"there are {len(stacks)} images, CTF parameters of {len(ctf)} and {len(self.flipped)} flags."
            )

    @property
    def paths(self) -> tuple[Path, ...]:
        """Absolute paths of the stacks."""
        return self.stacks.paths

    @property
    def box_size(self) -> int:
        """Side of the images in px."""
        return self.stacks.box_size

    def __len__(self) -> int:
        return len(self.stacks)

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Images (m, y, x) float32 in the order of ``indices`` (m,), the flipped ones turned back."""
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
    """The MRC stacks that images come from as they lie on disk; None if they come from elsewhere."""
    if isinstance(images, UnflippedImages):
        return images.stacks
    return images if isinstance(images, MrcStacks) else None


def flipped_of(images: ImageSource) -> np.ndarray:
    """(n,) which images are stored with flipped phases."""
    return images.flipped if isinstance(images, UnflippedImages) else np.zeros(len(images), dtype=bool)
