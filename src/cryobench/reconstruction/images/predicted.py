"""Images predicted from volumes for particles at their poses."""

from dataclasses import replace

from jaxtyping import Complex
from torch import Tensor

from cryobench.imaging.grid import FourierVolume
from cryobench.imaging.half_disc import HalfDisc
from cryobench.imaging.slices import extract_slices
from cryobench.reconstruction.images.spectra import Posed


def predict_images(
    volume_ft: FourierVolume, batch: Posed, disc: HalfDisc
) -> Complex[Tensor, "m p"] | Complex[Tensor, "m k p"]:
    """Packed images (m, p), or (m, k, p) of K volumes: CTF times slice. ``disc`` is that of the batch."""
    slices = disc.pack(extract_slices(volume_ft, batch.rotations, radius=disc.radius))
    return slices.mul_(batch.ctf if slices.ndim == 2 else batch.ctf[:, None])


def subtract_volume(batch: Posed, volume_ft: FourierVolume, disc: HalfDisc) -> Posed:
    """Batch minus the predicted image of a volume. Its ``power`` remains that of the data."""
    return replace(batch, data=batch.data - predict_images(volume_ft, batch, disc))
