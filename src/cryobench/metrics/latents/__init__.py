"""Metrics of latents: neighbourhoods, and distances in two spaces."""
