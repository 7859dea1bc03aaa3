"""The package's own folders: data sets with their truth, runs, scores, series."""
