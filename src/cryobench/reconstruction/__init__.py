"""Ground that methods, importers and the check stand on: images, engine, statistics, decoders."""
