"""Conformance laws of methods, metrics, decoders and importers, checked on a class of any package.

    from cryobench.testing import check_method
    check_method(MyMethod)                  # all laws; AssertionError says which one is broken, and how

The toy data set has three states, and is made by plain sums of Gaussians (``testing.toy``), not by the
package's own projector. A method provides settings with which it takes about a second (``Method.small``).
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
