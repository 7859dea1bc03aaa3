"""Settings of ``recovar``; the published sizes are those of its authors' program, version 1.0.5."""

from typing import Literal

from pydantic import Field

from cryobench.methods.method import MethodSettings


class RecovarSettings(MethodSettings):
    """Settings of ``recovar``."""

    n_columns: int = Field(300, ge=4, description="covariance columns (published: 300; low-memory preset: 50)")
    n_components: int | None = Field(
        None,
        ge=1,
        description="dimension of the subspace in which the covariance is estimated; None for 100, or 2 n_columns "
        "if that is less (published: 200)",
    )
    column_radius: float = Field(32.0, gt=0, description="index units, largest |ξ| of the columns (published: 32)")
    column_exclusion: float = Field(2.0, ge=0, description="index units, smallest distance of columns (published: 2)")
    dimensions: tuple[int, ...] = Field(
        (1, 2, 4, 10, 20), min_length=1, description="latent dimensions of the embeddings kept (published)"
    )
    latent_dimension: int = Field(
        10, ge=1, description="which of these is used for latents and volumes (CryoBench: 10)"
    )
    regularised: bool = Field(True, description="use the embedding with the prior, not the unregularised one")
    mask: Literal["given", "half-maps", "sphere"] = Field(
        "given", description="the data set's mask, one made from the mean, or a sphere"
    )
    dilation: float | None = Field(
        None,
        ge=0,
        description="px, dilation of the mask for images and noise; None for 6 per 128 (published)",
    )
    mask_images: bool = Field(True, description="mask residual images by the projected mask (published)")
    fit_contrast: bool = Field(
        False, description="estimate the contrast of each particle, then repeat all steps with it (published option)"
    )
    n_bins: int = Field(50, ge=2, description="bins of the kernel of each volume (published: 50)")
    n_bandwidths: int = Field(17, ge=2, description="bandwidths tried for each volume, from the bins (published: 50)")
    min_particles: int | None = Field(
        None,
        ge=2,
        description="particles of each half-set within the smallest bandwidth; None for 2 √n (published: 100)",
    )
    density_dimensions: int = Field(2, ge=1, le=4, description="latent axes of the density (practical up to 4)")
    path_volumes: int = Field(
        6, ge=0, description="volumes along the path of highest density between the ends of the latents; 0 for none"
    )
