"""Metrics of collective variables: whether latents tell them, and their distributions."""
