"""3D classification ab initio: K volumes and the poses of all particles from random starts (``3d-class-ab-initio``).

Model: y_i = C_i S(−t_i) P(R_i) V_{c_i} + ε_i with class c_i, orientation R_i and shift t_i all unknown, coloured
Gaussian noise of power σ²(|k|), and zero-mean Gaussian volumes of power τ²(|k|). Each iteration takes a mini-batch B
of images, compared up to a radius r, and makes a step of length η for every volume:

    γ_i(k, R, t) ∝ exp(−Σ_{0 < |k| ≤ r} |y_i − C_i S(−t) P(R) V_k|² / (2 σ²))                  posteriors
    γ_ik         ← (1 − β) γ_ik + β / K                                                         class similarity
    V_k          ← V_k + η (F_k − W_k V_k − V_k / (n τ²)) / (W̄_k + 1 / (n τ²)),   n = |B| / η     ascent
                   F_k = 1/|B| Σ γ A*(C y / σ²),  W_k = 1/|B| Σ γ A*(C² / σ²),  W̄_k its running mean
    σ²           ← a running mean of Σ γ |y − C S P V|² over some 5,000 images                    noise

after which each volume is kept: no density below the solvent, nothing outside a sphere, mass about the centre. The
radius is held at 35 Å for 200 iterations, grows by 0.04 an iteration to 12 Å, and is held for 300 more. The noise
begins so large or small that 1.1 % of all poses are significant. At the end, every particle is given its most
probable class and its best pose in that class, and classes are back-projected. One class is homogeneous ab initio.

Source: Punjani, Rubinstein, Fleet & Brubaker, Nature Methods 14 (2017) 290, doi:10.1038/nmeth.4169; parameters of
cryoSPARC's ab initio job, which CryoBench ran (arXiv:2408.05526). Its code is closed: all but the parameters is ours.

Deviations, and why:

* The posterior is over a grid of all orientations and shifts up to radius 12, and beyond over those with which a
  hierarchical search ends (``reconstruction.poses``); the program bounds branches, by bounds that are not published.
* The step after the first 100 iterations is not published: 0.2.
* Prior and preconditioner are not published: τ² is the power that the images show beyond the noise, over that of the
  CTF; the preconditioner is the running mean of what the sums weigh.
* The estimate of the noise forgets; the program's keeps all images. Early residuals hold the particle too.
* Classes give way (``split_every``; published: nothing of the kind, so off unless asked for). While the noise is
  large all volumes are blobs: one takes the large complexes, the others become copies for the small ones, and when
  the noise has fallen no volume is near enough to take one complex out of a mixture. Of four classes of four
  complexes two ended empty. So while the radius grows, a class that images do not miss gives way to half of another
  (``moves``).
* The zero frequency, which holds the images' background, is not compared. The level of the solvent, which it would
  decide, is the median of the volume within the sphere, before density below it is cut off.
* Mass is centred to whole voxels, so that nothing is interpolated.
* Radii below 4 index units are raised to 4: in small boxes 35 Å tell no orientation.
"""

from cryobench.methods.classification_ab_initio.classification import ClassificationAbInitio
from cryobench.methods.classification_ab_initio.settings import ClassificationAbInitioSettings

__all__ = ["ClassificationAbInitio", "ClassificationAbInitioSettings"]
