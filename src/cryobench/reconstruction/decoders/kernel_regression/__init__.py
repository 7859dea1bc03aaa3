"""Volumes by kernel regression: of particles near a latent, the bandwidth chosen locally.

Source: Gilles & Singer, PNAS 122 (2025), doi:10.1073/pnas.2419140122; ``regression`` states the deviations.
"""

from cryobench.reconstruction.decoders.kernel_regression.bandwidths import KernelSizes
from cryobench.reconstruction.decoders.kernel_regression.decoder import KernelRegressionDecoder, plan_regression
from cryobench.reconstruction.decoders.kernel_regression.regression import KernelRegression, KernelVolume

__all__ = ["KernelRegression", "KernelRegressionDecoder", "KernelSizes", "KernelVolume", "plan_regression"]
