"""Settings of ``cryodrgn`` and ``cryodrgn2``; defaults are CryoBench's (arXiv:2408.05526), which ran version 3.4."""

from typing import Literal, Self

from pydantic import Field, model_validator

from cryobench.methods.method import MethodSettings
from cryobench.reconstruction.poses import SearchSettings


class AutoencoderSettings(MethodSettings):
    """Settings of the autoencoder that do not depend on the poses."""

    z_dim: int = Field(8, ge=1, le=256, description="K, dimensions of the latent (CryoBench: 8)")
    epochs: int = Field(20, ge=1, description="passes over the images (CryoBench: 20)")
    batch_size: int = Field(8, ge=1, description="images per step (cryoDRGN 3.4: 8)")
    encoder_width: int = Field(1024, ge=1, description="units per layer of the encoder (published: 1024)")
    encoder_depth: int = Field(3, ge=0, description="residual blocks of the encoder (published: 3)")
    decoder_width: int = Field(1024, ge=1, description="units per layer of the decoder (published: 1024)")
    decoder_depth: int = Field(3, ge=0, description="residual blocks of the decoder (published: 3)")
    domain: Literal["fourier", "hartley"] = Field(
        "fourier",
        description="domain of the decoder's output: real and imaginary part, or Hartley values (published: fourier)",
    )
    encoding_deviation: float = Field(
        0.5, gt=0, description="standard deviation of the encoding's frequencies (published: 0.5)"
    )
    learning_rate: float = Field(1e-4, gt=0, description="learning rate of Adam (published: 1e-4)")
    beta: float | None = Field(
        None,
        ge=0,
        description="weight of the KL divergence, divided by the number of pixels; None for 1 / K (published)",
    )
    kl_target: float | None = Field(
        None,
        gt=0,
        description="target of the KL divergence, weighted by beta_control; None for a plain weight (published)",
    )
    beta_control: float = Field(
        1.0, gt=0, description="weight of the squared distance of the KL divergence from kl_target, per pixel"
    )


class CryodrgnSettings(AutoencoderSettings):
    """Settings of ``cryodrgn``."""

    refine_poses: bool = Field(
        False,
        description="refine rotations and shifts, from the given ones, by gradients of the loss (CryoBench: no)",
    )
    pose_learning_rate: float = Field(
        3e-4,
        gt=0,
        description="SparseAdam learning rate of refined rotations, about radian per step (published: 3e-4)",
    )
    shift_learning_rate: float | None = Field(
        None,
        gt=0,
        description="SparseAdam learning rate of refined shifts, px; None for pose_learning_rate (published), with "
        "which a shift changes by some hundredths of a px in 20 epochs",
    )
    pose_from_epoch: int = Field(
        1, ge=0, description="epochs before poses are refined, if at all (cryoDRGN 3.4: 1, later versions: 0)"
    )

    @model_validator(mode="after")
    def _check_refinement(self) -> Self:
        if self.refine_poses and self.pose_from_epoch >= self.epochs:
            raise ValueError(
                f"pose_from_epoch is {self.pose_from_epoch} of {self.epochs} epochs, so no pose is refined: set "
                "it lower, or epochs higher"
            )
        return self


class Cryodrgn2Settings(SearchSettings, AutoencoderSettings):
    """Settings of ``cryodrgn2``."""

    epochs: int = Field(30, ge=1, description="passes over the images (CryoBench: 30)")
    encoder_width: int = Field(256, ge=1, description="units per layer of the encoder (published: 256)")
    decoder_width: int = Field(256, ge=1, description="units per layer of the decoder (published: 256)")
    domain: Literal["fourier", "hartley"] = Field(
        "hartley",
        description="domain of the decoder's output: real and imaginary part, or Hartley values (published: hartley)",
    )
    pretraining_images: int = Field(
        10_000, ge=0, description="images visited first, at random poses and latents (published: 10,000)"
    )
    search_every: int = Field(5, ge=1, description="epochs from one search to the next (published: 5)")
