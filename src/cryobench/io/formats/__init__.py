"""Formats of files, without a word on what their numbers mean."""
