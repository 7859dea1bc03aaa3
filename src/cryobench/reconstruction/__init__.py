"""Common basis of methods, importers and the check: images, engine, statistics, decoders."""
