"""Structure files and trajectories: their records, formats, and the atoms and frames that they hold."""
