"""Settings of ``opus-dsd``; defaults are those of CryoBench (arXiv:2408.05526), which ran version 1.0.0."""

from typing import Literal, Self

from pydantic import Field, model_validator

from cryobench.methods.method import MethodSettings


class OpusDsdSettings(MethodSettings):
    """Settings of ``opus-dsd``."""

    z_dim: int = Field(12, ge=1, le=256, description="K, dimensions of the latent (CryoBench: 12)")
    epochs: int = Field(20, ge=1, description="passes over the images (CryoBench: 20)")
    batch_size: int = Field(48, ge=1, description="images per step (CryoBench: 12 on each of 4 GPUs)")
    at_once: int = Field(
        4,
        ge=1,
        description="images of a step decoded together, side by side on the threads of a CPU where the template has "
        "at most 64 voxels a side; gradients are summed (affects only rounding)",
    )
    downfrac: float = Field(
        0.75,
        gt=0,
        le=1,
        description="box in which images are compared, as a fraction of theirs: nothing beyond its Nyquist frequency "
        "is used (CryoBench: 0.75)",
    )
    template_size: int | None = Field(
        224,
        ge=8,
        description="voxels a side of the network's volume; None for the smallest by the crop rule: crop / 0.8, "
        "rounded up to whole doublings (CryoBench: 224)",
    )
    seed_doublings: int = Field(
        4,
        ge=1,
        le=6,
        description="doublings of the decoder's grid from one voxel to the resampled one (published: 4)",
    )
    template_doublings: int = Field(
        4, ge=1, le=6, description="doublings of the resampled grid, up to the template (published: 4)"
    )
    decoder_width: int = Field(2048, ge=16, description="channels of the decoder at 1³ (published: 2048)")
    encoder_width: int = Field(32, ge=1, description="channels of the encoder's first layer (published: 32)")
    orientations: Literal["tilted", "given"] = Field(
        "tilted",
        description="orientations compared with an image: 8 tilted about the given one, by their posterior "
        "(published), or the given one alone, for exact poses",
    )
    cone_n_side: int = Field(
        32,
        ge=4,
        description="nside of the HEALPix grid (a power of two) whose polar neighbours are the tilts (published: 32)",
    )
    learning_rate: float = Field(
        1e-4, gt=0, description="learning rate of AdamW without weight decay (published: 1e-4)"
    )
    learning_rate_decay: float = Field(
        0.96, gt=0, le=1, description="factor of the learning rate per epoch (published: 0.96)"
    )
    b_factor: float = Field(
        4.0, ge=0, description="Å², B of exp(-B pi² s²) on predictions; B exp(-B s²/4) of 158 Å² (CryoBench: 4)"
    )
    beta_control: float = Field(2.0, ge=0, description="weight of the KL divergence (CryoBench: 2)")
    beta_ramp: int = Field(
        100_000, ge=1, description="images over which the KL divergence's weight rises (published: 100,000)"
    )
    beta_period: int = Field(125_000, ge=1, description="images after which it restarts (published: 125,000)")
    disentanglement: float = Field(
        2.0, ge=0, description="weight of the structural-disentanglement prior; 0 for none (CryoBench: 2)"
    )
    view_n_side: int = Field(
        2,
        ge=1,
        le=8,
        description="nside of the HEALPix grid of views, a power of two: a batch is from one pixel (published: 2)",
    )
    pool_bins: int = Field(8, ge=1, description="other viewing directions whose latents are compared (published: 8)")
    pool_size: int = Field(12_800, ge=2, description="most latents of these (published: 12,800)")
    neighbours: int = Field(128, ge=1, description="nearest of a full pool, attracted (published: 128)")
    negatives: int = Field(512, ge=1, description="farthest of a full pool, repelled (published: 512)")
    total_variation: float = Field(1.0, ge=0, description="weight of the volume's total variation (published: 1)")
    sparsity: float = Field(0.3, ge=0, description="weight of the volume's mean absolute density (published: 0.3)")

    @model_validator(mode="after")
    def _check_sizes(self) -> Self:
        if self.beta_ramp > self.beta_period:
            raise ValueError(
                f"beta_ramp is {self.beta_ramp} images and beta_period {self.beta_period}, so the full weight would "
                "never be reached: set beta_ramp to at most beta_period"
            )
        if max(self.neighbours, self.negatives) > self.pool_size:
            raise ValueError(
                f"neighbours ({self.neighbours}) and negatives ({self.negatives}) are drawn from a pool of pool_size "
                f"{self.pool_size}: set pool_size higher"
            )
        halvings = self.seed_doublings + self.template_doublings - 1
        if self.decoder_width % 2**halvings:
            raise ValueError(
                f"decoder_width of {self.decoder_width} cannot be halved {halvings} times: give a multiple of "
                f"{2**halvings}, or fewer seed_doublings or template_doublings"
            )
        if self.template_size is not None and self.template_size % 2**self.template_doublings:
            raise ValueError(
                f"template_size of {self.template_size} is not an integer number of voxels doubled "
                f"{self.template_doublings} times: give a multiple of {2**self.template_doublings}, or None for the "
                "crop rule"
            )
        return self
