"""3D classification at given poses: K volumes by expectation-maximisation (``3d-class``).

Model: y_i = C_i P_i V_{c_i} + ε_i with unknown class c_i, coloured Gaussian noise of power σ²(|k|) and, for every
class, a zero-mean Gaussian prior of power T τ²_k(|k|) on the volume. One iteration, over shells up to the
likelihood radius r:

    γ_ik ∝ π_k exp(−Σ_{|k| ≤ r} |y_i − C_i P_i V_k|² / (2 σ²))                          posteriors
    V_k  = Σ_i γ_ik P*(C y / σ²) / (Σ_i γ_ik P*(C² / σ²) + 1 / (T τ²_k))                volumes
    σ²   = mean over particles of Σ_k γ_ik |y_i − C_i P_i V_k|², shell by shell          noise
    π_k  = mean of γ_ik                                                                   populations

Source: Scheres, J. Mol. Biol. 415 (2012) 406, doi:10.1016/j.jmb.2011.11.010 (RELION's Class3D, alignment skipped);
the two initialisations are those of cryoSPARC's 3D classification (see ``initial``).

Deviations, and why:

* τ² comes from the power that the sums show beyond that of their own noise, in each iteration, not from the
  previous volume: it needs no half-sets and is not inflated by noise that was fitted.
* Posteriors are leave-one-out: each particle is scored as if it had not been in the volumes, to first order (see
  ``expectation``). Without it a particle's own noise ties it to its class; from the true classes such a run does
  not move at all, and neither does one from random classes.
* The likelihood's radius follows a fixed schedule from ``initial_resolution`` to ``likelihood_resolution``.
* A class that has run empty takes half the particles of the largest one, while the radius still grows.

The *objective* is the leave-one-out log-likelihood Σ_i log Σ_k π_k p(y_i | V_k without i, σ²) at the final radius,
minus that of the same images under Gaussian noise without any particle, its power fitted too. Additive constants
and the images' scale drop out, so a difference in percent means something. It is logged for every iteration at
that iteration's radius.
"""

from cryobench.methods.classification_3d.classification import Classification3D, classify
from cryobench.methods.classification_3d.settings import Classification3DSettings

__all__ = ["Classification3D", "Classification3DSettings", "classify"]
