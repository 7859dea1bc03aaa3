"""3DFlex."""

from cryobench.methods.flex_3d.flex import Flex3D
from cryobench.methods.flex_3d.settings import Flex3DSettings

__all__ = ["Flex3D", "Flex3DSettings"]
