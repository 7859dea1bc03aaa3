"""cryoDRGN at given poses: a variational autoencoder from images to volumes in Fourier space (``cryodrgn``).

Model: y_i = C_i P_i V(z_i) + ε_i with z_i ~ N(0, 1) of K dimensions and V(z) a network over frequencies,

    q(z | y_i) = N(μ_i, diag e^{v_i}),     (μ_i, v_i) = encoder(sign(C_i) H_i)
    V̂(k; z)    = decoder(encoding of k, z)                              (``reconstruction.networks``)
    loss        = 1 / (B M) Σ_i Σ_k (C_i H'_i − H_i)² + β / (B M) Σ_i KL(q(z | y_i) ‖ N(0, 1))

over the M Hartley values H = Re − Im of the disc |k| ≤ ½ without the zero frequency, z drawn from q, β = 1 / K; Adam.
Latents are the posterior means of a last pass. Volumes are the decoder's spectrum transformed back.

Source: Zhong, Bepler, Berger & Davis, Nature Methods 18 (2021) 176, doi:10.1038/s41592-020-01049-4; sizes and
schedule as CryoBench ran it, version 3.4 of the authors' program. Clean-room from the equations.

Deviations, and why:

* Images are windowed, centred and cut to the disc once, not in every step, and kept in half precision.
* The mean of each image's border is taken off before the window, so that a background does not leak into it.
* Matrix products in bfloat16, where the program uses float16 and a scaled loss: float16 overflows.
* The order of the images is shuffled within blocks of 8,192 that lie together, not over all: see ``Minibatches``.
* A volume's zero frequency, which no loss sees, is set such that the solvent is zero.
"""

from cryobench.methods.cryodrgn.cryodrgn import Cryodrgn
from cryobench.methods.cryodrgn.settings import CryodrgnSettings

__all__ = ["Cryodrgn", "CryodrgnSettings"]
