"""cryoDRGN: a variational autoencoder from images to volumes in Fourier space, at given poses (``cryodrgn``) or at
poses that are searched with it (``cryodrgn2``).

Model: y_i = C_i P_i V(z_i) + ε_i with z_i ~ N(0, 1) of K dimensions and V(z) a network over frequencies,

    q(z | y_i) = N(μ_i, diag e^{v_i}),     (μ_i, v_i) = encoder(sign(C_i) H_i)
    V̂(k; z)    = decoder(encoding of k, z)                              (``reconstruction.networks``)
    loss        = 1 / (B M) Σ_i Σ_k (C_i H'_i − H_i)² + β / (B M) Σ_i KL(q(z | y_i) ‖ N(0, 1))

over the M Hartley values H = Re − Im of the disc |k| ≤ ½ without the zero frequency, z drawn from q, β = 1 / K; Adam.
Latents are the posterior means of a last pass. Volumes are the decoder's spectrum transformed back.

Poses can be refined (``refine_poses``; off by default, as in CryoBench): after some frozen epochs, each particle's
rotation, as six numbers, and its shift move by SparseAdam with the gradient of this loss, through the slice and
through the image that the encoder sees. Nothing but their learning rate holds them to those given.

Poses can also be found (``cryodrgn2``). First the decoder alone is trained on 10,000 images as if each were a slice
without CTF, at a random rotation and a random latent, which gives it a scale and a centre. Then, in epochs 1, 6, 11,
..., each image of a batch is encoded as it lies in its box, a latent is drawn from its posterior, and the pose

    (R, t) = argmin Σ_{|k| ≤ L} (C H(k R; z) − H_t(k))²

is searched among all rotations and shifts, from coarse grids up to L = 12 to fine ones up to L = 32
(``reconstruction.poses``); the step of the loss follows at that pose. In the other epochs images keep the pose that
was found last. No gradient moves a pose.

Source: Zhong, Bepler, Berger & Davis, Nature Methods 18 (2021) 176, doi:10.1038/s41592-020-01049-4; Zhong, Lerer,
Davis & Berger, ICCV 2021, 4066 (cryoDRGN2); sizes and schedule as CryoBench ran them, version 3.4 of the authors'
program. Clean-room from the equations.

Deviations, and why:

* Images are windowed, centred and cut to the disc once, not in every step, and kept in half precision.
* The mean of each image's border is taken off before the window, so that a background does not leak into it.
* Matrix products in bfloat16, where the program uses float16 and a scaled loss: float16 overflows.
* The order of the images is shuffled within blocks of 8,192 that lie together, not over all: see ``Minibatches``.
* Poses can be refined in both domains, where the program asks for "hartley" and gives no reason. In the fourier
  domain points with k_z > 0 are evaluated at −k, and where the network is not its own conjugate across k_z = 0 the
  loss jumps as a point crosses; the gradient is that between the jumps. Images fill both sides, so the jumps go as
  the network fits.
* Shifts have a learning rate of their own on request: the published one serves both, as if a radian were a pixel.
* The table of poses steps on the gradient itself; the program's steps on that of the scaled loss, also where an
  overflow made it infinite.
* A volume's zero frequency, which no loss sees, is set such that the solvent is zero.

Deviations of the search, and why:

* Slices are sampled on rings, where turning them in plane needs no interpolation, instead of on a lattice, where the
  program turns them bilinearly (and stretches them by 1 / D, as its grid is aligned). Hence there is no random angle
  at which they are made, and two opposite views share one plane.
* A slice is turned first and meets the CTF afterwards, so astigmatism does not turn with it.
* Of orientations that several parents have as children, each is compared once. The children of a node are the nearest
  8 of the 16 candidates, as published; angles are compared exactly.
* Radii count whole shells, and end where a half-disc does, at (D − 1) // 2.
* Float32, where the program searches in mixed precision.
* Volumes beyond the ball |k| ≤ ½ are zero; the program decodes the corners of the cube too, where nothing was
  trained.
* ``search="anchors"`` is ours, off by default: see ``reconstruction.poses.searched``, and docs/methods.md for what it
  costs and finds.
"""

from cryobench.methods.cryodrgn.cryodrgn import Cryodrgn
from cryobench.methods.cryodrgn.cryodrgn2 import Cryodrgn2
from cryobench.methods.cryodrgn.settings import Cryodrgn2Settings, CryodrgnSettings

__all__ = ["Cryodrgn", "Cryodrgn2", "Cryodrgn2Settings", "CryodrgnSettings"]
