"""Volumes by kernel regression from particles near a latent, with locally chosen bandwidth.

Source: Gilles & Singer, PNAS 122 (2025), doi:10.1073/pnas.2419140122; ``regression`` gives the deviations.
"""

from cryobench.reconstruction.decoders.kernel_regression.bandwidths import KernelSizes
from cryobench.reconstruction.decoders.kernel_regression.decoder import KernelRegressionDecoder, plan_regression
from cryobench.reconstruction.decoders.kernel_regression.regression import KernelRegression, KernelVolume

__all__ = ["KernelRegression", "KernelRegressionDecoder", "KernelSizes", "KernelVolume", "plan_regression"]
