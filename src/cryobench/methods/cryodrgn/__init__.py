"""cryoDRGN: a variational autoencoder from images to volumes in Fourier space, at given poses (``cryodrgn``) or at
poses searched during training (``cryodrgn2``).

Model: y_i = C_i P_i V(z_i) + ε_i with z_i ~ N(0, 1) of K dimensions and V(z) a network over frequencies,

    q(z | y_i) = N(μ_i, diag e^{v_i}),     (μ_i, v_i) = encoder(sign(C_i) H_i)
    V̂(k; z)    = decoder(encoding of k, z)                              (``reconstruction.networks``)
    loss        = 1 / (B M) Σ_i Σ_k (C_i H'_i − H_i)² + β / (B M) Σ_i KL(q(z | y_i) ‖ N(0, 1))

over the M Hartley values H = Re − Im of the disc |k| ≤ ½ without the zero frequency, z drawn from q, β = 1 / K; Adam.
Latents are the posterior means of a last pass. Volumes are the decoder's spectrum transformed back.

Poses can be refined (``refine_poses``; off by default, as in CryoBench): after some epochs, each particle's
rotation, as six numbers, and its shift are updated by SparseAdam with the gradient of this loss, through the slice
and through the encoder's image. Only their learning rate keeps them near the given poses.

Poses can also be estimated (``cryodrgn2``). First the decoder alone is trained on 10,000 images as if each were a
slice without CTF, at a random rotation and a random latent, which sets scale and centre. Then, in epochs 1, 6, 11,
..., each image of a batch is encoded without centring, a latent is drawn from its posterior, and the pose

    (R, t) = argmin Σ_{|k| ≤ L} (C H(k R; z) − H_t(k))²

is searched among all rotations and shifts, from coarse grids up to L = 12 to fine ones up to L = 32
(``reconstruction.poses``); a gradient step follows at that pose. In the other epochs images keep the pose of the
last search. Poses are not updated by gradients.

Source: Zhong, Bepler, Berger & Davis, Nature Methods 18 (2021) 176, doi:10.1038/s41592-020-01049-4; Zhong, Lerer,
Davis & Berger, ICCV 2021, 4066 (cryoDRGN2); sizes and schedule as CryoBench ran them, version 3.4 of the authors'
program. Clean-room from the equations.

Deviations, with reasons:

* Images are windowed, centred and cut to the disc once, not in every step, and kept in half precision.
* The mean of each image's border is subtracted before the window, so that a background does not leak into it.
* Matrix products in bfloat16, where the program uses float16 and a scaled loss: float16 overflows.
* The order of the images is shuffled within contiguous blocks of 8,192, not over all: see ``Minibatches``.
* Poses can be refined in both domains, where the program requires "hartley" without a reason. In the fourier
  domain points with k_z > 0 are evaluated at −k, and where the network is not its own conjugate across k_z = 0 the
  loss jumps when a point crosses; the gradient ignores the jumps. Images cover both sides, so the jumps vanish as
  the network converges.
* Shifts can have their own learning rate: the published one serves both, as if a radian were a pixel.
* The pose table steps on the gradient itself; the program's on that of the scaled loss, even where an
  overflow made it infinite.
* A volume's zero frequency, which the loss does not see, is set such that the solvent is zero.

Deviations of the search, with reasons:

* Slices are sampled on rings, where in-plane rotation needs no interpolation, instead of on a lattice, where the
  program rotates them bilinearly (and stretches them by 1 / D, as its grid is aligned). Hence there is no random
  angle of the grid, and two opposite views have the same plane.
* A slice is rotated before the CTF is applied, so astigmatism does not rotate with it.
* An orientation that is the child of several parents is compared once. The children of a node are the nearest
  8 of the 16 candidates, as published; angles are compared exactly.
* Radii count whole shells, and end where a half-disc does, at (D − 1) // 2.
* Float32, where the program searches in mixed precision.
* Volumes beyond the ball |k| ≤ ½ are zero; the program also decodes the corners of the cube, which are not
  trained.
* ``search="anchors"`` is ours, off by default: see ``reconstruction.poses.network_search``, and docs/results.md
  for its cost and accuracy.
"""

from cryobench.methods.cryodrgn.cryodrgn import Cryodrgn as Cryodrgn
from cryobench.methods.cryodrgn.cryodrgn2 import Cryodrgn2 as Cryodrgn2
from cryobench.methods.cryodrgn.settings import Cryodrgn2Settings as Cryodrgn2Settings
from cryobench.methods.cryodrgn.settings import CryodrgnSettings as CryodrgnSettings
