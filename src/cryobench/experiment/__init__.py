"""Running methods: one run is one folder, with its cost measured."""

from cryobench.experiment.run import run

__all__ = ["run"]
