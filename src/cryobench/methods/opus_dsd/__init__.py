"""draft"""

from cryobench.methods.opus_dsd.opus_dsd import OpusDsd
from cryobench.methods.opus_dsd.settings import OpusDsdSettings

__all__ = ["OpusDsd", "OpusDsdSettings"]
