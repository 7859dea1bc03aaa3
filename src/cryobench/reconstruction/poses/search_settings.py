"""Settings of methods that search poses by slices of a network."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field

from cryobench.reconstruction.poses.orientations import check_nside

HealpixNside = Annotated[
    int,
    Field(ge=1, description="of the first orientations: 12 nside² views x 6 nside angles; a power of two"),
    AfterValidator(check_nside),
]


class SearchSettings(BaseModel):
    """Settings of a pose search; "published" refers to cryoDRGN2 and cryoDRGN-AI."""

    search: Literal["network", "anchors"] = Field(
        "network",
        description="slices by the network for each image's latent (published), or, much faster, of volumes on grids "
        "that it gives at anchors among the latents, and by the network for the best poses only",
    )
    n_anchors: int = Field(8, ge=1, description="latents at which the search by anchors has volumes (ours)")
    anchors_every: int = Field(
        160, ge=1, description="images after which the volumes at the anchors are computed again (ours)"
    )
    rescored: int = Field(2, ge=1, description="poses that the search by anchors rescores by the network (ours)")
    first_radius: int = Field(
        12, ge=1, description="index units, radius compared at all orientations (published: 12)"
    )
    last_radius: int = Field(
        32,
        ge=1,
        description="index units, radius compared at the finest ones, at most that of the box (published: 32)",
    )
    n_refinements: int = Field(4, ge=0, description="halvings of the orientation and shift grids (published: 4)")
    kept_orientations: int = Field(8, ge=1, description="orientations that are refined (published: 8)")
    healpix_nside: HealpixNside = 4
    shift_range: float = Field(10.0, ge=0, description="px, shifts searched along x and y")
    shift_count: int = Field(14, ge=1, description="shifts along x and y of each level (published: 14)")
    n_starts: int = Field(
        1,
        ge=1,
        description="random starts, of which the one of lowest loss is kept (our option; published: by hand)",
    )
