"""Structure files and trajectories: records, formats, and their atoms and frames."""
