"""Region of the molecule: in volumes, and in images along each particle's viewing direction (step c).

The mask is for volumes, its dilated copy for images and noise. ``MaskedImages`` projects the latter at each pose and
multiplies images by it in real space, which removes the noise of the solvent. In Fourier space the noise of
neighbouring entries is then no longer independent: for noise whose power σ² varies slowly,

    E ε_p conj(ε_q) = σ_p σ_q M₂(p − q) / n²,    M₂ the transform of the squared image mask.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from jaxtyping import Complex, Float
from torch import Tensor

from cryobench.data import Particles
from cryobench.fourier import ifft_images
from cryobench.imaging.grid import FourierVolume, volume_to_fourier
from cryobench.imaging.half_disc import HalfDisc
from cryobench.imaging.slices import extract_slices
from cryobench.methods.recovar.settings import RecovarSettings
from cryobench.reconstruction.images import Posed, PosedSpectra, subtract_volume
from cryobench.reconstruction.statistics import find_masks
from cryobench.volumes.mask import make_soft_mask

_EDGE_PX = 3.0
_DILATION_PER_PX = 6 / 128
_FULL_DEPTH = 3.0
"""Voxels of mask along the line of sight from which a pixel counts as inside; below, in proportion."""


def choose_masks(
    particles: Particles, settings: RecovarSettings, mean: Float[Tensor, "z y x"]
) -> tuple[Float[Tensor, "z y x"], Float[Tensor, "z y x"], tuple[str, ...]]:
    """Mask and dilated mask in [0, 1], with a soft edge of 3 px, and notes for the user.

    ``mean`` is the mean volume, from which a mask is made if the settings request it. ValueError if a mask is
    empty within the largest sphere of the box.
    """
    sphere, given, notes = find_masks(particles)
    if settings.mask == "half-maps":
        region = make_soft_mask(mean.cpu(), 1.0, dilation=2.0, edge=0.0).values
    elif settings.mask == "given" and given is not None:
        region = (given > 0.5).float()
    else:
        if settings.mask == "given":
            return sphere, sphere, (f"{notes[0]} A mask made from the data may be better: --set mask=half-maps.",)
        return sphere, sphere, ()
    if not (region * sphere).any():
        raise ValueError("the mask has no voxel inside the largest sphere of the box: check that it is centred.")
    dilation = settings.dilation
    if dilation is None:
        dilation = round(_DILATION_PER_PX * particles.box_size)
    mask, dilated = (
        make_soft_mask(region, 1.0, threshold=0.5, dilation=float(px), edge=_EDGE_PX).values.float() * sphere
        for px in (0, dilation)
    )
    return mask, dilated, ()


@dataclass(frozen=True)
class MaskedImages:
    """Image masks of particles at their poses, and images multiplied by them."""

    mask_ft: FourierVolume
    """Projector of the dilated mask."""
    disc: HalfDisc

    @staticmethod
    def of(mask: Float[Tensor, "z y x"], disc: HalfDisc) -> "MaskedImages":
        """From a mask in [0, 1]."""
        return MaskedImages(volume_to_fourier(mask), disc)

    def project(self, rotations: Float[Tensor, "m 3 3"]) -> Float[Tensor, "m y x"]:
        """Image masks in [0, 1]."""
        depth = ifft_images(extract_slices(self.mask_ft, rotations), self.disc.box_size)
        return (depth / _FULL_DEPTH).clamp(0, 1)

    def apply(self, packed: Complex[Tensor, "m p"], masks: Float[Tensor, "m y x"]) -> Complex[Tensor, "m p"]:
        """Packed spectra of the images multiplied by masks."""
        return self.disc.from_images(self.disc.to_images(packed) * masks)


def masked_residuals(
    spectra: PosedSpectra, mean_ft: FourierVolume, mask: Float[Tensor, "z y x"] | None
) -> Iterator[tuple[Posed, Float[Tensor, "m y x"] | None]]:
    """Batches of a shard whose data are the residuals from the mean times the image masks (m, y, x), with these
    masks.

    ``mask`` is projected to make these; None for whole images, without masks.
    """
    disc, mean_ft = spectra.disc, mean_ft.to(spectra.device)
    window = None if mask is None else MaskedImages.of(mask.to(spectra.device), disc)
    for batch in spectra.batches():
        left = subtract_volume(batch, mean_ft, disc)
        if window is None:
            yield left, None
        else:
            masks = window.project(batch.rotations)
            yield replace(left, data=window.apply(left.data, masks)), masks
