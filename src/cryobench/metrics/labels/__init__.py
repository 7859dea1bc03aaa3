"""Metrics of classes: agreement with states, populations, composition."""
