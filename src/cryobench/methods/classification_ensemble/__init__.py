"""Ensemble of small ab initio classifications, merged and refined (``3d-class-ensemble``).

One ab initio classification into as many classes as there are species fails when species are many, while small ones
separate some of them, others in each run. So

1. many jobs classify the particles into a few classes from different random starts; the classes of a job can be
   classified again by further jobs (a tree of jobs), and each level of a tree is one labelling of the particles
   (``jobs``);
2. particles i and j are compared by the labellings that hold both, above chance (``hierarchy``)

       s_ij = Σ_l (1[same class] − q_l) / Σ_l (1 − q_l),       q_l: fraction of all pairs that are in one class of l

   and joined by average linkage of 1 − s_ij;
3. the number of species is as many groups as half of the jobs finds that predict the classes of the other half, and
   that the other half separates (``number``);
4. the groups are corrected, and all particles assigned, by the votes of all jobs (``votes``);
5. all particles are refined with one class per species, each started from the class of a job that shows it best
   (``starts``): ascent at full resolution with poses searched over all orientations, and a last pass over all
   particles.

Source: Kaz, Kaz & Zhong, job ensembles on CryoBench's Tomotwin-100 (257 cryoSPARC ab initio jobs of 4, 8 and 16
classes, trees of depth 2 to 3, 3 to 5 replicates, merged by co-assignment and average linkage: accuracy 0.974 for 45
species, 0.75 for 100). Average linkage: Sokal & Michener, Univ. Kansas Sci. Bull. 38 (1958) 1409. Co-assignment: Fred
& Jain, IEEE Trans. PAMI 27 (2005) 835.

Deviations, and parts that are not published, with reasons:

* Jobs are those of ``3d-class-ab-initio``, or of any method that estimates poses and gives class posteriors
  (``base``).
* Co-assignments are counted above chance. Where all particles are in all jobs this is a linear function of the
  fraction of jobs, and gives the same tree; it is comparable if jobs hold different particles, or one class most of
  them.
* The number of species is found from the jobs (``number``); it may be given.
* The tree is of at most 10,000 particles, with the matrix of all their pairs; all others join by votes. Votes also
  correct the tree, whose outliers are particles that some job misplaced.
* A labelling has all levels above it in it, so a pair that was separated once stays separated.
* The refinement lets particles change their species, at full resolution and noise: jobs see them at lower quality.
"""

from cryobench.methods.classification_ensemble.ensemble import ClassificationEnsemble
from cryobench.methods.classification_ensemble.merge import Merged, MergeOptions, merge_jobs
from cryobench.methods.classification_ensemble.settings import ClassificationEnsembleSettings

__all__ = ["ClassificationEnsemble", "ClassificationEnsembleSettings", "MergeOptions", "Merged", "merge_jobs"]
