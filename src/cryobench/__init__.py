"""Simulate, reconstruct and score heterogeneous cryo-EM data with known truth."""
