"""Settings of ``cryodrgn-ai-fixed``; defaults are those of the authors' program, which CryoBench used."""

from pydantic import Field

from cryobench.methods.method import MethodSettings


class CryodrgnAiSettings(MethodSettings):
    """Settings of ``cryodrgn-ai-fixed``."""

    z_dim: int = Field(4, ge=1, le=256, description="K, dimensions of the latent (published: 4)")
    epochs: int = Field(100, ge=1, description="passes over the images (published: 100)")
    batch_size: int = Field(16, ge=1, description="images in a step (published: 16)")
    width: int = Field(256, ge=1, description="units a layer of the network (published: 256)")
    depth: int = Field(3, ge=0, description="residual blocks of the network (published: 3)")
    n_frequencies: int = Field(64, ge=1, description="a third of the frequencies of the encoding (published: 64)")
    encoding_deviation: float = Field(0.5, gt=0, description="of the encoding's frequencies (published: 0.5)")
    pretraining_images: int = Field(
        10_000, ge=0, description="images visited first, with latents of noise (published: 10,000, one pass at most)"
    )
    learning_rate: float = Field(1e-4, gt=0, description="of Adam for the network (published: 1e-4)")
    latent_learning_rate: float = Field(1e-2, gt=0, description="of Adam for the latents (published: 1e-2)")
    initial_deviation: float = Field(0.1, gt=0, description="of the latents at the start (published: 0.1)")
    prior_weight: float = Field(
        0.0,
        ge=0,
        description="lambda of a Gaussian prior on latents, over pixels (published: none; ours: 1 / K)",
    )
