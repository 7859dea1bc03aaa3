"""Variants of Adam: with a state for checkpoints, and for tables of which a step updates a few rows."""
