"""Does a data set agree with itself? Its conventions, read from its images (``cryobench check``)."""

from cryobench.check.conventions import ConventionCheck, Fault, check_conventions

__all__ = ["ConventionCheck", "Fault", "check_conventions"]
