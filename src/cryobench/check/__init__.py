"""The convention check: test the stated conventions of a data set against its images (``cryobench check``).

A data set states poses, CTFs, contrast and a mask in the package's conventions, assuming that its tables were read
correctly. The images can confirm this: under the right reading, a reconstruction from one half of the particles
predicts the other half. Every likely mistake is a hypothesis tested on the same images.
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
