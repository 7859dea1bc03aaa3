"""3D classification at given poses: K volumes by expectation-maximisation (``3d-class``).

Model: y_i = C_i P_i V_{c_i} + ε_i with unknown class c_i, coloured Gaussian noise of power σ²(|k|) and, for every
class, a zero-mean Gaussian prior of power T τ²_k(|k|) on the volume. One iteration, over shells up to the
likelihood radius r:

    γ_ik ∝ π_k exp(−Σ_{|k| ≤ r} |y_i − C_i P_i V_k|² / (2 σ²))                          responsibilities
    V_k  = Σ_i γ_ik P*(C y / σ²) / (Σ_i γ_ik P*(C² / σ²) + 1 / (T τ²_k))                volumes
    σ²   = mean over particles of Σ_k γ_ik |y_i − C_i P_i V_k|², shell by shell          noise
    π_k  = mean of γ_ik                                                                   populations

Source: Scheres, J. Mol. Biol. 415 (2012) 406, doi:10.1016/j.jmb.2011.11.010 (RELION's Class3D, alignment skipped).
From cryoSPARC's 3D classification, which CryoBench ran (arXiv:2408.05526): the two starts (see ``initial``);
mini-batches of 1,000 particles per class, five epochs while the radius grows, then two passes
over all particles; hard classes, per-particle scales, and classes by half-sets at the end. Where a mini-batch would
be all particles, there are up to 25 full passes, as in RELION's interface, with the radius growing in the first 15.

A mini-batch B replaces the sums S of the volumes by (1 − η) S + η (n / |B|) S_B; the weight of each particle in S is
kept, so that leave-one-out works there too. A scale is α_i = Σ_k γ_ik ⟨y_i, C_i P_i V_k⟩ / Σ_k γ_ik |C_i P_i V_k|²,
whitened, without the particle's own noise, limited to 0.5 to 2, with mean one.

Deviations, with reasons:

* τ² is estimated in each iteration from the power of the sums in excess of their noise, not from the
  previous volume: it needs no half-sets and is not inflated by fitted noise.
* Responsibilities are leave-one-out: each particle is scored as if it had not contributed to the volumes, to first
  order (see ``expectation``). Otherwise a particle's own noise ties it to its class; from the true classes such a run
  does not change at all, nor does one from random classes. It also empties classes that the data do not support:
  two identical classes predict a particle worse than their union would. They stay empty, and a note reports it.
* The radius of the likelihood follows a fixed schedule from ``initial_resolution`` to ``likelihood_resolution`` (see
  ``settings``); volumes are kept in a box of that radius, at the same spacing in Fourier space.
* The start clusters particles, not reconstructions of subsets; the latter is a setting (``initialisation``).
* While the radius grows, an empty class takes part of one that is wider than noise explains; when the objective
  has converged and four more iterations are left, one merge and split is tried and kept if it improves the objective
  (see ``split_merge``). After mini-batches, two passes leave no time for that. Class similarity, by which cryoSPARC
  keeps classes from emptying early, is left out: the radius schedule and split and merge have the same effect.
* Half-sets are divided by responsibilities from all particles: class resolution is optimistic.

The *objective* is the leave-one-out log-likelihood Σ_i log Σ_k π_k p(y_i | V_k without i, σ²) at the final radius,
minus that of the same images under Gaussian noise without any particle, its power fitted too. Additive constants
and the scale of the images cancel, so a difference in percent is meaningful. It is logged for every iteration at
that iteration's radius.
"""

from cryobench.methods.classification_3d.classification import Classification3D
from cryobench.methods.classification_3d.settings import Classification3DSettings

__all__ = ["Classification3D", "Classification3DSettings"]
