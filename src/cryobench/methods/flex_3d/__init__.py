"""3DFlex: one map whose density is deformed by a mesh according to a latent (``3dflex``).

Model: y_i = C_i P_i T(u(z_i)) V + ε_i at given poses. V is one map, of conserved density; u is
piecewise linear on a tetrahedral mesh over the solvent mask, with a displacement for every vertex given by a network
of 6 x 64 units from the particle's latent z_i; T moves every voxel's density and spreads it with a kernel of unit
sum. Flow, latents and map minimise

    1 / (B S) Σ_i [ Σ_k |C_i F_i(k) − Y_i(k)|² / σ²(|k|) + 20 Σ_j |z_ij / 1.5|⁴ ]
        + λ / (B T) Σ_i Σ_t w_t Σ_j (s_j(D_it) − 1)²

over the B images of a batch and T elements, F_i the spectrum of the projection of the deformed map, σ² the power of
the residuals from the consensus in a shell, S the nats that the consensus explains of an image, so that the misfit is
of order one; s_j are the singular values of the deformation gradient D of element t, w_t its weight, λ = 2. Every
visit uses z_i + 0.15 N(0, 1); z_i stays within ±1.5. Stages: motion on the low-passed consensus; motion and map
together, while the band widens; learning rates of flow and latents fall in both; L-BFGS for the map of each half-set
in the full box with the motion fixed, and without motion as the control. The map is the mean of the half-maps, each
shell weighted by 2 FSC / (1 + FSC).

Source: Punjani & Fleet, Nature Methods 20 (2023) 860, doi:10.1038/s41592-023-01853-8; constants are the published
parameters of cryoSPARC's jobs. The program is closed, so details that the paper leaves open are ours, and we
cannot say how far they differ.

Deviations, and choices where nothing is published:

* Positions are projected first, and voxels spread in two dimensions, on pixels half as wide; the kernel's response is
  divided out. Only voxels of the mask are kept. The adjoint is a bilinear gather
  (``imaging.real_space.moved_voxels``).
* The mesh is a lattice whose cells are cut into six tetrahedra each (``reconstruction.deformation.mesh``).
* The gradient of the rigidity keeps the nearest rotation fixed, and is exact; inverted elements are penalised.
* Images are compared as a whole, not within the projected mask: the map has no voxels outside it, so noise there
  enters the gradient only as far as the CTF delocalises signal, as the likelihood requires.
* Without latents of another method, initial latents are the forces of the images on the undeformed consensus along
  the soft modes of the mesh (``forces``). From random latents no motion ever started on a hinge of ±30° at
  SNR 0.1 (spread 0.3 or 0.75, one or two dimensions): rigidity suppressed it before latents were informative.
* The relative scale of S, λ and the centring is not published. Here the prior on latents is in nats of an image,
  and the energy is a mean over elements, so that λ does not depend on box, noise or fineness of the mesh.
* L-BFGS is carried out as conjugate gradients, equal on a quadratic (``map_fit``), preconditioned by shells.
* All particles are used, not a multiple of 1,000; the contrast α_i of an image is one.
"""

from cryobench.methods.flex_3d.flex import Flex3D as Flex3D
from cryobench.methods.flex_3d.settings import Flex3DSettings as Flex3DSettings
