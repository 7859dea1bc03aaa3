"""The convention check: test the stated conventions of a data set against its images (``cryobench check``).

A data set states poses, CTFs, contrast and a mask in the package's conventions, assuming that its tables were read
correctly. The images can confirm this: under the right reading, a reconstruction from one half of the particles
predicts the other half. Every likely mistake is a hypothesis tested on the same images.
"""

from cryobench.check.conventions import LEAST_PARTICLES as LEAST_PARTICLES
from cryobench.check.conventions import ConventionCheck as ConventionCheck
from cryobench.check.conventions import check_conventions as check_conventions
from cryobench.check.mend import list_mendable as list_mendable
from cryobench.check.mend import mend_particles as mend_particles
from cryobench.check.result import VERDICTS as VERDICTS
from cryobench.check.result import describe_check as describe_check
from cryobench.check.result import has_check as has_check
from cryobench.check.result import keep_check as keep_check
from cryobench.check.result import read_check as read_check
from cryobench.check.result import read_open_faults as read_open_faults
