"""Particles, labels, maps and masks that come from outside, and the checks that they fit together."""
