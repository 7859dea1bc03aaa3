"""Metrics of collective variables: how well latents predict them, and their distributions."""
