"""Volumes in real space: densities from atoms, masks, rigid motions and alignment."""

from cryobench.volumes.alignment import Alignment as Alignment
from cryobench.volumes.alignment import align as align
from cryobench.volumes.alignment import align_all as align_all
from cryobench.volumes.mask import Mask as Mask
from cryobench.volumes.mask import find_enclosing_level as find_enclosing_level
from cryobench.volumes.mask import make_soft_mask as make_soft_mask
from cryobench.volumes.render import render as render
from cryobench.volumes.rotate import mirror_volume as mirror_volume
from cryobench.volumes.rotate import rotate_volume as rotate_volume
