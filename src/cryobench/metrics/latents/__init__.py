"""Metrics of latents: neighbours, and distances in two spaces."""
