"""Does a data set agree with itself? Its conventions, read from its images (``cryobench check``).

A data set states poses, CTFs, contrast and a mask in the package's conventions, as far as the tables that it was
adopted from told them. Whether they were told rightly is in the images: under the right reading, what one half of the
particles shows predicts the other half. Every likely mistake is a hypothesis that is tried on the same images.
"""

from cryobench.check.conventions import LEAST_PARTICLES, ConventionCheck, check_conventions
from cryobench.check.faults import Fault
from cryobench.check.hypotheses.trials import Trial
from cryobench.check.mend import list_mendable, mend_particles
from cryobench.check.result import (
    VERDICTS,
    KeptCheck,
    describe_check,
    has_check,
    keep_check,
    read_check,
    read_open_faults,
)

__all__ = [
    "LEAST_PARTICLES",
    "VERDICTS",
    "ConventionCheck",
    "Fault",
    "KeptCheck",
    "Trial",
    "check_conventions",
    "describe_check",
    "has_check",
    "keep_check",
    "list_mendable",
    "mend_particles",
    "read_check",
    "read_open_faults",
]
