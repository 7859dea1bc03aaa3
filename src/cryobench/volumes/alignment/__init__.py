"""Alignment of volumes: best rotation, shift and hand of one volume onto another."""

from cryobench.volumes.alignment.modes import align as align
from cryobench.volumes.alignment.modes import align_all as align_all
from cryobench.volumes.alignment.transform import Alignment as Alignment
