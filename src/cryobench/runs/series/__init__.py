"""Volume series of a finished run: along principal axes, between cluster centres, along paths."""
