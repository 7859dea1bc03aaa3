"""Images as methods in Fourier space want them: on half-discs, with or without poses, all in turn or in minibatches."""

from cryobench.reconstruction.images.sampler import Minibatches, prefetch
from cryobench.reconstruction.images.spectra import (
    ImageSpectra,
    Posed,
    PosedSpectra,
    Spectra,
    centre,
    require_poses,
    spectra_bytes,
    transform_images,
)

__all__ = [
    "ImageSpectra",
    "Minibatches",
    "Posed",
    "PosedSpectra",
    "Spectra",
    "centre",
    "prefetch",
    "require_poses",
    "spectra_bytes",
    "transform_images",
]
