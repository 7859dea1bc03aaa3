"""Metrics of volumes: Fourier shell correlation with the truth, and of what differs from the mean."""
