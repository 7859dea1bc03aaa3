"""Settings of ``3dva``."""

from typing import Literal

from pydantic import Field

from cryobench.methods.method import MethodSettings


class Variability3DSettings(MethodSettings):
    """Settings of ``3dva``."""

    n_components: int = Field(3, ge=1, le=32, description="K, components to find (cryoSPARC: 3)")
    n_iterations: int = Field(20, ge=1, description="most iterations (cryoSPARC: 20)")
    filter_resolution: float | None = Field(
        None,
        gt=0,
        description="Å, highest resolution compared (cryoSPARC requires one); None: that of the mean, with a note",
    )
    highpass_resolution: float | None = Field(
        None, gt=0, description="Å, low-frequency limit of the components (cryoSPARC's optional high-pass)"
    )
    regularisation: float = Field(
        0.01, gt=0, description="lambda, ridge on latents in units of their own variance (cryoSPARC: 0.01)"
    )
    particle_scale: Literal["fitted", "none"] = Field(
        "fitted", description="contrast of each particle by least squares, limited to 0.5 to 2, or 1 for all"
    )
    mask_dilation: float = Field(0.0, ge=0, description="Å by which the data set's mask is dilated (our choice)")
    convergence: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="stop when the objective rises by less than this fraction; 0: never (as published)",
    )
