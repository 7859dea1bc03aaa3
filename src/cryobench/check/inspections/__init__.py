"""Inspections other than of conventions: images, labels, views, CTFs, reference maps."""
