"""Alignment of volumes: best rotation, shift and hand of one volume onto another."""

from cryobench.volumes.alignment.modes import MODES, Mode, align, align_all
from cryobench.volumes.alignment.transform import Alignment

__all__ = ["MODES", "Alignment", "Mode", "align", "align_all"]
