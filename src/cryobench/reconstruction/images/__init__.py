"""Images for methods in Fourier space: on half-discs, with poses or without, in order or in minibatches."""

from cryobench.reconstruction.images.background import level_background
from cryobench.reconstruction.images.power import ImagePower
from cryobench.reconstruction.images.predicted import predict_images, subtract_volume
from cryobench.reconstruction.images.sampler import Minibatches, draw_stretch, prefetch
from cryobench.reconstruction.images.spectra import (
    ImageSpectra,
    Posed,
    PosedSpectra,
    Spectra,
    bytes_to_keep,
    centre,
    require_poses,
    spectra_bytes,
    transform_images,
)

__all__ = [
    "ImagePower",
    "ImageSpectra",
    "Minibatches",
    "Posed",
    "PosedSpectra",
    "Spectra",
    "bytes_to_keep",
    "centre",
    "draw_stretch",
    "level_background",
    "predict_images",
    "prefetch",
    "require_poses",
    "spectra_bytes",
    "subtract_volume",
    "transform_images",
]
