"""cryoDRGN-AI: network over frequencies with a table of latents, at given poses (``cryodrgn-ai-fixed``) or with a
pose table too (``cryodrgn-ai``).

Model: y_i = C_i P_i V(z_i) + ε_i with a free latent z_i for every particle and V(z) a network over frequencies in the
Hartley domain,

    loss = 1 / (B M) Σ_i Σ_k (C_i H(k R_i; z_i) − H_i(k))²  [ + λ / M · mean |z_i|², an option of ours ]

over the M values of the disc |k| ≤ ½ without the zero frequency. Weights and latents are optimised together by dense
Adam, with learning rates 1e-4 and 1e-2. First comes a pass over 10,000 images with latents of noise, 0.1 N(0, 1),
drawn again at every visit: it gives the network a consensus to start from. The latents are those of the final table.

Poses can also be estimated (``cryodrgn-ai``), in three phases. Weights alone are trained on 10,000 images at random
rotations, no shift, and latents of noise. Then come search epochs (the first whole number above 500,000 / n, at
least 2): the best pose of each image, up to L = 12 to 32 and within ±20 px, for its latent in the table
(``reconstruction.poses``), followed by a step on weights and latents there. Last, for 100 epochs, gradients also
update a pose table: six numbers for a rotation, two for a shift, by dense Adam with a learning rate of 1e-3, starting
from the poses of the last search.

Source: Levy, Grzadkowski, Poitevin, Vallese, Clarke, Wetzstein & Zhong, Nature Methods 2025,
doi:10.1038/s41592-025-02720-4; sizes and schedule of the authors' program, version 1.0, as CryoBench ran it.
Clean-room from the equations.

Deviations, with reasons:

* Images are windowed, centred and cut to the disc once, not in every step, and kept in half precision.
* The mean of each image's border is subtracted before the window, so that a background does not leak into it.
* Matrix products in bfloat16 (``--precision float32`` for the program's own).
* The table's Adam is computed only for the rows of a batch, equal up to rounding (``networks.optimisers.row_adam``).
* The program saves latents before the last step of their row; here they are from the table after it.
* The line kx = ky = 0 of a volume, which the program sets to zero, is evaluated; the zero frequency, which the loss
  does not see, is set such that the solvent is zero.

Deviations of the search, with reasons: those of ``cryodrgn2``, except that the program, too, searches in float32.
Slices are sampled on rings instead of rotated bilinearly, the CTF is applied after the rotation, children of several
parents are compared once, radii end at (D − 1) // 2, and ``search="anchors"`` is ours, off by default.
"""

from cryobench.methods.cryodrgn_ai.ab_initio import CryodrgnAi as CryodrgnAi
from cryobench.methods.cryodrgn_ai.cryodrgn_ai import CryodrgnAiFixed as CryodrgnAiFixed
from cryobench.methods.cryodrgn_ai.settings import CryodrgnAiAbInitioSettings as CryodrgnAiAbInitioSettings
from cryobench.methods.cryodrgn_ai.settings import CryodrgnAiSettings as CryodrgnAiSettings
