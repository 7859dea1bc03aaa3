"""cryoDRGN (train_vae, train_dec, abinit, abinit_het_old; versions 1 to 4) and drgnai (cryoDRGN-AI).

====================  =========================================================================================
program               recognised by
====================  =========================================================================================
train_vae             z.N.pkl with log-variances after the means
abinit_het_old        the same, and weights with ``search_pose``; ``abinit_het`` before version 4
train_dec             z.N.pkl with one array, and weights without ``hypervolume_params``
abinit                z.N.pkl with one array, and weights with ``hypervolume_params``
drgnai                conf.N.pkl and drgnai-configs.yaml
====================  =========================================================================================

Epochs are numbered as in the program: from 0 up to cryoDRGN 3.4 and in drgnai, from 1 since 3.5. Latents are
those in the program's files; drgnai and ``abinit`` save the latent of each particle *during* the epoch, and the table
at its end with their weights (``latents_from="table"``). Shifts of found poses are fractions of the box of
D + 1 (``abinit_het_old``) or pixels (``abinit``, drgnai).
Source: files of cryoDRGN 4.3.1 and 3.4.3 and of drgnai 0.3.2b.
"""
