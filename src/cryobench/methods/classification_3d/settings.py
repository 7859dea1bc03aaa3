"""Settings of ``3d-class``."""

from typing import Literal

from pydantic import Field

from cryobench.methods.method import MethodSettings


class Classification3DSettings(MethodSettings):
    """Settings of ``3d-class``."""

    n_classes: int = Field(10, ge=1, description="number of classes (CryoBench used 10 to 100 by data set)")
    n_iterations: int = Field(25, ge=1, description="most iterations (RELION's interface: 25)")
    initialisation: Literal["pca", "subsets", "random"] = Field(
        "pca",
        description="start from k-means on principal coordinates of the particles (pca, ours), on those of volumes "
        "of small random subsets (subsets, cryoSPARC's PCA), or from random subsets (random, its simple)",
    )
    n_components: int = Field(12, ge=1, le=64, description="principal volumes of the first two starts (our choice)")
    batch_per_class: int = Field(
        1000,
        ge=0,
        description="particles per class in a mini-batch: while the radius grows an iteration takes so many, if "
        "there are more (cryoSPARC: 1000); 0: every iteration takes all",
    )
    learning_rate: float = Field(
        0.4, gt=0, le=1, description="weight of a mini-batch against what was there before (cryoSPARC: 0.4)"
    )
    hard_classification: bool = Field(
        False, description="give each particle wholly to its most probable class (optional in cryoSPARC as well)"
    )
    fit_scale: bool = Field(
        False, description="fit a scale to each particle, between 0.5 and 2, mean 1 (optional in cryoSPARC as well)"
    )
    tau2_fudge: float = Field(
        4.0, gt=0, description="T, weight of the data against the prior on the volumes (RELION's Class3D: 4)"
    )
    initial_resolution: float = Field(
        24.0, gt=0, description="Å, resolution of the start and of the first likelihoods (our choice)"
    )
    likelihood_resolution: float | None = Field(
        None, gt=0, description="Å, highest resolution compared in the end; None for all that the images hold"
    )
    posterior_threshold: float = Field(
        1e-3, ge=0, lt=0.5, description="class probabilities below it add nothing to a volume (RELION keeps 99.9 %)"
    )
    smallest_class: float = Field(
        0.05, ge=0, lt=1, description="a class below this fraction of n / n_classes is reseeded (our choice)"
    )
    convergence: float = Field(
        0.005,
        ge=0,
        lt=1,
        description="stop when fewer particles than this fraction change class (cryoSPARC: 0.02), or the objective "
        "stands still; 0: never",
    )
    mask_diameter: float | None = Field(
        None, gt=0, description="Å, diameter of the sphere kept of every volume; None for the largest in the box"
    )
    solvent_mask: bool = Field(False, description="multiply by the data set's mask too (optional in RELION as well)")
    memory_gb: float = Field(
        6.0,
        gt=0,
        description="GB for the volumes of all classes and for transformed images; what does not fit of these is "
        "transformed anew in each pass",
    )
