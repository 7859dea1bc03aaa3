"""Results of other programs, read from their output files: an import is a run that was made elsewhere.

An importer only reads files: no foreign package is imported, pickles are opened by unpicklers that execute
nothing, and foreign tensors are renamed to ours, so that volumes come from the same decoders as for methods. Packages
add their own importers through the entry-point group.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
