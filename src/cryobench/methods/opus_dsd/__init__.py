"""OPUS-DSD at given poses: a variational autoencoder in real space, with 3-D convolutions (``opus-dsd``).

Model: y_i = C_i P_i V(z_i) + ε_i with unit noise, z_i ~ N(0, 1) of K dimensions, and V(z) a grid in real space,

    E_i(x)           = mask(x) · y_i((R_i x)_xy)                 the image, spread along its line of sight
    q(z, a | y_i)    = N(μ_i, diag σ_i²),   (μ_i, log σ_i) = 3-D convolutions of E_i,   a: 4 latents of a rigid motion
    V(z)             = transposed 3-D convolutions of z          (``reconstruction.networks.template_decoder``)
    ŷ_ij             = C_i e^{−B π² s²} Σ_z V(z)(Q(a) R_jᵀ p + t(a))      trilinear, plain sum over z
    d_ij             = |ŷ_ij|² − 2 ŷ_ij · m_i y_i,    p_ij ∝ exp(−½ d_ij)

R_j are the 8 neighbours of the given direction in a HEALPix cone (tilts of 1.5 to 4.4°), whose posterior p weighs
the comparison and carries no gradient, or the given orientation alone (``orientations="given"``, for exact poses).
B falls over the epochs, from 1.08 ``b_factor`` to ``b_factor``.
m_i is the projected mask: outside it predictions are pulled to zero. With A the pixels of m_i, a mean over the batch,

    loss = mean_i Σ_j p_ij d_ij / A                                       data
         + β_c β(t) KL(q(z) ‖ N(0, 1)) / A                               a has none
         + (TV + 0.3 |V|_1) / A                                           in the mask's bounding box of the template
         + λ (β(t) + 0.05) / 1.05 · SD / A                                ``disentanglement``

β(t) rises over 100,000 images and restarts after 125,000; β_c = beta_control · SNR · (1 − e^{−(|V|_1/0.002)²}) from
running means, which start anew in each epoch, at an SNR of 0.01; and from the batch λ = disentanglement
· (1 − e^{−min((SNR/0.02)², 16)}) · (1 − e^{−min((|V|_1/0.002)², 16)}). A batch comes from one bin of viewing
directions; SD compares its latents with those of other bins, kept in a bank. The encoder sees images blurred or
sharpened, with random contrast and level. AdamW without weight decay; its learning rate falls with each epoch.
Volumes are V at a particle's latent with no rigid motion, on the crop's grid, padded with zeros to the box and
Fourier-resampled to the data set's: **they contain nothing beyond the Nyquist frequency of downfrac**.

Source: Luo, Ni, Wang & Ma, Nature Methods 20 (2023) 1729, doi:10.1038/s41592-023-02031-6; sizes, schedules and loss
of the authors' program, version 1.0.0, as CryoBench ran it. Clean-room from the equations.

Deviations, with reasons:

* Images are divided by one standard deviation of all pixels, as in later versions of the program: 1.0.0 does not
  scale them, and the posterior of orientations assumes unit noise. The mean of each
  image's corners is subtracted, so that a background does not count.
* CTF and images have the sign of this package; the program inverts both, which is equivalent.
* Images are centred, cropped and stored once, in half precision, not in every step; they are blurred within the crop.
* An image is spread to the canonical frame by one bilinear interpolation; the program rotates it in-plane
  (bicubic), copies it along z and rotates the volume (trilinear).
* The cone is about each image's own viewing direction, turned in its plane at random. The program's is about the
  pole of the volume, the same 8 rotations for all images: there a volume may turn by up to 4.4° against the given
  poses, and scores compare volumes in the frame of those. It also turns the image in its plane, together with its
  prediction, which changes nothing but an interpolation.
* Every particle is trained on in every epoch. The program leaves out the remainder of each bin, whose latents keep
  their initial values, and a quarter of the images for validation (``valfrac``).
* Latents are the encoder's means of unaugmented images in a last pass. The program returns the bank, a running mean
  under augmentation (0.7 old, 0.3 new).
* The batch of 12 images on each of 4 GPUs is one of 48, decoded ``at_once`` some and summed. Means, SNR and the
  in-batch terms of SD are of the whole batch.
* For a pool smaller than 12,800 latents, SD takes the same fractions as nearest and as negatives.
* A bin of views is the set nearest to a HEALPix centre, which differs from its pixel only along the border.
* The extent of the mask is that of the smallest sphere about the centre, so that no orientation leaves the crop.
  Without a mask, one is made from a consensus of the images.
* For crops below 64 px the encoder's resampled grid has 8³ voxels instead of 12³.
* Volumes and images have the same centre. The program turns volumes about (crop − 1) / 2, half a pixel from that
  of the images.
* A volume is the template at the grid of the crop, by the same trilinear sampling as in the comparison with images.
"""

from cryobench.methods.opus_dsd.opus_dsd import OpusDsd as OpusDsd
from cryobench.methods.opus_dsd.settings import OpusDsdSettings as OpusDsdSettings
