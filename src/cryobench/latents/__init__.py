"""Analysis of any latent space: density of the particles, paths through it, clusters, selections."""
