"""3D variability analysis at given poses (``3dva``)."""

from cryobench.methods.variability_3d.variability import Variability3D, Variability3DSettings

__all__ = ["Variability3D", "Variability3DSettings"]
