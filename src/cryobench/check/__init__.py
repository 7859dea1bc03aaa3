"""The convention check: test the stated conventions of a data set against its images (``cryobench check``).

A data set states poses, CTFs, contrast and a mask in the package's conventions, assuming that its tables were read
correctly. The images can confirm this: under the right reading, a reconstruction from one half of the particles
predicts the other half. Every likely mistake is a hypothesis tested on the same images.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
