"""Simulate, reconstruct and score heterogeneous cryo-EM data with known truth.

In Python:

    import cryobench

    dataset = cryobench.simulate("igg-1d", "antibody", preset="lite")
    result = cryobench.run("3d-class", dataset, "runs/3d-class")
    scores = cryobench.score(result, dataset)
    cryobench.write_report(dataset, [(result, scores)], "page")
"""

import os

import lazy_loader

# Large temporary tensors in huge pages: faulted in 4 KiB at a time they take seconds of system time for every volume
# of recovar at 128 px. PyTorch reads it when it first allocates.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
