"""Settings of ``3d-class-ensemble``."""

from typing import Any

from pydantic import Field

from cryobench.methods.classification_ensemble.merge import MergeOptions
from cryobench.methods.method import MethodSettings


class ClassificationEnsembleSettings(MethodSettings):
    """Settings of ``3d-class-ensemble``; "published" are those of the job ensembles for Tomotwin-100 (Kaz et al.)."""

    base: str = Field("3d-class-ab-initio", description="method of every job, which must estimate poses and classes")
    base_preset: str = Field("paper", description="preset of that method for the jobs (published: defaults)")
    job_settings: dict[str, Any] = Field(
        {}, description="settings of that method that differ from its preset, as {name: value}"
    )
    n_trees: int = Field(
        24, ge=1, description="independent trees of jobs (our choice: some 250 jobs, where 257 were published)"
    )
    n_classes: tuple[int, ...] = Field(
        (4, 8, 16), min_length=1, description="classes of the first job of each tree, in turn (published: 4, 8, 16)"
    )
    depth: int = Field(2, ge=1, description="levels of jobs: classes are classified again (published: 2 to 3)")
    branch_classes: int = Field(4, ge=2, description="classes of the jobs on the particles of a class (our choice)")
    branch_particles: int = Field(
        2000, ge=2, description="particles of a class below which it is not classified again (our choice)"
    )
    job_particles: int | None = Field(
        None, ge=2, description="particles of each tree, drawn at random; None for all (published: all)"
    )
    n_species: int | None = Field(None, ge=1, description="number of species; None to find it from the jobs")
    least_population: float = Field(
        0.002, gt=0, lt=0.5, description="fraction of the particles in the smallest species, at least 5 (our choice)"
    )
    separation: float = Field(
        0.15,
        ge=0,
        lt=1,
        description="fraction by which two species are less often in one class than each with itself (our choice)",
    )
    n_halves: int = Field(10, ge=1, description="random halves of the jobs from which the number is found")
    halves_particles: int = Field(3000, ge=10, description="particles from which the number is found (our choice)")
    linkage_particles: int = Field(
        10_000, ge=10, description="particles in the tree of co-assignments; others join by votes (our choice)"
    )
    refinement_iterations: int = Field(
        300, ge=1, description="iterations of the last refinement with all particles (as the last ones of a job)"
    )
    one_shot: bool = Field(
        False,
        description="also classify all particles at once, as many classes as species, from as many random starts as "
        "make the same visits of images, for comparison",
    )

    def merging(self) -> MergeOptions:
        """Settings of the merging."""
        return MergeOptions(
            self.n_species,
            self.least_population,
            self.separation,
            self.n_halves,
            self.linkage_particles,
            self.halves_particles,
        )
