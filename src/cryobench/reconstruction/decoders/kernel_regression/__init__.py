"""Volumes by kernel regression from particles near a latent, with locally chosen bandwidth.

Source: Gilles & Singer, PNAS 122 (2025), doi:10.1073/pnas.2419140122; ``regression`` gives the deviations.
"""

from cryobench.reconstruction.decoders.kernel_regression.bandwidths import KernelSizes as KernelSizes
from cryobench.reconstruction.decoders.kernel_regression.decoder import (
    KernelRegressionDecoder as KernelRegressionDecoder,
)
from cryobench.reconstruction.decoders.kernel_regression.decoder import plan_regression as plan_regression
from cryobench.reconstruction.decoders.kernel_regression.regression import KernelRegression as KernelRegression
