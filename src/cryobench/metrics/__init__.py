"""Metrics of reconstructions, each with its reference, units, direction and known limits.

``METRICS`` lists them. A metric sees only ``Reconstruction`` and ``Dataset``, so it measures methods of this package
and imported results alike. A part that a reconstruction lacks is "not measured", never zero.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
