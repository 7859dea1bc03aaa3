"""RECOVAR at given poses: the covariance of the volumes, and latents and volumes from it (``recovar``).

Model: y_i = C_i P_i x_i + ε_i with volumes x_i of mean μ and covariance Σ, without further assumptions until
the embedding, and noise of power σ²(|k|). No gradient descent: every step is linear algebra over the particles.

    mean                half-set means, prior from their FSC                                    (a, b)
    masks, noise        mask and dilated mask, masked images; power outside the mask            (c, d)
    column_choice       variance of the spectra; choice of columns of Σ                         (e, f)
    covariance_columns  least-squares columns of Σ                                              (g)
    covariance_prior    the same with a prior from the FSC of half-sets                         (h)
    subspace            span of the columns: a randomised SVD                                   (i)
                        Σ within that subspace: Σ ≈ U Λ Uᵀ, from slices as ``whitened`` rows    (j, k)
    embedding           most probable coordinates z_i along U, and their precision              (l)

``principal_model`` runs steps b to k in order, ``plan`` fits them into memory. Steps that work for any latents
are elsewhere: kernel regression of the volume at z* with locally chosen bandwidth (m) in
``reconstruction.decoders.kernel_regression``; the density of z, deconvolved from the embedding's error, and the most
probable path in it (n) in ``latents``.

Source: Gilles & Singer, PNAS 122 (2025), doi:10.1073/pnas.2419140122, and the authors' program,
version 1.0.5, for defaults. Clean-room from the equations.

Deviations, with reasons (kernel regression, density and ``noise`` give their own):

* 100 components by default, not 200: the leading ten are nearly as informative (decodability 0.964 instead of 0.966,
  information imbalance 0.144 instead of 0.138 at 5,000 particles) in half the time. ``n_components=200`` sets it.
* The smallest bandwidth holds 2 √n particles of each half-set, not 100: as good with 5,000 particles, better with
  10,000 (deviation FSC-AUC 0.929 instead of 0.920).
* Residuals are from the regularised mean; with few images they would contain the noise of an unregularised one.
* A column is treated as two real volumes (see ``covariance_columns``): equivalent on a half-spectrum, at half the
  memory.
* Image masks come from the depth of the projected mask, clipped at 3 voxels, instead of a thresholded projection.
* The projected covariance is fitted to whitened data: each image is weighted by its information.
* With ``fit_contrast`` the mean's direction is fitted along with the subspace and then left out.
* The sign of the data is known (``Particles.sign``), so it is not guessed from the mean.
* A background of the images above a tenth of their standard deviation is subtracted, which is noted
  (``reconstruction.images.level_background``).
"""

from cryobench.methods.recovar.recovar import Recovar
from cryobench.methods.recovar.settings import RecovarSettings

__all__ = ["Recovar", "RecovarSettings"]
