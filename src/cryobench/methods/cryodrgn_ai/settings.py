"""Settings of ``cryodrgn-ai-fixed`` and ``cryodrgn-ai``; defaults are the authors' program's, as CryoBench ran it."""

from pydantic import Field

from cryobench.methods.method import MethodSettings
from cryobench.reconstruction.poses import SearchSettings


class CryodrgnAiSettings(MethodSettings):
    """Settings of ``cryodrgn-ai-fixed``."""

    z_dim: int = Field(4, ge=1, le=256, description="K, dimensions of the latent (published: 4)")
    epochs: int = Field(100, ge=1, description="passes over the images (published: 100)")
    batch_size: int = Field(16, ge=1, description="images per step (published: 16)")
    width: int = Field(256, ge=1, description="units per layer of the network (published: 256)")
    depth: int = Field(3, ge=0, description="residual blocks of the network (published: 3)")
    n_frequencies: int = Field(64, ge=1, description="a third of the number of encoding frequencies (published: 64)")
    encoding_deviation: float = Field(0.5, gt=0, description="of the encoding's frequencies (published: 0.5)")
    pretraining_images: int = Field(
        10_000, ge=0, description="images visited first, with latents of noise (published: 10,000, one pass at most)"
    )
    learning_rate: float = Field(1e-4, gt=0, description="learning rate of Adam for the network (published: 1e-4)")
    latent_learning_rate: float = Field(
        1e-2, gt=0, description="learning rate of Adam for the latents (published: 1e-2)"
    )
    initial_deviation: float = Field(
        0.1, gt=0, description="standard deviation of the initial latents (published: 0.1)"
    )
    prior_weight: float = Field(
        0.0,
        ge=0,
        description="lambda of a Gaussian prior on latents, per pixel (our option; published: none)",
    )


class CryodrgnAiAbInitioSettings(SearchSettings, CryodrgnAiSettings):
    """Settings of ``cryodrgn-ai``."""

    epochs: int = Field(
        100,
        ge=1,
        description="epochs in which poses are refined by gradients, after those of the search (published: 100)",
    )
    batch_size: int = Field(32, ge=1, description="images per step in these epochs (published: 32)")
    search_epochs: int | None = Field(
        None,
        ge=1,
        description="epochs of pose search; None for the first whole number above 500,000 / n, n images, at least 2 "
        "(published)",
    )
    search_batch_size: int = Field(8, ge=1, description="images per step of the search (published: 8)")
    pretraining_batch_size: int = Field(16, ge=1, description="images per step of pre-training (published: 16)")
    pretraining_images: int = Field(
        10_000, ge=0, description="images visited first, at random poses and latents of noise (published: 10,000)"
    )
    pose_learning_rate: float = Field(1e-3, gt=0, description="learning rate of Adam for poses (published: 1e-3)")
    shift_range: float = Field(20.0, ge=0, description="px, shifts searched along x and y (published: 20)")
