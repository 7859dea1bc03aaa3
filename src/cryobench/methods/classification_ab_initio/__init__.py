"""Ab initio 3D classification: K volumes and the poses of all particles from random starts (``3d-class-ab-initio``).

Model: y_i = C_i S(−t_i) P(R_i) V_{c_i} + ε_i with class c_i, orientation R_i and shift t_i all unknown, coloured
Gaussian noise of power σ²(|k|), and zero-mean Gaussian volumes of power τ²(|k|). Each iteration takes a mini-batch B
of images, compares them up to a radius r, and makes a step of length η for every volume:

    γ_i(k, R, t) ∝ exp(−Σ_{0 < |k| ≤ r} |y_i − C_i S(−t) P(R) V_k|² / (2 σ²))                  responsibilities
    γ_ik         ← (1 − β) γ_ik + β / K                                                         class similarity
    V_k          ← V_k + η (F_k − W_k V_k − V_k / (n τ²)) / (W̄_k + 1 / (n τ²)),   n = |B| / η     ascent
                   F_k = 1/|B| Σ γ A*(C y / σ²),  W_k = 1/|B| Σ γ A*(C² / σ²),  W̄_k its running mean
    σ²           ← a running mean of Σ γ |y − C S P V|² over some 5,000 images                    noise

after which each volume is constrained: no density below the solvent or outside a sphere, centre of mass at the
centre. The radius is 35 Å for 200 iterations, grows by 0.04 per iteration to 12 Å, and stays there for 300 more. The
initial noise is set so that 1.1 % of all poses are significant. At the end, every particle is assigned its most
probable class and its best pose in that class, and classes are back-projected. One class is homogeneous ab initio
reconstruction. With a point group (``symmetry``) orientations are those of one asymmetric unit, and A* adds an image
at all equivalent ones.
Source: Punjani, Rubinstein, Fleet & Brubaker, Nature Methods 14 (2017) 290, doi:10.1038/nmeth.4169; parameters of
cryoSPARC's ab initio job, which CryoBench ran (arXiv:2408.05526). The program is closed: everything except the
parameters is ours.

Deviations, with reasons:

* In the first iterations the posterior is over a grid of all orientations and shifts, later over the leaves of a
  hierarchical search (``reconstruction.poses``), which compares all orientations up to radius 12 at most; the program
  uses branch and bound, with unpublished bounds.
* The step after the first 100 iterations is not published: 0.2.
* Prior and preconditioner are not published: τ² is the power of the images in excess of the noise, divided by that of
  the CTF; the preconditioner is the running mean of the weights of the sums.
* The noise estimate forgets; the program's keeps all images. Early residuals contain the particle too.
* Classes are split (``split_every``; not published, so off by default). While the noise is
  large all volumes are blobs: one takes the large complexes, the others become copies for the small ones, and when
  the noise has fallen no volume is close enough to take one complex out of a mixture. Of four classes of four
  complexes two ended empty. So while the radius grows, a dispensable class is replaced by half of another
  (``splits``).
* The zero frequency, which contains the background of the images, is not compared. The solvent level, which it would
  determine, is the median of the volume within the sphere, before density below it is removed.
* The centre of mass is moved by whole voxels, so that nothing is interpolated.
* Radii below 4 index units are raised to 4: in small boxes 35 Å does not determine an orientation.
"""

from cryobench.methods.classification_ab_initio.classification import ClassificationAbInitio
from cryobench.methods.classification_ab_initio.settings import ClassificationAbInitioSettings

__all__ = ["ClassificationAbInitio", "ClassificationAbInitioSettings"]
