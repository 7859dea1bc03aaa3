"""3D variability analysis at given poses: a mean and K linear components by expectation-maximisation (``3dva``).

Model: y_i = α_i C_i P_i (μ + Σ_k z_ik V_k) + ε_i with coloured Gaussian noise of power σ²(|k|). The mean μ is made
first, from the same poses, and stays. One iteration, over the band up to the filter resolution:

    (α² A*A + λ) z = α A*(y − α C P μ),  A = [C P V_k] / σ      latents, K x K for each particle     (``expectation``)
    α = Re ⟨A z + C P μ, y⟩ / |A z + C P μ|², kept in [½, 2]     scale of each particle
    [Σ z zᵀ w C²/σ²] V = Σ z w C (y − α C P μ) / σ²              components, K x K for each voxel   (``maximisation``)

and then, in real space: grid correction, mask, band; the components are made orthonormal and turned so that the
latents are uncorrelated, their variances falling. They start at random, limited to low frequencies.

Source: Punjani & Fleet, J. Struct. Biol. 213 (2021) 107702, doi:10.1016/j.jsb.2021.107702 (3D Variability).

Deviations, and why:

* λ is a fraction of the prior N(0, variance of z), so that 0.01 means the same for images of any scale.
* The per-voxel systems get 1 / τ²_k on their diagonals, from the power that the sums show beyond their noise, where
  the publication leaves it to the filter resolution: nothing is fitted at frequencies where nothing is seen.
* The right-hand sides are those of the present components plus what these leave over. At convergence that is least
  squares through the interpolation itself; the plain quotient is biased at low frequencies.
* The noise is estimated again in each iteration, from what mean and components leave over, corrected for the degrees
  of freedom that these took, where the publication whitens once by the mean's: that would count variation as noise.
* Scales stay 1 for the first half of the iterations: with components still at random they would take the variation
  along the mean for contrast, and a component would stay there.
* α scales the deviation along with the mean. Published programs differ in this; here z is free of contrast.
* All particles are in every iteration. At the speed of these sums mini-batches would gain nothing.

The *objective* is the log-likelihood of the images under mean and components minus that under the mean alone, up to
the filter resolution, with the noise power of each shell fitted in either: Σ_s n_s log(r_s(mean) / r_s(model)) of the
mean squared residuals r_s. It is logged for the components that each iteration starts from.
"""

from cryobench.methods.variability_3d.settings import Variability3DSettings
from cryobench.methods.variability_3d.variability import Variability3D

__all__ = ["Variability3D", "Variability3DSettings"]
