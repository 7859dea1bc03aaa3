"""Metrics of volumes: Fourier shell correlation with the truth, of volumes and of their deviations from the mean."""
