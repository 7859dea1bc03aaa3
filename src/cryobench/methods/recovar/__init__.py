"""RECOVAR at given poses: the covariance of the volumes, and what follows from it (``recovar``).

Model: y_i = C_i P_i x_i + ε_i with volumes x_i of mean μ and covariance Σ, of which nothing else is assumed until
the embedding, and noise of power σ²(|k|). No gradient descent: every step is linear algebra over the particles.

    mean                half-set means, prior from their FSC                                         (a, b)
    masks, noise        mask and dilated mask, images seen through it; power outside it             (c, d)
    column_choice       variance of the spectra; which columns of Σ are estimated                   (e, f)
    columns             least-squares columns of Σ                                                  (g)
    column_prior        the same with a prior from the FSC of half-sets                             (h)
    subspace            what the columns span: a randomised SVD                                     (i)
                        Σ within that subspace: Σ ≈ U Λ Uᵀ, from slices as ``whitened`` rows         (j, k)
    embedding           most probable coordinates z_i along U, and their precision                  (l)

``principal_model`` puts steps b to k in order, ``plan`` fits them into memory. The rest has homes of its own, for any
latents: the volume at z*, particles near z* averaged and the bandwidth chosen locally (m), in
``reconstruction.decoders.kernel_regression``; the density of z without the embedding's own blur and the most probable
path in it (n) in ``latents``.

Source: Gilles & Singer, PNAS 122 (2025), doi:10.1073/pnas.2419140122, and what is known of the authors' program,
version 1.0.5, for defaults. Clean-room from the equations.

Deviations, and why (kernel regression, density and ``noise`` state their own):

* 100 components by default, not 200: the leading ten tell nearly as much (decodability 0.964 instead of 0.966,
  information imbalance 0.144 instead of 0.138 at 5,000 particles) for half of the time. ``n_components=200`` sets it.
* The least bandwidth holds 2 √n particles of each half-set, not 100: as good with 5,000 particles, better with 10,000
  (deviation FSC-AUC 0.929 instead of 0.920).
* The mean used for residuals is the regularised one; with few images the unregularised mean's noise is in them.
* A column is treated as two real volumes (see ``columns``), the same for a half-spectrum, half the memory.
* Image masks come from the depth of the projected mask, clipped at 3 voxels, instead of a thresholded projection.
* The projected covariance is fitted to whitened data: each image counts by what it tells.
* With ``fit_contrast`` the mean's direction is fitted along with the subspace and then left out.
* The sign of the data is known (``Particles.sign``), so it is not guessed from the mean.
* A background that images have is subtracted, each one's own (``reconstruction.images.level_background``).
"""

from cryobench.methods.recovar.recovar import Recovar
from cryobench.methods.recovar.settings import RecovarSettings

__all__ = ["Recovar", "RecovarSettings"]
