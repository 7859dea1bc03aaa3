"""3D variability analysis at given poses: a mean and K linear components by expectation-maximisation (``3dva``).

Model: y_i = α_i C_i P_i (μ + Σ_k z_ik V_k) + ε_i with coloured Gaussian noise of power σ²(|k|). The mean μ is
reconstructed first, at the same poses, and fixed. One iteration, over the band up to the filter resolution:

    (α² A*A + λ) z = α A*(y − α C P μ),  A = [C P V_k] / σ      latents, K x K for each particle     (``expectation``)
    α = Re ⟨A z + C P μ, y⟩ / |A z + C P μ|², limited to [½, 2]     scale of each particle
    [Σ z zᵀ w C²/σ²] V = Σ z w C (y − α C P μ) / σ²              components, K x K for each voxel   (``maximisation``)

and then, in real space: grid correction, mask, band; the components are orthonormalised and rotated so that the
latents are uncorrelated, with descending variances. They start at random, limited to low frequencies.

Source: Punjani & Fleet, J. Struct. Biol. 213 (2021) 107702, doi:10.1016/j.jsb.2021.107702 (3D Variability).

Deviations, with reasons:

* λ is a fraction of the prior N(0, variance of z), so that 0.01 has the same meaning for images of any scale.
* The per-voxel systems get 1 / τ²_k on their diagonals, from the power of the sums in excess of their noise, where
  the publication relies on the filter resolution: nothing is fitted at frequencies without signal.
* The right-hand sides are those of the current components plus their residuals. At convergence that is least
  squares including the interpolation; the plain quotient is biased at low frequencies.
* The noise is estimated in each iteration from the residuals of mean and components, corrected for the degrees
  of freedom of these, where the publication whitens once by the mean's residuals: that would count variation as
  noise.
* Scales stay 1 for the first half of the iterations: while components are random, they would absorb variation
  along the mean as contrast, and a component would stay there.
* α scales the deviation along with the mean. Published programs differ in this; here z does not depend on contrast.
* All particles are in every iteration. At the speed of these sums mini-batches would not help.

The *objective* is the log-likelihood of the images under mean and components minus that under the mean alone, up to
the filter resolution, with the noise power of each shell fitted in either: Σ_s n_s log(r_s(mean) / r_s(model)) of the
mean squared residuals r_s. It is logged for the components at the start of each iteration.
"""

from cryobench.methods.variability_3d.settings import Variability3DSettings
from cryobench.methods.variability_3d.variability import Variability3D

__all__ = ["Variability3D", "Variability3DSettings"]
