"""Settings of ``3dflex``; defaults are cryoSPARC's published job parameters, where known."""

from pydantic import Field, FilePath

from cryobench.methods.method import MethodSettings

RANGE = 1.5
"""Latents are between minus and plus this along every axis (published)."""


class Flex3DSettings(MethodSettings):
    """Settings of ``3dflex``."""

    z_dim: int = Field(2, ge=1, le=16, description="K, dimensions of the latent (published: 2; one motion: 1)")
    epochs: int = Field(16, ge=1, description="passes over the images (published: 16)")
    annealing_epochs: int = Field(
        16,
        ge=1,
        description="epochs over which the learning rates of flow and latents fall; at three quarters of them the "
        "resolution reaches the end of the band (published: 16)",
    )
    motion_epochs: int = Field(
        2,
        ge=0,
        description="first epochs, in which the map stays the low-passed consensus (ours)",
    )
    batch_size: int = Field(128, ge=1, description="images per step (some 140 in a published run)")
    training_box: int | None = Field(
        128, ge=4, description="px, box to which images are cropped for the motion (published: 128). None for all"
    )
    n_cells: int = Field(20, ge=2, le=64, description="cells of the mesh across the box (published: 20, up to 40)")
    width: int = Field(64, ge=1, description="units per layer of the flow network (published: 64)")
    depth: int = Field(6, ge=1, description="hidden layers of the flow network (published: 6)")
    flow_learning_rate: float = Field(
        5e-3, gt=0, description="learning rate of Adam for the flow, at the start (published: 5e-3)"
    )
    last_flow_learning_rate: float = Field(5e-4, gt=0, description="the same, at the end (published: 5e-4)")
    map_learning_rate: float = Field(
        1e-2, gt=0, description="Adam for the map, relative to its root mean square in the mask (published: 1e-2)"
    )
    latent_learning_rate: float = Field(
        5e-2,
        gt=0,
        description="learning rate of the latents, falling with that of the flow (ours; not published)",
    )
    rigidity: float = Field(
        2.0,
        ge=0,
        description="lambda, weight of the mean elastic energy of an element; the misfit is divided by the "
        "information that the consensus has on an image (published: 2)",
    )
    latent_noise: float = Field(
        0.15, ge=0, description="standard deviation of the noise on latents (published: 0.15)"
    )
    centring: float = Field(
        20.0, ge=0, description="strength of the prior on latents: nats at the end of the range (published: 20)"
    )
    initial_latents: FilePath | None = Field(
        None,
        description=".npy of initial latents (n, >= K), such as latents.npy of a run of 3dva, which are centred and "
        "scaled to the range; none: computed from the forces of images",
    )
    freeze_latents: bool = Field(False, description="keep the initial latents (published: an option)")
    initial_resolution: float = Field(
        20.0, gt=0, description="Å, resolution of the consensus in the first epochs (ours; not published)"
    )
    band: float = Field(
        0.8,
        gt=0,
        le=1,
        description="fraction of the training box's Nyquist frequency reached at the end (published: 0.8)",
    )
    stiffen_low_density: bool = Field(
        False, description="weight 3 for elements at the border of the molecule (published: an option)"
    )
    segmentation: FilePath | None = Field(
        None, description="MRC map of integers on the images' grid: a sub-mesh for each, -1 for the solvent"
    )
    fused: tuple[str, ...] = Field(
        (), description='pairs of segments whose meshes are joined, as "0>1"; none: a tree over adjacent ones'
    )
    rigid_segments: tuple[int, ...] = Field((), description="segments of weight 20 (published)")
    map_iterations: int = Field(
        20,
        ge=1,
        description="iterations of L-BFGS for each half-map (published: 20, or 40 for a finer map)",
    )
