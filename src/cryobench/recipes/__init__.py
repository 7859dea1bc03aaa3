"""The data sets: a recipe says what is simulated, ``simulate`` carries it out."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
