"""Simulate, reconstruct and score heterogeneous cryo-EM data with known truth.

In Python:

    import cryobench

    dataset = cryobench.simulate("igg-1d", "antibody", preset="lite")
    result = cryobench.run("3d-class", dataset, "runs/3d-class")
    scores = cryobench.score(result, dataset)
    cryobench.write_report(dataset, [(result, scores)], "page")
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
