"""3D classification at given poses: K volumes by expectation-maximisation (``3d-class``).

Model: y_i = C_i P_i V_{c_i} + ε_i with unknown class c_i, coloured Gaussian noise of power σ²(|k|) and, for every
class, a zero-mean Gaussian prior of power T τ²_k(|k|) on the volume. One iteration, over shells up to the
likelihood radius r:

    γ_ik ∝ π_k exp(−Σ_{|k| ≤ r} |y_i − C_i P_i V_k|² / (2 σ²))                          posteriors
    V_k  = Σ_i γ_ik P*(C y / σ²) / (Σ_i γ_ik P*(C² / σ²) + 1 / (T τ²_k))                volumes
    σ²   = mean over particles of Σ_k γ_ik |y_i − C_i P_i V_k|², shell by shell          noise
    π_k  = mean of γ_ik                                                                   populations

Source: Scheres, J. Mol. Biol. 415 (2012) 406, doi:10.1016/j.jmb.2011.11.010 (RELION's Class3D, alignment skipped).
From cryoSPARC's 3D classification, which CryoBench ran (arXiv:2408.05526): the two starts (see ``initial``);
mini-batches of 1,000 particles per class, five times through all particles while the radius grows, then two passes
over all; hard classes, per-particle scales, and classes by half-sets at the end. Where a mini-batch would be all
particles, there are up to 25 passes over all, as in RELION's interface, the radius growing in the first 15.

A mini-batch B replaces the sums S of the volumes by (1 − η) S + η (n / |B|) S_B; how much of each particle is in S is
kept, so that leave-one-out holds there too. A scale is α_i = Σ_k γ_ik ⟨y_i, C_i P_i V_k⟩ / Σ_k γ_ik |C_i P_i V_k|²,
whitened, without the particle's own noise, between 0.5 and 2, its mean set to one.

Deviations, and why:

* τ² comes from the power that the sums show beyond that of their own noise, in each iteration, not from the
  previous volume: it needs no half-sets and is not inflated by noise that was fitted.
* Posteriors are leave-one-out: each particle is scored as if it had not been in the volumes, to first order (see
  ``expectation``). Without it a particle's own noise ties it to its class; from the true classes such a run does
  not move at all, and neither does one from random classes. It also empties classes that the data do not support:
  two classes alike predict a particle worse than the one that both would make. They stay empty, and a note says so.
* The likelihood's radius follows a fixed schedule from ``initial_resolution`` to ``likelihood_resolution`` (see
  ``settings``); volumes are kept in a box of that radius, at the same spacing in Fourier space.
* The start clusters particles, not reconstructions of subsets; the latter is a setting (``initialisation``).
* An empty class takes part of one that is wider than noise makes it, while the radius grows; when the objective
  stands still and four more iterations are left, moving a class is tried once and kept if it pays (see ``moves``).
  After mini-batches, two passes leave no time for that. Class similarity, with which cryoSPARC keeps classes from
  emptying early, is left out: tempering by the radius and these moves do it.
* The half-sets are divided by posteriors found with all particles: class resolution is optimistic.

The *objective* is the leave-one-out log-likelihood Σ_i log Σ_k π_k p(y_i | V_k without i, σ²) at the final radius,
minus that of the same images under Gaussian noise without any particle, its power fitted too. Additive constants
and the images' scale drop out, so a difference in percent means something. It is logged for every iteration at
that iteration's radius.
"""

from cryobench.methods.classification_3d.classification import Classification3D, classify
from cryobench.methods.classification_3d.settings import Classification3DSettings

__all__ = ["Classification3D", "Classification3DSettings", "classify"]
