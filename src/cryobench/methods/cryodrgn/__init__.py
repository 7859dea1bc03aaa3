"""cryoDRGN at given poses: a variational autoencoder from images to volumes in Fourier space (``cryodrgn``).

Model: y_i = C_i P_i V(z_i) + ε_i with z_i ~ N(0, 1) of K dimensions and V(z) a network over frequencies,

    q(z | y_i) = N(μ_i, diag e^{v_i}),     (μ_i, v_i) = encoder(sign(C_i) H_i)
    V̂(k; z)    = decoder(encoding of k, z)                              (``reconstruction.networks``)
    loss        = 1 / (B M) Σ_i Σ_k (C_i H'_i − H_i)² + β / (B M) Σ_i KL(q(z | y_i) ‖ N(0, 1))

over the M Hartley values H = Re − Im of the disc |k| ≤ ½ without the zero frequency, z drawn from q, β = 1 / K; Adam.
Latents are the posterior means of a last pass. Volumes are the decoder's spectrum transformed back.

Poses can be refined (``refine_poses``; off by default, as in CryoBench): after some frozen epochs, each particle's
rotation, as six numbers, and its shift move by SparseAdam with the gradient of this loss, through the slice and
through the image that the encoder sees. Nothing but their learning rate holds them to those given.

Source: Zhong, Bepler, Berger & Davis, Nature Methods 18 (2021) 176, doi:10.1038/s41592-020-01049-4; sizes and
schedule as CryoBench ran it, version 3.4 of the authors' program. Clean-room from the equations.

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
"""

from cryobench.methods.cryodrgn.cryodrgn import Cryodrgn
from cryobench.methods.cryodrgn.cryodrgn2 import Cryodrgn2
from cryobench.methods.cryodrgn.settings import Cryodrgn2Settings, CryodrgnSettings

__all__ = ["Cryodrgn", "Cryodrgn2", "Cryodrgn2Settings", "CryodrgnSettings"]
