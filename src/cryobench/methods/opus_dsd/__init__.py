"""OPUS-DSD at given poses: a variational autoencoder in real space, with 3-D convolutions (``opus-dsd``).

Model: y_i = C_i P_i V(z_i) + ε_i with unit noise, z_i ~ N(0, 1) of K dimensions, and V(z) a grid in real space,

    E_i(x)           = mask(x) · y_i((R_i x)_xy)                 the image, spread along its line of sight
    q(z, a | y_i)    = N(μ_i, diag σ_i²),   (μ_i, log σ_i) = 3-D convolutions of E_i,   a: 4 latents of a rigid motion
    V(z)             = transposed 3-D convolutions of z          (``reconstruction.networks.template_decoder``)
    ŷ_ij             = C_i e^{−B π² s²} Σ_z V(z)(Q(a) R_jᵀ p + t(a))      trilinear, plain sum over z
    d_ij             = |ŷ_ij|² − 2 ŷ_ij · m_i y_i,    p_ij ∝ exp(−½ d_ij)

R_j are the 8 neighbours of the given direction in a HEALPix cone (tilts of 1.5 to 4.4°), whose posterior p weighs
the comparison and carries no gradient, or the given orientation alone (``orientations="given"``, for exact poses).
m_i is the projected mask: outside it predictions are drawn to zero. With A the pixels of m_i, a mean over the batch,

    loss = mean_i Σ_j p_ij d_ij / A                                       data
         + β_c β(t) KL(q(z) ‖ N(0, 1)) / A                               a has none
         + (TV + 0.3 |V|_1) / A                                           in the mask's bounding box of the template
         + λ (β(t) + 0.05) / 1.05 · SD / A                                ``disentanglement``

β(t) rises over 100,000 images and begins anew after 125,000; β_c = beta_control · SNR · (1 − e^{−(|V|_1/0.002)²}) and
λ = disentanglement · (1 − e^{−min((SNR/0.02)², 16)}) (1 − e^{−min((|V|_1/0.002)², 16)}), from running means. A batch
is of one bin of viewing directions; SD compares its latents with those of other bins, which a bank keeps. The encoder
sees images blurred or sharpened, of jittered contrast and level. AdamW without weight decay; its learning rate falls
by each epoch. Volumes are V at a particle's latent with no rigid motion, on the crop's grid, padded with zeros to the
images' and by their spectrum to the data set's: **nothing beyond the Nyquist frequency of downfrac is there**.

Source: Luo, Ni, Wang & Ma, Nature Methods 20 (2023) 1729, doi:10.1038/s41592-023-02031-6; sizes, schedules and loss
of the authors' program, version 1.0.0, as CryoBench ran it. Clean-room from the equations.

Deviations, and why:

* Images are divided by one standard deviation of all pixels, as in later versions of the program: 1.0.0 takes them as
  they are, and the posterior of orientations is of unit noise. The mean of each
  image's corners is taken off, so that a background does not count.
* The CTF has the sign of this package, and images theirs; the program has both turned over, which is the same.
* Images are centred, cropped and kept once, in half precision, not in every step; they are blurred within the crop.
* An image is spread to the canonical frame by one bilinear interpolation; the program turns it in the plane
  (bicubic), copies it along z and turns the volume (trilinear).
* The random turn in the plane is on the cone of orientations alone, and the image stays as it is: the pair turns as
  one, and an interpolation is saved.
* Every particle is trained on in every epoch. The program leaves out the remainder of each bin, whose latents stay as
  they were drawn, and a quarter of the images for validation (``valfrac``).
* Latents are the encoder's means of clean images in a last pass. The program keeps the bank, a running mean under
  augmentation (0.7 old, 0.3 new), as its result.
* The batch of 12 images on each of 4 GPUs is one of 48, decoded ``at_once`` some and added up. Means, SNR and the
  in-batch terms of SD are of the whole batch.
* Of a pool smaller than 12,800 latents, SD takes the same shares as nearest and as negatives.
* A bin of views is what is nearest to a HEALPix centre, which differs from its pixel along the border alone.
* The extent of the mask is that of the smallest sphere about the centre, so that no orientation leaves the crop.
  Where no mask is given, one is drawn around a consensus of the images.
* For crops below 64 px the encoder's resampled grid has 8³ voxels instead of 12³.
* A volume is the template at the grid of the crop, by the same trilinear samples that images are compared through.
"""

from cryobench.methods.opus_dsd.opus_dsd import OpusDsd
from cryobench.methods.opus_dsd.settings import OpusDsdSettings

__all__ = ["OpusDsd", "OpusDsdSettings"]
