"""What a reconstruction is worth: metrics, each with its reference, units, direction and known limits.

``METRICS`` names them. A metric sees ``Reconstruction`` and ``Dataset`` and nothing else, so it measures our
methods and imported results alike. What a reconstruction lacks is "not measured", never zero.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
