"""Results of other programs, read from what these leave on disk: an import is a run that was trained elsewhere.

An importer reads files and nothing else: no foreign package is imported, pickles are opened by unpicklers that run
nothing, and foreign tensors are renamed to ours, so that volumes come from the decoders that methods use. Packages
add importers of their own through the entry-point group.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
