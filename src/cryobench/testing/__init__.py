"""Conformance laws of methods, metrics, decoders and importers, checked on a class of any package.

    from cryobench.testing import check_method
    check_method(MyMethod)                  # all laws; AssertionError says which one is broken, and how

The toy data set has three states, and is made by plain sums of Gaussians (``testing.toy``), not by the
package's own projector. A method provides settings with which it takes about a second (``Method.small``).
"""

from cryobench.testing.decoders import check_decoder as check_decoder
from cryobench.testing.importers import check_importer as check_importer
from cryobench.testing.methods import METHOD_LAWS as METHOD_LAWS
from cryobench.testing.methods import check_method as check_method
from cryobench.testing.metrics import METRIC_LAWS as METRIC_LAWS
from cryobench.testing.metrics import check_metric as check_metric
