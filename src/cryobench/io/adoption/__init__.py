"""Particles, labels, maps and masks from outside, and checks of their consistency."""
