"""Hypotheses about the conventions of a data set, and the trials that decide between them."""
