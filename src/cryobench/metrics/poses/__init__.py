"""Metrics of poses."""
