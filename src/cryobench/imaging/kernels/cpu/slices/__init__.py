"""Slices on the CPU: extraction, insertion, accumulation, and gradients with respect to the rotations."""
