"""Images prepared once for training: spectra or real-space images, in memory or in a file."""
