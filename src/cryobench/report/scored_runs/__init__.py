"""Facts about the scored runs of one data set: tables, ranks, warnings, latents in two dimensions, query volumes."""
