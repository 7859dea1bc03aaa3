"""What runs found by themselves, before anything is compared with a truth: the report's section of that name.

It is read from the arrays of ``Reconstruction.model`` and the entries of the run record that methods share, never by
the name of a method; a run without them adds nothing. ``arrays`` reads, ``tables`` has the numbers, ``volumes`` the
slices and projections, ``pictures`` writes those and the surfaces of components for the page.

    mean (z, y, x)  components (k, z, y, x)  variances (k,)     unit norm; variances of the latents along them
    volumes (k, z, y, x)  populations (k,)  resolutions (k,)    classes; Å
    half_set_fsc (s,) or (k, s)                                 over shells of the box, zero frequency first
    density (g, ..., g)  density_axes (d, g)                    over the first d latents, one array axis a latent
    path_latents (f, d)  path_volumes (f, z, y, x)
    record: log (entries with iteration and objective), objective_definition, notes
"""
